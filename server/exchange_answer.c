/* exchange_answer.c - queueing an answer, pulling its body, and writing one past the library. See exchange_parts.h. */
#include "server/exchange_parts.h"

#include "api/api.h"
#include "pools/base/log.h"
#include "pools/base/must.h"
#include "server/reply.h"

#include <sys/socket.h>

static int socket_of(struct exchange *exchange) {
    return exchange->client->watch.fd;
}

/* An answer whose end is the end of the connection must not end well when it is not complete: reset it. */
static void reset_socket(int fd) {
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (connect(fd, &nobody, sizeof nobody) != 0) {
        (void)shutdown(fd, SHUT_RDWR); /* not connected any more: then nobody reads the end */
    }
}

static ssize_t cut_body(struct exchange *exchange) {
    if (exchange->screened.is_http_1_0 && exchange->response.content_length == SIZE_UNKNOWN) {
        reset_socket(socket_of(exchange));
    }
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* The pipe is empty and no lane has the exchange: takes the lane's part for as long as a read needs that does not wait. Mutex held; let go
 * meanwhile. What cannot be had at once is a lane's work. */
static size_t read_directly_locked(struct exchange *exchange, char *buffer, size_t most) {
    if (!exchange->reads_now) {
        return 0;
    }
    if (exchange->work != WORK_IDLE) {
        exchange_schedule(exchange); /* it may be about to end its run: one more fills the pipe */
        return 0;
    }
    const struct body_source *source = &exchange->response.source;
    if (!exchange->pumping) {
        return 0;
    }
    exchange->work = WORK_RUNNING;
    mutex_unlock(&exchange->mutex);
    size_t count = 0;
    enum err err = source->read_now(source->context, buffer, most, &count);
    mutex_lock(&exchange->mutex);
    bool again = exchange->work == WORK_AGAIN;
    exchange->work = WORK_IDLE;
    count = err ? 0 : count;
    exchange->pumped_bytes += count;
    bool is_last = exchange->pumped_bytes == exchange->response.content_length;
    if (err || again ||
        is_last) { /* after the last byte a lane closes the source while the client still takes it */
        exchange_schedule(exchange);
    }
    return count;
}

/* The library wants bytes of a pulled body. Returning 0 without parking would make it spin. */
static ssize_t read_source(void *context, uint64_t position, char *buffer, size_t most) {
    struct exchange *exchange = context;
    MUST(exchange->magic == EXCHANGE_MAGIC);
    (void)position;
    struct pipe *out = &exchange->out;
    watch_enter(&exchange->client->watch, WATCH_SEND);
    for (;;) {
        size_t count = pipe_read(out, buffer, most);
        if (count) {
            exchange->sent_bytes += count;
            if (pipe_used(out) <= out->capacity / 2) {
                mutex_lock(&exchange->mutex);
                if (exchange->space_wanted) {
                    exchange->space_wanted = false;
                    exchange_schedule(exchange);
                }
                mutex_unlock(&exchange->mutex);
            }
            return (ssize_t)count;
        }
        enum err result = OK;
        if (pipe_at_end(out, &result)) {
            return result ? cut_body(exchange) : MHD_CONTENT_READER_END_OF_STREAM;
        }
        mutex_lock(&exchange->mutex);
        if (pipe_used(out) || pipe_at_end(out, &result)) {
            mutex_unlock(&exchange->mutex);
            continue;
        }
        count = read_directly_locked(exchange, buffer, most);
        bool may_park = !count && !exchanges_are_hurrying(exchange->set);
        if (may_park) {
            exchange->parked = true;
            watch_enter(&exchange->client->watch, WATCH_WORK);
            MHD_suspend_connection(exchange->connection);
        }
        mutex_unlock(&exchange->mutex);
        exchange->sent_bytes += count;
        return count ? (ssize_t)count : may_park ? 0 : cut_body(exchange);
    }
}

static uint64_t body_bytes(const struct exchange *exchange) {
    const struct response *response = &exchange->response;
    switch (response->body_kind) {
    case BODY_TEXT:
        return response->text.size;
    case BODY_ENTRY:
        return response->content_length;
    case BODY_SOURCE:
        return exchange->mapped ? response->content_length : 0; /* else counted as it goes */
    case BODY_NONE:
        break;
    }
    return 0;
}

/* ---- pages of other sites ---- */

static struct cors_ask cors_ask_of(const struct exchange *exchange) {
    const struct headers *headers = &exchange->headers;
    const struct header_field *origin = headers_find(headers, "Origin");
    return (struct cors_ask){
        .origin = origin ? origin->value : NULL,
        .origin_bytes = origin ? origin->value_bytes : 0,
        .is_preflight = origin && exchange->request.method == METHOD_OPTIONS &&
                        headers_find(headers, "Access-Control-Request-Method"),
    };
}

bool exchange_is_from_named_page(const struct exchange *exchange) {
    struct cors_ask ask = cors_ask_of(exchange);
    return ask.origin && cors_names(exchange->set->config.cors, ask.origin, ask.origin_bytes);
}

static void describe_for_pages(struct exchange *exchange) {
    if (exchange->set->config.cors) {
        struct cors_ask ask = cors_ask_of(exchange);
        enum reason fault = exchange->response.fault.reason;
        cors_describe(exchange->set->config.cors, &ask, &exchange->response);
        if (!fault) {
            fault_clear(&exchange->response.fault); /* without room for the fields the answer is still good */
        }
    }
}

/* ---- queueing ---- */

/* Whether the reply depends on the entry alone, so that it may stay with it. */
static bool may_keep(const struct exchange *exchange) {
    const struct response *response = &exchange->response;
    return response->reusable && response->body_kind == BODY_ENTRY && response->status == MHD_HTTP_OK &&
           exchange->request.method == METHOD_GET && !response->close_after &&
           !exchange_has_own_answer(exchange);
}

static struct MHD_Response *new_reply(struct exchange *exchange, bool closing) {
    describe_for_pages(exchange);
    struct reply_options options = {
        .is_head = exchange->request.method == METHOD_HEAD,
        .close_after = closing,
        .room_bytes = exchange->screened.answer_room_bytes,
        .mapped = exchange->mapped,
        .reader = read_source,
        .reader_context = exchange,
    };
    return reply_new(&exchange->response, &options);
}

enum MHD_Result exchange_queue(struct exchange *exchange) {
    struct response *response = &exchange->response;
    uint64_t bytes = exchange->request.method == METHOD_HEAD ? 0 : body_bytes(exchange);
    bool closing = exchange->closing || (exchange->on_lane && atomic_load_explicit(&exchange->set->draining,
                                                                                   memory_order_relaxed));
    MUST(!exchange->on_lane ||
         !response->reusable); /* has_prepared is a peek's: it has seen the same `closing` */
    bool keep = !closing && may_keep(exchange);
    struct MHD_Response *kept = keep ? reply_kept(response->entry) : NULL;
    struct MHD_Response *reply = kept ? kept : new_reply(exchange, closing);
    if (!reply) {
        log_line(LOG_ERROR, "exchange", "out of memory while answering");
        return MHD_NO;
    }
    enum MHD_Result result = MHD_queue_response(exchange->connection, response->status, reply);
    if (result == MHD_YES) {
        exchange->state = EXCHANGE_ANSWER;
        exchange->status = response->status;
        exchange->sent_bytes = bytes;
        if (exchange->mapped && exchange->started_ns) {
            exchange->acked_before = watch_acked_bytes(&exchange->client->watch);
        }
        watch_enter(&exchange->client->watch, WATCH_SEND);
    }
    if (!kept && keep) {
        reply_keep(response->entry, reply);
    } else if (!kept) {
        MHD_destroy_response(reply);
    }
    if (response->fault.reason != REASON_NONE) {
        exchange->fault = response->fault;
    }
    if (response->body_kind != BODY_SOURCE) {
        exchange_finish(exchange);
    }
    return result;
}

enum MHD_Result exchange_queue_or_park(struct exchange *exchange) {
    mutex_lock(&exchange->mutex);
    while (exchange->work == WORK_DUE && !exchanges_are_hurrying(exchange->set)) {
        exchange_run_now_locked(exchange);
    }
    bool answered = exchange->answered;
    bool may_park = !answered && !exchanges_are_hurrying(exchange->set);
    if (may_park) {
        exchange->parked = true;
        watch_enter(&exchange->client->watch, WATCH_WORK);
        MHD_suspend_connection(exchange->connection);
    }
    mutex_unlock(&exchange->mutex);
    if (answered) {
        return exchange_queue(exchange);
    }
    return may_park ? MHD_YES : MHD_NO;
}

void exchange_answer_by_hand(struct exchange *exchange) {
    struct response *response = &exchange->response;
    AUTO(buf_fini) struct buf text;
    buf_init(&text, RESPONSE_HEADER_BYTES + RESPONSE_TEXT_MOST_BYTES);
    exchange->state = EXCHANGE_LINGER;
    exchange->status = response->status;
    describe_for_pages(exchange);
    if (reply_format(response, &text) == OK) {
        /* The socket has sent nothing for this request, so a short answer fits into its buffer. */
        size_t body_bytes_left_out = exchange->request.method == METHOD_HEAD ? response->text.size : 0;
        ssize_t sent = send(socket_of(exchange), text.data, text.size - body_bytes_left_out,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
        exchange->sent_bytes = sent > 0 ? (uint64_t)sent : 0;
    }
    if (response->fault.reason != REASON_NONE) {
        exchange->fault = response->fault;
    }
    exchange->discarded_bytes = 0;
}
