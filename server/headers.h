/* headers.h - the fields of one request as a flat list.
 *
 * The exchange fills it from the HTTP library once, at the first call. As long as the request stays on the poll thread the list
 * points into the library's buffer; before the request goes to a lane, or when a field came twice, headers_own copies
 * it into one block of its own (the library frees its buffer when the client leaves).
 */
#ifndef SERVER_HEADERS_H
#define SERVER_HEADERS_H

#include "pools/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEADERS_MOST 128

struct header_field {
    const char *name;
    const char *value; /* without surrounding blanks; NUL-terminated unless the list is untidy */
    size_t name_bytes;
    size_t value_bytes;
};

struct headers {
    unsigned count;
    /* bit n: some name begins with the nth letter, is n bytes long (mod 64); most names asked for are ruled out by the first already */
    uint32_t letters;
    uint64_t lengths;
    bool overflow;       /* there were more than HEADERS_MOST */
    bool may_have_twins; /* two names are equally long */
    bool untidy; /* a borrowed value has trailing blanks before its NUL: own before handing values out */
    char *owned;
    struct header_field field[HEADERS_MOST];
};

/* An empty list that owns nothing. */
void headers_init(struct headers *headers);
void headers_fini(struct headers *headers);
/* Borrows the texts, which are NUL-terminated. */
void headers_add(struct headers *headers, const char *name, size_t name_bytes, const char *value,
                 size_t value_bytes);
/* Copies every text into one block and joins fields of one name with ", ". False when out of memory (nothing changed). */
bool headers_own(struct headers *headers) MUST_USE;
/* The bit of a name's first letter in `letters`, the same for both cases. */
static inline uint32_t headers_letter(const char *name) {
    return UINT32_C(1) << ((unsigned char)name[0] % 32);
}
const struct header_field *headers_search(const struct headers *headers, const char *name);
/* The first field of that name, or NULL; names match without case. */
static inline const struct header_field *headers_find(const struct headers *headers, const char *name) {
    return headers->letters & headers_letter(name) ? headers_search(headers, name) : NULL;
}
/* How many fields have that name. */
unsigned headers_count(const struct headers *headers, const char *name);
/* Whether any two fields share a name. */
bool headers_has_twins(const struct headers *headers);

#endif
