/* http_exchange.c - one request and its answer on one line: running the transfer and pulling its bytes. States in http_client.h, what
 * libcurl is told and calls in http_exchange_setup.c.
 *
 * The phases' limits are ours: libcurl's own cover connecting only. `progress_ns` is the last moment a byte of a body moved;
 * a body that moves, but hardly, ends the exchange too.
 */
#include "pools/object_store/http_exchange_parts.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <stdlib.h>

#define CANCEL_LOOK_NS (100 * NS_PER_MS)

/* ---- running ---- */

/* How the transfer ended, in our words. libcurl's texts name no URL. */
static enum err record_result(struct http_exchange *exchange, struct op *op) {
    const char *what = curl_easy_strerror(exchange->result);
    /* Connecting again failed after a kept connection had died: something may have been sent before. */
    enum http_trouble no_connection = exchange->sends > 0 ? HTTP_TROUBLE_BROKEN : HTTP_TROUBLE_CONNECT;
    exchange->trouble = HTTP_TROUBLE_FINAL;
    if (exchange->callback_err != OK) {
        return exchange->callback_err;
    }
    switch (exchange->result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        exchange->trouble = no_connection;
        return op_fail(op, REASON_UNAVAILABLE, "the endpoint cannot be reached: %s", what);
    case CURLE_OPERATION_TIMEDOUT: /* only connecting has a limit of libcurl's */
        exchange->trouble = no_connection;
        return op_fail(op, REASON_TIMEOUT, "the endpoint did not accept a connection in time");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return op_fail(op, REASON_BACKEND_CONFIG, "the endpoint's certificate is not trusted: %s", what);
    case CURLE_PARTIAL_FILE:
        exchange->trouble = HTTP_TROUBLE_BROKEN;
        return op_fail(op, REASON_BAD_ANSWER, "the answer ended before its promised length");
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: our own URLs are http or https */
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
        return op_fail(op, REASON_BAD_ANSWER, "the endpoint's answer is not HTTP/1.1");
    case CURLE_URL_MALFORMAT:
        return op_fail(op, REASON_BACKEND_CONFIG, "the endpoint is no usable address");
    case CURLE_OUT_OF_MEMORY:
        return op_no_memory(op);
    default: /* send, receive, TLS, an empty answer */
        exchange->trouble = HTTP_TROUBLE_BROKEN;
        return op_fail(op, REASON_UNAVAILABLE, "the connection to the endpoint broke: %s", what);
    }
}

static void look_for_end(struct http_exchange *exchange) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(exchange->line->multi, &left))) {
        if (message->msg == CURLMSG_DONE) {
            exchange->complete = true;
            exchange->result = message->data.result;
        }
    }
}

static enum err check_phase(struct http_exchange *exchange, struct op *op) {
    enum err err = op_check(op);
    if (err != OK) {
        exchange->trouble = HTTP_TROUBLE_FINAL;
        return err;
    }
    const struct http_limits *limits = http_client_limits(exchange->client);
    uint64_t quiet_ns = clock_now_ns() - exchange->progress_ns;
    if (quiet_ns < (exchange->header.complete ? limits->idle_ns : limits->answer_ns)) {
        return OK;
    }
    exchange->trouble = HTTP_TROUBLE_BROKEN;
    return op_fail(op, REASON_TIMEOUT, "the endpoint %s for %u s",
                   exchange->header.complete ? "was silent" : "did not answer",
                   (unsigned)(quiet_ns / NS_PER_S));
}

static bool all_sent(const struct http_exchange *exchange) {
    return !exchange->body || exchange->sent_bytes == exchange->body->size_bytes;
}

/* The store has all of the request and thinks: no body moves, and check_phase knows how long that may take. */
static bool is_thinking(const struct http_exchange *exchange) {
    return !exchange->header.complete && all_sent(exchange);
}

static enum err check_rate(struct http_exchange *exchange, struct op *op, uint64_t waited_ns) {
    const struct http_limits *limits = http_client_limits(exchange->client);
    exchange->waited_ns += is_thinking(exchange) ? 0 : waited_ns;
    if (exchange->waited_ns < limits->rate_ns) {
        return OK;
    }
    uint64_t moved_bytes = exchange->moved_bytes;
    exchange->waited_ns = exchange->moved_bytes = 0;
    if (moved_bytes >= limits->rate_bytes) {
        return OK;
    }
    exchange->trouble = HTTP_TROUBLE_BROKEN;
    return op_fail(op, REASON_TIMEOUT, "the endpoint moved no more than %llu bytes in %u s",
                   (unsigned long long)moved_bytes, (unsigned)(limits->rate_ns / NS_PER_S));
}

/* Runs the transfer until its header is in (before that), or the target has bytes, or it ended. */
static enum err run(struct http_exchange *exchange, struct op *op) {
    bool for_header = !exchange->header.complete;
    for (;;) {
        int running;
        if (curl_multi_perform(exchange->line->multi, &running) != CURLM_OK) {
            exchange->trouble = HTTP_TROUBLE_FINAL;
            return op_no_memory(op);
        }
        look_for_end(exchange);
        if (exchange->complete && exchange->result != CURLE_OK) {
            return record_result(exchange, op);
        }
        if (exchange->complete || exchange->target_size > 0 || (for_header && exchange->header.complete)) {
            return OK;
        }
        enum err err = check_phase(exchange, op);
        if (err != OK) {
            return err;
        }
        int wait_ms = (int)(op_left_ns(op, CANCEL_LOOK_NS) / NS_PER_MS);
        uint64_t began_ns = clock_now_ns();
        if (curl_multi_poll(exchange->line->multi, NULL, 0, wait_ms > 0 ? wait_ms : 1, NULL) != CURLM_OK) {
            exchange->trouble = HTTP_TROUBLE_FINAL;
            return op_no_memory(op);
        }
        err = check_rate(exchange, op, clock_now_ns() - began_ns);
        if (err != OK) {
            return err;
        }
    }
}

/* Takes the transfer off its line. libcurl closes the connection of an unfinished one. */
static void give_line_back(struct http_exchange *exchange) {
    if (exchange->line) {
        if (exchange->header.complete && !exchange->complete && all_sent(exchange)) {
            /* The last byte may be here without libcurl having drawn the conclusion: then the connection can be kept. */
            int running;
            curl_multi_perform(exchange->line->multi, &running);
            look_for_end(exchange);
        }
        curl_multi_remove_handle(exchange->line->multi, exchange->line->easy);
        curl_easy_reset(exchange->line->easy); /* no pointers to us stay behind */
        if (exchange->complete && exchange->result != CURLE_OK) {
            http_client_drop(exchange->client,
                             exchange->line); /* 7.88 refuses it after a name that did not resolve */
        } else {
            http_client_give(exchange->client, exchange->line);
        }
        exchange->line = NULL;
    }
    curl_slist_free_all(exchange->fields);
    exchange->fields = NULL;
    exchange->body = NULL;
}

enum err http_exchange_open(struct http_client *client, struct op *op, const struct http_request *request,
                            enum http_trouble *ret_trouble, struct http_exchange **ret_exchange) {
    *ret_trouble = HTTP_TROUBLE_FINAL;
    AUTO(http_exchange_close) struct http_exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange) {
        return op_no_memory(op);
    }
    exchange->magic = HTTP_EXCHANGE_MAGIC;
    exchange->client = client;
    exchange->op = op;
    exchange->body = request->body;
    http_header_init(&exchange->header, HTTP_MOST_HEADER_BYTES);
    enum err err = http_client_take(client, op, &exchange->line);
    if (err != OK) {
        return err;
    }
    if (!http_exchange_set_up(exchange, request) ||
        curl_multi_add_handle(exchange->line->multi, exchange->line->easy) != CURLM_OK) {
        return op_no_memory(op);
    }
    exchange->progress_ns = clock_now_ns();
    err = run(exchange, op);
    if (err != OK) {
        *ret_trouble = exchange->trouble;
        return err;
    }
    exchange->op = NULL;
    *ret_trouble = HTTP_TROUBLE_NONE;
    *ret_exchange = STEAL(exchange);
    return OK;
}

static void move_surplus(struct http_exchange *exchange) {
    size_t moved = exchange->target_cap - exchange->target_size;
    if (moved > exchange->surplus_size) {
        moved = exchange->surplus_size;
    }
    memcpy(exchange->target + exchange->target_size, exchange->surplus + exchange->surplus_at, moved);
    exchange->target_size += moved;
    exchange->surplus_at += moved;
    exchange->surplus_size -= moved;
}

enum err http_exchange_read(struct http_exchange *exchange, struct op *op, void *ret_bytes, size_t cap,
                            size_t *ret_count) {
    MUST(cap > 0);
    exchange->target = ret_bytes;
    exchange->target_cap = cap;
    exchange->target_size = 0;
    exchange->op = op;
    exchange->progress_ns = clock_now_ns(); /* the caller's own pauses are not the server's */
    move_surplus(exchange);
    enum err err = OK;
    if (exchange->surplus_size == 0 && exchange->paused) {
        exchange->paused = false;
        curl_easy_pause(exchange->line->easy, CURLPAUSE_CONT); /* may call on_body at once */
    }
    if (exchange->target_size == 0 && !exchange->complete) {
        err = run(exchange, op);
    }
    size_t count = exchange->target_size;
    exchange->target = NULL;
    exchange->target_size = 0;
    exchange->op = NULL;
    if (err != OK) {
        return err;
    }
    if (count == 0) {
        give_line_back(exchange);
    }
    *ret_count = count;
    return OK;
}

void http_exchange_close(struct http_exchange *exchange) {
    if (!exchange) {
        return;
    }
    MUST(exchange->magic == HTTP_EXCHANGE_MAGIC);
    give_line_back(exchange);
    http_header_fini(&exchange->header);
    exchange->magic = 0;
    free(exchange);
}

/* ---- what the answer says ---- */

unsigned http_exchange_status(const struct http_exchange *exchange) {
    return exchange->header.status;
}

bool http_exchange_resent(const struct http_exchange *exchange) {
    return exchange->sends > 1;
}

enum http_trouble http_exchange_trouble(const struct http_exchange *exchange) {
    return exchange->trouble;
}

const char *http_exchange_field(const struct http_exchange *exchange, const char *name) {
    return http_header_field(&exchange->header, name);
}

uint64_t http_exchange_length(const struct http_exchange *exchange) {
    const char *text = http_exchange_field(exchange, "Content-Length");
    if (!text || *text < '0' || *text > '9') {
        return UINT64_MAX;
    }
    char *end = NULL;
    uint64_t length =
        strtoull(text, &end, 10); /* too large is ULLONG_MAX: unknown, as is what is no number */
    return *end ? UINT64_MAX : length;
}
