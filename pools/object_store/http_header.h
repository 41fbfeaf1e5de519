/* http_header.h - the header of an answer, taken line by line. Bounded; pure; fuzz me.
 *
 * Interim answers (100 Continue) come first and are forgotten when the next status line begins.
 */
#ifndef POOLS_OBJECT_STORE_HTTP_HEADER_H
#define POOLS_OBJECT_STORE_HTTP_HEADER_H

#include "pools/base/buf.h"

#include <stdbool.h>

struct http_header {
    unsigned status; /* 0 until a status line came */
    /* the empty line after a final status (200 and up) came; later lines are trailers, dropped */
    bool complete;
    struct buf fields; /* "name: value" texts without white space at the end, a NUL after each */
};

void http_header_init(struct http_header *header, size_t most_bytes);
void http_header_fini(struct http_header *header);
/* One line with its line end. ERR_TOO_LARGE past the limit, ERR_NO_MEMORY. */
enum err http_header_add(struct http_header *header, const char *line, size_t bytes) MUST_USE;
/* The last field of that name (any case), without white space around it; NULL when there is none. */
const char *http_header_field(const struct http_header *header, const char *name);

#endif
