/* percent.h - RFC 3986 percent-encoding as LAILA uses it, and UTF-8 checks.
 *
 * Canonical encoding: unreserved A-Za-z0-9-._~ kept, every other byte %XX upper-case. It names S3
 * objects and HDF5 links (interop.md section 3); an id's canonical encoding is unique.
 */
#ifndef POOLS_BASE_PERCENT_H
#define POOLS_BASE_PERCENT_H

#include "pools/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Appends the canonical encoding. */
enum err percent_encode(struct buf *buf, const char *bytes, size_t count) MUST_USE;
/* Decodes once. ERR_INVALID on a malformed escape; '+' stays a plus. ret_text has room for count + 1 bytes and is
 * NUL-terminated (it may hold NULs itself: check ret_bytes). */
enum err percent_decode(const char *text, size_t count, char *ret_text, size_t *ret_bytes) MUST_USE;
/* Decodes only what percent_encode would have produced: ERR_INVALID on anything not canonical. */
enum err percent_decode_canonical(const char *text, size_t count, char *ret_text, size_t *ret_bytes) MUST_USE;

/* Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_valid(const char *bytes, size_t count);
/* Incremental: a piece may end inside a character. Zero-initialise; utf8_step false = invalid so far; utf8_done = no character left open. */
struct utf8 {
    unsigned need;
    unsigned lowest;
    unsigned code;
};
bool utf8_step(struct utf8 *state, const void *bytes, size_t count);
bool utf8_done(const struct utf8 *state);

#endif
