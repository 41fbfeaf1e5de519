/* handler.h - what a request and an answer are to the REST surface; no libmicrohttpd, no storage detail.
 *
 * server/exchange owns both objects and drives them:
 *   1 api_route      poll thread. Parses the raw target, finds the route, checks what can be checked from the head alone.
 *   2 route->peek    poll thread, never blocks: API_DONE when the answer is here (never a BODY_SOURCE), API_LANE to go on a lane.
 *   3 route->run     on the lane api_lane names; called again after every wake until API_DONE. API_WAIT means: something
 *                    (the request body, a flight) holds this request's waker and will call it.
 *   4 response body  BODY_SOURCE is pulled by further lane tasks while the client takes what was pulled; ERR_AGAIN as in 3.
 *   5 api_finish     once, after the answer stands or the client is gone: frees what the handler kept, and pool and target. It may
 *                    run as soon as the answer is handed over, while its body (BODY_TEXT, BODY_ENTRY, what is left of a BODY_SOURCE
 *                    that has been read and closed) still flows to the client: a body stands on nothing of the request.
 * A handler never holds a thread for a slow client, nor for another request.
 *
 * Threads: one at a time per request (the exchange sees to it); only request_wake may be called from any thread.
 */
#ifndef API_HANDLER_H
#define API_HANDLER_H

#include "api/target.h"
#include "pools/base/buf.h"
#include "pools/base/executor.h"
#include "pools/base/op.h"
#include "pools/base/waker.h"
#include "pools/pool.h"

#include <stdbool.h>
#include <stdint.h>

enum http_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_PUT,
    METHOD_POST,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

enum api_step { API_DONE, API_WAIT, API_LANE };

/* Who may: the token's scope a route needs (design.md section 7). SCOPE_OPEN needs none (liveness). */
enum scope { SCOPE_OPEN, SCOPE_READ, SCOPE_WRITE, SCOPE_ADMIN };

struct api;
struct route;
struct request;
struct response;

#define BODY_LENGTH_UNKNOWN UINT64_MAX

/* What the server does for a request. */
struct request_io {
    /* The field's value, or NULL; name is matched without case. A field sent twice is joined by ", " when it is a list field and
     * refused earlier when it is not. Valid until the exchange ends. */
    const char *(*header)(const struct request *request, const char *name);
    /* OK and a count > 0; OK and 0 = the body is complete; ERR_AGAIN = request_wake will come; ERR_CANCELLED = the client
     * left or lied about the length. Lanes only. */
    enum err (*read_body)(struct request *request, void *ret_bytes, size_t cap, size_t *ret_count);
    /* Whether the server already keeps the finished answer of a plain 200 GET of this very entry; true stays true while the
     * entry lives. Then a handler that would set `reusable` may answer status 200, BODY_ENTRY with its entry and
     * `reusable` and leave out every header: the kept ones are sent. Any thread, no lock. NULL = the server keeps none. */
    bool (*has_prepared)(const struct request *request, const struct entry *entry);
    /* Whether the request's token, if one is asked for at all, gives it this scope. Of use on open routes; the others have been judged.
     * NULL = everybody may. */
    bool (*may)(const struct request *request, enum scope scope);
    /* Whether the process is about to end. NULL = it never is. */
    bool (*is_draining)(const struct request *request);
};

struct request {
    const struct request_io *io;
    struct api *api;
    enum http_method method;
    const char *method_text;
    struct target target;      /* parsed from the raw request target; owned (target_fini) */
    const struct route *route; /* NULL until api_route succeeded */
    /* the pool that the path names, referenced; set before a handler is called, NULL = none */
    struct pool *pool;
    uint64_t body_length; /* declared Content-Length, 0 when there is no body, or BODY_LENGTH_UNKNOWN */
    struct op op;
    struct waker waker;   /* wakes this request's run / body source */
    struct buf json_body; /* filled by request_collect_body */
    /* Set by a peek: what the poll thread runs in place of the lane's run, after the peek and after every wake. It never blocks and pulls no
     * body; API_LANE gives the request to its lane for good. NULL = straight to the lane */
    enum api_step (*run_now)(struct request *request, struct response *response);
    /* Set by a peek: the lane may have to wait for this remote pool of the chain. Only compared: it may be gone by then. */
    const struct pool *reaches_out;
    void *kept; /* the handler's own state between calls; gone after api_finish */
    void (*kept_free)(void *kept);
};

/* ---- answers ---- */
enum body_kind {
    BODY_NONE,  /* no body; content_length is still sent for HEAD and 304 when it is known */
    BODY_TEXT,  /* response->text */
    BODY_ENTRY, /* response->entry, a reference */
    BODY_SOURCE /* pulled */
};

/* Pulled on a lane. read as chain_read_next: OK + count > 0, OK + 0 = end, ERR_AGAIN, or a failure (the connection is cut). read_now, or
 * NULL: the same on the poll thread, without waiting; OK + count > 0, or ERR_AGAIN for a lane to go on. Never both at once. map, or NULL: asked
 * on a lane before the first read, for the whole body (`bytes` = content_length): OK and memory, good until close, of which nobody
 * but the kernel may look at a byte (send); or ERR_AGAIN: read it. */
struct body_source {
    enum err (*read)(void *context, struct op *op, void *ret_bytes, size_t cap, size_t *ret_count);
    enum err (*read_now)(void *context, void *ret_bytes, size_t cap, size_t *ret_count);
    enum err (*map)(void *context, size_t bytes, const void **ret_bytes);
    void (*close)(void *context); /* exactly once */
    void *context;
};

#define RESPONSE_MOST_HEADERS 24
#define RESPONSE_HEADER_BYTES                                                                                \
    16384 /* names and values together; a value that does not fit is an INTERNAL error */
#define RESPONSE_TEXT_MOST_BYTES (16 * 1024 * 1024) /* of BODY_TEXT: a page of 1000 ids, all escaped, fits */

struct response_header {
    const char *name;  /* static */
    const char *value; /* in header_text */
};

struct response {
    unsigned status;
    unsigned header_count;
    struct response_header header[RESPONSE_MOST_HEADERS];
    struct buf header_text;
    enum body_kind body_kind;
    struct buf text;
    struct entry *entry;
    struct body_source source;
    /* BODY_ENTRY: where the body begins in the entry's; content_length bytes of it are sent */
    uint64_t entry_offset;
    uint64_t content_length; /* SIZE_UNKNOWN = chunked; for BODY_NONE the length a GET would have */
    bool close_after;        /* the connection ends after this answer */
    /* The server may keep the finished answer with the entry (entry_note) and reuse it for the next plain GET of that very entry:
     * set only when status, headers and body depend on the entry alone. */
    bool reusable;
    /* For the access log; not sent. */
    struct fault fault;
};

void response_init(struct response *response);
void response_fini(struct response *response); /* frees text, unrefs entry, closes source */
/* Back to the state after init (an error replaces what was begun). */
void response_reset(struct response *response);
/* An answer to HEAD keeps its length and loses its body; every answer passes here before the server gets it. */
void response_drop_body_for_head(const struct request *request, struct response *response);
/* Turns a finished BODY_TEXT answer into its 304: no body, the length a 200 would have. A 304 must not leave the length open, or it
 * would announce a chunked body that never comes. */
void response_not_modified(struct response *response);
/* Copies the value; `name` must be a literal. Control bytes in a value are a MUST (they were checked at the door). */
void response_header(struct response *response, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
/* The same for a value that is text already. */
void response_header_text(struct response *response, const char *name, const char *text);
/* Adds a field's name to Vary. */
void response_vary(struct response *response, const char *name);
const char *response_get_header(const struct response *response, const char *name);

/* ---- the route table ---- */
enum body_rule {
    BODY_REFUSED,    /* a body is 400 */
    BODY_JSON,       /* collected up to the JSON limit; needs application/json */
    BODY_MAYBE_JSON, /* the same, or none at all */
    BODY_COLLECTED,  /* collected up to the JSON limit; the handler looks at the type */
    BODY_STREAMED    /* read by the handler */
};

enum work_place {
    WORK_AT_STORE, /* run asks the pool's storage, which may be behind a network and hang */
    WORK_AT_HAND   /* run needs what is in the process or its state.db: it waits for nobody's store */
};

struct route {
    enum http_method method;
    /* "/pools/{nick}/entries/{id}": segments; a {name} takes one segment, decoded once */
    const char *pattern;
    const char *operation; /* operationId in openapi.yaml */
    enum scope scope;
    enum body_rule body;
    enum work_place work;
    enum api_step (*peek)(struct request *request,
                          struct response *response); /* NULL = straight to the lane */
    enum api_step (*run)(struct request *request, struct response *response);
    const char *const *query; /* NULL-terminated names of the allowed query parameters; others are 400 */
};

/* ---- what the server calls; it sets method, method_text and body_length between request_init and the rest ---- */
void request_init(struct request *request, const struct request_io *io, struct api *api, uint64_t request_id,
                  struct waker waker);
/* The raw request target as it stood on the request line (path and query, undecoded). API_LANE: routed. API_DONE: an error answer is
 * ready (request->route may be NULL). */
enum api_step api_route(struct request *request, struct response *response, const char *raw_target);
/* Peek; API_LANE when the route has none. Only after api_route gave API_LANE. */
enum api_step api_peek(struct request *request, struct response *response);
enum api_step api_run(struct request *request, struct response *response);
/* request->run_now, which is NULL after API_LANE. */
enum api_step api_run_now(struct request *request, struct response *response);
enum lane api_lane(const struct request *request);
/* The share of that lane (executor.h): the remote pool's that may keep the request waiting, else nobody's. */
const void *api_share(const struct request *request);
/* Any failure of the exchange itself (screening, auth, limits), as problem+json. Uses op->fault. */
void api_problem(struct request *request, struct response *response, struct op *op, enum err kind);
void api_finish(struct request *request);

/* ---- helpers for handlers ---- */
/* Collects the whole body into request->json_body: OK when complete, ERR_AGAIN, or the failure (TOO_LARGE, ...). */
enum err request_collect_body(struct request *request, size_t most_bytes) MUST_USE;
/* io->read_body for handlers: a client that left early is ERR_INVALID (REASON_BODY_INCOMPLETE). */
enum err request_read_body(struct request *request, void *ret_bytes, size_t cap, size_t *ret_count) MUST_USE;
void request_keep(struct request *request, void *kept, void (*kept_free)(void *kept));

#endif
