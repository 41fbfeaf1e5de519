/* http_client.h - HTTP/1.1 requests over a bounded set of kept connections, pulled by their caller.
 *
 * A *line* is one libcurl easy handle in a multi handle of its own, with at most one kept connection. A request takes a line
 * out of the client and gives it back as soon as its answer is complete (or closed early), so that the next request
 * finds the connection open. Nothing runs in the background: the calling thread moves the bytes, one bounded piece
 * at a time, and looks at its op while it waits.
 *
 * Life of an exchange
 *   1 SENDING    http_exchange_open: the request goes out, the caller waits for the answer's header.
 *   2 ANSWERED   open returned; status and fields can be read, the body is pulled with http_exchange_read.
 *   3 COMPLETE   read gave 0: the line is back with the client; status and fields stay until close.
 *
 * What it never does: follow redirects, decompress, use proxies or credentials of the environment, speak other
 * protocols, or retry (retry.h is for callers; libcurl itself resends once on a kept connection that turns out dead).
 *
 * Threads: the client is shared by any number of threads; an exchange is used by one at a time.
 * Read next: http_exchange_parts.h (one exchange), http_line.h (what it shares with the client).
 */
#ifndef POOLS_OBJECT_STORE_HTTP_CLIENT_H
#define POOLS_OBJECT_STORE_HTTP_CLIENT_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_MOST_HEADER_BYTES 65536 /* of an answer's header */
#define HTTP_MOST_FIELDS 64          /* of a request */

struct http_limits {
    unsigned max_lines;  /* requests at once; more wait their turn */
    uint64_t connect_ns; /* resolving, connecting, TLS */
    uint64_t answer_ns;  /* from the last byte sent to the end of the answer's header */
    uint64_t idle_ns;    /* without any byte of the body */
    uint64_t rate_ns;    /* of waiting for the store, in which a body must move by rate_bytes, either way */
    uint64_t rate_bytes;
};
/* design.md 13.24: 3 s, 30 s, 30 s. The rate is what is asked of clients, too: 16 KiB in 30 s. */
#define HTTP_DEFAULT_LIMITS(lines)                                                                           \
    {                                                                                                        \
        .max_lines = (lines), .connect_ns = UINT64_C(3000000000), .answer_ns = UINT64_C(30000000000),        \
        .idle_ns = UINT64_C(30000000000), .rate_ns = UINT64_C(30000000000), .rate_bytes = 16384              \
    }

struct http_client;

struct http_client *http_client_new(const struct http_limits *limits); /* NULL = out of memory */
void http_client_free(struct http_client *client);                     /* every exchange is closed */
DEFINE_AUTO(struct http_client, http_client_free)

struct http_field {
    const char *name;
    const char *value; /* no control bytes (MUST) */
};

/* A body that can be read any number of times. */
struct http_body {
    uint64_t size_bytes;
    /* Up to cap bytes at offset < size_bytes; at least one on OK. */
    enum err (*read)(void *context, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                     size_t *ret_count);
    void *context;
};

struct http_request {
    const char *method;
    const char *url; /* sent as it is: no dot segments resolved, nothing encoded */
    const struct http_field *fields;
    size_t field_count;
    const struct http_body *body; /* NULL = none */
};

/* Where a failed exchange failed: what a retry needs to know beside the error kind. */
enum http_trouble {
    HTTP_TROUBLE_NONE,
    HTTP_TROUBLE_CONNECT, /* no connection: nothing was sent */
    HTTP_TROUBLE_BROKEN,  /* reset, silence, or an answer that is not whole */
    HTTP_TROUBLE_FINAL    /* asking again will not help: our own failure, a bad certificate, cancelled */
};

struct http_exchange;

/* Sends and waits for the answer's header. Any status is success. ERR_UNAVAILABLE, ERR_TIMEOUT (a phase or the op), ERR_CORRUPT
 * (not HTTP), ERR_CONFIG (certificate), ERR_BUSY (no line became free), what body->read gave. Blocks. The request is borrowed
 * until the answer is complete or closed. */
enum err http_exchange_open(struct http_client *client, struct op *op, const struct http_request *request,
                            enum http_trouble *ret_trouble, struct http_exchange **ret_exchange) MUST_USE;
/* Bytes of the body as they came; *ret_count 0 = complete. Less than Content-Length promised is ERR_CORRUPT (REASON_BAD_ANSWER), a
 * reset is ERR_UNAVAILABLE; http_exchange_trouble tells the cause. */
enum err http_exchange_read(struct http_exchange *exchange, struct op *op, void *ret_bytes, size_t cap,
                            size_t *ret_count) MUST_USE;
void http_exchange_close(struct http_exchange *exchange); /* at any point */
DEFINE_AUTO(struct http_exchange, http_exchange_close)

unsigned http_exchange_status(const struct http_exchange *exchange);
/* The last field of that name (any case), trimmed; NULL when there is none. */
const char *http_exchange_field(const struct http_exchange *exchange, const char *name);
/* Content-Length; UINT64_MAX when unknown. */
uint64_t http_exchange_length(const struct http_exchange *exchange);
/* Whether the request went out more than once: libcurl repeats one whose kept connection turned out to be dead. */
bool http_exchange_resent(const struct http_exchange *exchange);
enum http_trouble http_exchange_trouble(const struct http_exchange *exchange);

#endif
