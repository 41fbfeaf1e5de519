/* dictionary.h - structured-field dictionaries (RFC 8941, 3.2), the form in which digests are sent. Pure, any thread, fuzzed. */
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
 * malformed are of a field that is to be refused whole. Of a key that comes twice the last counts. */
enum dictionary_step dictionary_next(const char **position, struct dictionary_member *ret_member) MUST_USE;

#endif
