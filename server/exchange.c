/* exchange.c - the poll thread's part of an exchange: the HTTP library's callbacks. See exchange_parts.h for the states. */
#include "server/exchange_parts.h"

#include "pools/base/must.h"
#include "server/access_log.h"

#include <stdio.h>
#include <sys/socket.h>

/* How much of a body is still read after the answer was written by hand. */
#define LINGER_MOST_BYTES (64u * 1024 * 1024)

size_t exchange_keep_escapes(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

/* ---- state 1: the head ---- */

/* We have the target by now. The library would make a record of each argument in the connection's memory, and where that runs out version
 * 0.9.75 leaves the request without an answer. The text lies in that memory too, so it may be written to. */
static void hide_query(const char *target) {
    const char *mark = strchr(target, '?');
    if (mark && mark[1]) {
        *(char *)((uintptr_t)mark + 1) = '\0';
    }
}

void *exchange_on_target(void *context, const char *target, struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct client *client = info ? info->socket_context : NULL;
    if (!client) {
        return NULL;
    }
    if (watch_phase(&client->watch) != WATCH_OPENED) { /* a first request's time counts from the connect */
        watch_enter(&client->watch, WATCH_HEAD);
    }
    struct exchange *exchange = exchange_begin(context, client, connection, target ? target : "");
    if (target) {
        hide_query(target);
    }
    return exchange;
}

static enum err authorize(struct exchange *exchange) {
    const struct auth *auth = exchange->set->config.auth;
    struct request *request = &exchange->request;
    if (!auth_is_open(auth)) {
        return auth_check(auth, &request->op, request->route->scope,
                          request->io->header(request, "Authorization"));
    }
    const char *origin = request->io->header(request, "Origin");
    if (!origin || exchange_has_own_answer(exchange)) {
        return OK; /* no page, or one that was let in by name */
    }
    return auth_check_origin(auth, &request->op, request->method, origin,
                             request->io->header(request, "Host"));
}

/* Routes, authenticates, peeks. True when the answer stands, false when a lane has it. */
static bool begin_handling(struct exchange *exchange) {
    struct request *request = &exchange->request;
    struct response *response = &exchange->response;
    enum api_step step = api_route(request, response, exchange->target);
    if (step != API_DONE) {
        enum err err = authorize(exchange);
        if (err) {
            api_problem(request, response, &request->op, err);
            step = API_DONE;
        } else {
            step = api_peek(request, response);
        }
    }
    if (step == API_DONE) {
        exchange->answered = true;
        return true;
    }
    if (!exchange_start_lane(exchange)) { /* there was no memory: that is the answer */
        exchange->answered = true;
        return true;
    }
    return false; /* from here on `answered` is the lane's, under the mutex */
}

/* The answer stands before the body came. */
static enum MHD_Result answer_early(struct exchange *exchange) {
    const struct screened *screened = &exchange->screened;
    if (screened->expects_continue || exchange->response.close_after) {
        return exchange_queue(
            exchange); /* in the first call: the library closes afterwards and reads no body */
    }
    if (screened->body_bytes != UINT64_MAX &&
        screened->body_bytes > exchange->set->config.discard_most_bytes) {
        exchange_answer_by_hand(exchange);
        return MHD_YES;
    }
    exchange->state = EXCHANGE_DISCARD;
    return MHD_YES;
}

/* The header block may have left the library no memory for an answer's header. What the library would still send, the go-ahead for a body
 * among it, goes nowhere. */
static enum MHD_Result refuse_by_hand(struct exchange *exchange) {
    exchange_answer_by_hand(exchange);
    (void)shutdown(exchange->client->watch.fd, SHUT_WR);
    return MHD_YES;
}

static enum MHD_Result on_head(struct exchange *exchange, const char *method, const char *version) {
    struct request *request = &exchange->request;
    enum err err = exchange_take_head(exchange, method, version);
    if (err) {
        api_problem(request, &exchange->response, &request->op, err);
        exchange->response.close_after = true;
        return err == ERR_HEADERS_TOO_LARGE ? refuse_by_hand(exchange) : exchange_queue(exchange);
    }
    const struct screened *screened = &exchange->screened;
    request->body_length = screened->has_body ? screened->body_bytes : 0;
    if (!screened->has_body) {
        exchange->state = EXCHANGE_READY;
        return MHD_YES;
    }
    exchange->state = EXCHANGE_BODY;
    watch_enter(&exchange->client->watch, WATCH_BODY);
    return begin_handling(exchange) ? answer_early(exchange) : MHD_YES;
}

/* ---- states 3 to 5: the body ---- */

/* The client has ended its side before the announced length, and the library has handed over all it had: it may miss that end when
 * it came together with the last bytes (0.9.75). Chunked bodies are left to the reaper. */
static bool ended_too_early(struct exchange *exchange) {
    char byte = 0;
    return exchange->screened.body_bytes != UINT64_MAX &&
           exchange->received_bytes < exchange->screened.body_bytes &&
           recv(exchange->client->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static enum MHD_Result on_discard(struct exchange *exchange, size_t *count) {
    exchange->discarded_bytes += *count;
    exchange->received_bytes += *count;
    *count = 0;
    if (exchange->state == EXCHANGE_DISCARD &&
        exchange->discarded_bytes > exchange->set->config.discard_most_bytes) {
        exchange_answer_by_hand(exchange);
    } else if (exchange->state == EXCHANGE_LINGER && exchange->discarded_bytes > LINGER_MOST_BYTES) {
        return MHD_NO;
    }
    return ended_too_early(exchange) ? MHD_NO : MHD_YES;
}

/* Into the pipe; parks when that is full. */
static enum MHD_Result on_body(struct exchange *exchange, const char *bytes, size_t *count) {
    watch_enter(&exchange->client->watch, WATCH_BODY);
    struct pipe *in = &exchange->in;
    enum MHD_Result result = MHD_YES;
    for (;;) {
        size_t taken = pipe_write(in, bytes, *count);
        bytes += taken;
        *count -= taken;
        exchange->received_bytes += taken;
        void *where = NULL;
        mutex_lock(&exchange->mutex);
        if (exchange->body_wanted && pipe_used(in)) {
            exchange->body_wanted = false;
            exchange_schedule(exchange);
        }
        bool answered = exchange->answered;
        bool full = *count && !answered && !pipe_space(in, &where);
        if (full && !exchanges_are_hurrying(exchange->set)) {
            exchange->parked = true;
            watch_enter(&exchange->client->watch, WATCH_WORK);
            MHD_suspend_connection(exchange->connection);
        } else if (full) {
            result = MHD_NO;
        }
        mutex_unlock(&exchange->mutex);
        if (answered) {
            exchange->state = EXCHANGE_DISCARD;
            return on_discard(exchange, count);
        }
        if (full) {
            return result;
        }
        if (!*count) {
            return ended_too_early(exchange) ? MHD_NO : MHD_YES;
        }
    }
}

static enum MHD_Result on_body_end(struct exchange *exchange) {
    if (exchange->state == EXCHANGE_LINGER) {
        return MHD_NO; /* answered already; the connection is out of step with the library */
    }
    if (exchange->state == EXCHANGE_BODY) {
        exchange_take_trailers(exchange);
        exchange->body_ended = true;
        pipe_end(&exchange->in, OK);
        mutex_lock(&exchange->mutex);
        if (exchange->body_wanted) {
            exchange->body_wanted = false;
            exchange_schedule(exchange);
        }
        mutex_unlock(&exchange->mutex);
    }
    exchange->state = EXCHANGE_WORK;
    return exchange_queue_or_park(exchange);
}

/* ---- the library's call ---- */

enum MHD_Result exchange_on_call(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload_data,
                                 size_t *upload_data_size, void **req_context) {
    (void)context;
    (void)connection;
    (void)url;
    struct exchange *exchange = *req_context;
    if (!exchange) {
        return MHD_NO; /* there was no memory for it */
    }
    MUST(exchange->magic == EXCHANGE_MAGIC);
    switch (exchange->state) {
    case EXCHANGE_HEAD:
        return on_head(exchange, method, version);
    case EXCHANGE_READY:
        exchange->state = EXCHANGE_WORK;
        return begin_handling(exchange) ? exchange_queue(exchange) : exchange_queue_or_park(exchange);
    case EXCHANGE_BODY:
        return *upload_data_size ? on_body(exchange, upload_data, upload_data_size) : on_body_end(exchange);
    case EXCHANGE_DISCARD:
    case EXCHANGE_LINGER:
        return *upload_data_size ? on_discard(exchange, upload_data_size) : on_body_end(exchange);
    case EXCHANGE_WORK:
        return exchange_queue_or_park(exchange);
    case EXCHANGE_ANSWER:
        break;
    }
    return MHD_YES;
}

/* ---- the end ---- */

/* How far the library came with a mapped body it does not tell; of one that broke off counts what the client acknowledged. */
static uint64_t sent_bytes(const struct exchange *exchange, bool complete) {
    if (!exchange->mapped || complete) {
        return exchange->sent_bytes;
    }
    uint64_t acked = watch_acked_bytes(&exchange->client->watch) - exchange->acked_before;
    return acked < exchange->sent_bytes ? acked : exchange->sent_bytes;
}

static void write_log(const struct exchange *exchange, bool complete, bool has_fault) {
    struct access_record record = {
        .client = exchange->client->address,
        .method = exchange->method,
        .target = exchange->target,
        .operation = exchange->request.route ? exchange->request.route->operation : "",
        .status = exchange->status,
        .sent_bytes = sent_bytes(exchange, complete),
        .started_ns = exchange->started_ns,
        .request_id = exchange->request.op.request_id,
        .complete = complete,
        .fault = has_fault && exchange->fault.reason != REASON_NONE ? &exchange->fault : NULL,
    };
    access_log_write(&record);
}

/* No lane has it any more, and nothing is left over that would have to be finished on one. Mutex held. */
static bool is_settled(const struct exchange *exchange) {
    return exchange->work == WORK_IDLE && exchange->answered && !exchange->pumping;
}

/* Who ends last frees: see "Lifetime" in exchange_parts.h. */
void exchange_on_completed(void *context, struct MHD_Connection *connection, void **req_context,
                           enum MHD_RequestTerminationCode code) {
    (void)connection;
    struct exchanges *set = context;
    struct exchange *exchange = *req_context;
    *req_context = NULL;
    if (!exchange) {
        return;
    }
    MUST(exchange->magic == EXCHANGE_MAGIC);
    struct client *client = exchange->client;
    client->exchange = NULL;
    watch_enter(&client->watch, WATCH_IDLE);
    if (exchange->in.capacity && !exchange->body_ended) {
        pipe_end(&exchange->in, ERR_CANCELLED);
    }
    if (!exchange->on_lane) { /* only ever set by this thread: nobody else has seen the exchange */
        if (exchange->started_ns) {
            write_log(exchange, code == MHD_REQUEST_TERMINATED_COMPLETED_OK, true);
        }
        exchange_finish(exchange);
        exchange_put_back(exchange);
        exchange_leave(set);
        return;
    }
    atomic_store(&exchange->request.op.cancelled, true);

    if (exchange->started_ns) {
        bool complete = code == MHD_REQUEST_TERMINATED_COMPLETED_OK;
        mutex_lock(&exchange->mutex);
        bool fault_stands = is_settled(exchange);
        mutex_unlock(&exchange->mutex);
        write_log(exchange, complete, fault_stands);
    }

    mutex_lock(&exchange->mutex);
    exchange->open = false;
    if (exchange->work == WORK_DUE) {
        exchange->work = WORK_IDLE; /* this thread does not come to it any more */
    }
    bool lane_has_it = exchange->work != WORK_IDLE;
    if (!lane_has_it && !is_settled(exchange)) {
        exchange_schedule(exchange);
        lane_has_it = true;
    }
    mutex_unlock(&exchange->mutex);

    if (!lane_has_it) {
        exchange_finish(exchange);
        exchange_free(exchange);
    }
    exchange_leave(set);
}
