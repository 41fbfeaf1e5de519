/* dictionary.h - structured-field dictionaries (RFC 9651, 3.2), the form in which digests are sent. Pure, any thread, fuzzed.
 *
 * A field that does not parse may be refused or ignored (4.2); it is refused, as a digest that nobody compares helps nobody. Dates
 * and display strings, which RFC 9651 added to RFC 8941, are malformed here: no digest is one.
 */
#ifndef API_DICTIONARY_H
#define API_DICTIONARY_H

#include "pools/base/attrs.h"

#include <stddef.h>

/* Points into the field's value. */
struct dictionary_member {
    const char *key;
    size_t key_bytes;
    const char *value; /* as it is written, without its parameters; NULL = left out, which means true */
    size_t value_bytes;
};

enum dictionary_step { DICTIONARY_MEMBER, DICTIONARY_END, DICTIONARY_MALFORMED };

/* The next member. *position is the field's value at first and belongs to this function then. Members told before something
 * malformed are of a field that is to be refused whole. Of a key that comes twice the caller takes the last. */
enum dictionary_step dictionary_next(const char **position, struct dictionary_member *ret_member) MUST_USE;

#endif
