/* id.h - entry ids and pool nicknames: what they may be.
 *
 * An id is any non-empty UTF-8 string without U+0000 up to 1024 bytes, opaque (design.md section 1).
 * struct id is a borrowed view with its hash; whoever keeps an id copies the text.
 */
#ifndef POOLS_ID_H
#define POOLS_ID_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ID_MOST_BYTES 1024
#define NICKNAME_BYTES 65 /* 64 and the NUL */

struct id {
    const char *text; /* NUL-terminated, borrowed */
    size_t bytes;     /* without the NUL */
    uint64_t hash;    /* hash_bytes of the text */
};

/* Checks and views; ERR_INVALID with REASON_INVALID_ID recorded in op. The text must outlive the id. */
enum err id_from_bytes(struct op *op, const char *text, size_t bytes, struct id *ret_id) MUST_USE;
/* The same for text known to be valid (read back from our own storage). */
struct id id_trusted(const char *text, size_t bytes);
bool id_equal(const struct id *a, const struct id *b);

/* [A-Za-z0-9][A-Za-z0-9_.-]{0,63} */
bool nickname_valid(const char *text);

#endif
