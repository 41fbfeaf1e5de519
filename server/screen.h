/* screen.h - the refusals that come before any handler.
 *
 * The HTTP library accepts requests that another party on the way may read differently: a blank before the colon, two
 * Content-Length fields, Content-Length beside Transfer-Encoding, a NUL in the target. Each of them is refused here and the
 * connection is closed, because nobody can tell where such a request ends (design.md section 10).
 *
 * Pure functions over what the exchange collected; fuzzed and unit-tested without a socket.
 */
#ifndef SERVER_SCREEN_H
#define SERVER_SCREEN_H

#include "server/headers.h"

#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_MOST_HEAD_BYTES 32768
/* The memory of one connection, all of which the library clears after every request. It takes whole pages; nine of them hold the largest header
 * block, what the library notes for its fields, and the answer's header. A block that leaves no room for the latter would be answered with silence, so it is refused;
 * what an answer can do without is left out where room is short (reply.h). */
#define SCREEN_MEMORY_BYTES 36864
#define SCREEN_FIELD_BYTES 64    /* noted for each field */
#define SCREEN_ANSWER_BYTES 2432 /* of an answer's header without its hints */

struct screen_head {
    const char *version; /* "HTTP/1.1" */
    const char *target;  /* raw */
    size_t target_bytes;
    /* bytes of the block that show in no name, value or line end (a NUL, a folded line) */
    bool has_hidden_bytes;
    size_t head_bytes; /* request line and header block */
    const struct headers *headers;
    /* Names the service answers to; NULL-terminated. NULL = those no outside attacker can point at us: addresses, single labels and
     * names under localhost (DNS rebinding). SCREEN_ANY_HOST = all. */
    const char *const *hosts;
};

extern const char *const SCREEN_ANY_HOST[];

struct screened {
    size_t answer_room_bytes; /* for the answer's header */
    bool has_body;
    bool expects_continue;
    bool is_http_1_0;
    uint64_t body_bytes; /* UINT64_MAX = chunked */
};

/* ERR_INVALID, ERR_UNSUPPORTED, ERR_EXPECTATION, ERR_URI_TOO_LONG or ERR_HEADERS_TOO_LARGE, recorded in op. */
enum err screen_request(struct op *op, const struct screen_head *head,
                        struct screened *ret_screened) MUST_USE;

/* What a header block leaves of the connection's memory. */
size_t screen_answer_room(size_t head_bytes, unsigned field_count);

/* Whether a Host value (with or without a port) names one of `hosts`; see struct screen_head. */
bool screen_host_allowed(const char *host, size_t host_bytes, const char *const *hosts);

#endif
