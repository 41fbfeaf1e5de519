/* buf.h - a growing byte buffer with a stated maximum.
 *
 * Every buffer says at init how large it may become; passing it is ERR_TOO_LARGE, not growth.
 * `data` is always NUL-terminated behind `size` once anything was appended.
 */
#ifndef POOLS_BASE_BUF_H
#define POOLS_BASE_BUF_H

#include "pools/base/attrs.h"
#include "pools/base/err.h"

#include <stddef.h>

struct buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t max_bytes;
};

void buf_init(struct buf *buf, size_t max_bytes);
void buf_fini(struct buf *buf); /* frees; the buf may be used again after buf_init */
void buf_clear(struct buf *buf);
/* ERR_TOO_LARGE past max_bytes, ERR_NO_MEMORY; nothing is appended then. */
enum err buf_append(struct buf *buf, const void *bytes, size_t count) MUST_USE;
enum err buf_append_text(struct buf *buf, const char *text) MUST_USE;
enum err buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3) MUST_USE;
/* Makes room for `count` more bytes and returns where they go; buf_commit(count written) makes them count. */
enum err buf_reserve(struct buf *buf, size_t count, char **ret_space) MUST_USE;
void buf_commit(struct buf *buf, size_t count);
/* The text, owned by the caller (free); the buf is empty afterwards. NULL when nothing was ever appended. */
char *buf_steal(struct buf *buf);

static inline void buf_fini_auto(struct buf *buf) {
    buf_fini(buf);
}

#endif
