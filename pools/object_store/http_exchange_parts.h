/* http_exchange_parts.h - the inside of an exchange, shared by its two files:
 *
 *   http_exchange_setup.c  what libcurl is told about a request, and the callbacks through which it moves the bytes
 *   http_exchange.c        running the transfer, pulling the answer, what the answer says
 *
 * libcurl pushes bytes at callbacks; our callers pull. The body callback writes straight into the buffer of the read under
 * way, keeps what does not fit (one callback's worth at most) in `surplus`, and pauses the transfer when even that is taken.
 * Between reads nobody runs the transfer, so the kernel's socket buffer is all that fills: back-pressure for free.
 */
#ifndef POOLS_OBJECT_STORE_HTTP_EXCHANGE_PARTS_H
#define POOLS_OBJECT_STORE_HTTP_EXCHANGE_PARTS_H

#include "pools/object_store/http_header.h"
#include "pools/object_store/http_line.h"

#define HTTP_EXCHANGE_MAGIC 0x48545831u

struct http_exchange {
    unsigned magic;
    struct http_client *client;
    struct http_line *line; /* NULL once given back */
    struct curl_slist *fields;
    struct op *op;         /* of the call under way */
    enum err callback_err; /* what made a callback stop the transfer; recorded in op */
    enum http_trouble trouble;
    bool complete; /* libcurl has said how the transfer ended */
    CURLcode result;
    uint64_t progress_ns;
    uint64_t waited_ns; /* for a body to move, since the last look at its rate */
    uint64_t moved_bytes;

    /* The request's body */
    const struct http_body *body;
    uint64_t sent_bytes;
    unsigned sends; /* connections that carried the request, or some of it */

    struct http_header header;

    /* The answer's body */
    char *target; /* of the read under way, NULL between reads */
    size_t target_cap;
    size_t target_size;
    bool paused;
    size_t surplus_at;
    size_t surplus_size;
    char surplus[CURL_MAX_WRITE_SIZE];
};

/* ---- http_exchange_setup.c ---- */
/* Prepares the line's easy handle for the request. False when out of memory. */
bool http_exchange_set_up(struct http_exchange *exchange, const struct http_request *request);

#endif
