/* s3_call.c - one signed request, repeated while that may help, and what its outcome says about the endpoint.
 *
 * An attempt: build path and query, sign at the clock's time, send, look at the status. 2xx is the caller's. Anything else
 * is read (bounded), mapped by s3_errors.c, and perhaps tried again (object_store/retry.h). Every attempt is signed anew.
 * While the endpoint is down (the last call could not reach it) a call makes one attempt only: a dead
 * origin must not cost every reader the whole schedule.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/object_store/list_xml.h"
#include "pools/s3/s3_errors.h"

#include <stdlib.h>

#define ERROR_BODY_MOST_BYTES 65536
#define COLLECT_PIECE_BYTES 65536
#define RETRY_AFTER_MOST_S 3600
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

void s3_answer_init(struct s3_answer *answer) {
    *answer = (struct s3_answer){.exchange = NULL};
    buf_init(&answer->body, 0);
}

void s3_answer_fini(struct s3_answer *answer) {
    http_exchange_close(answer->exchange);
    answer->exchange = NULL;
    buf_fini(&answer->body);
    answer->collected = false;
}

void s3_call_query(struct s3_call *call, const char *name, const char *value) {
    MUST(call->query_count < S3_MOST_QUERY);
    call->query[call->query_count++] = (struct sigv4_pair){.name = name, .value = value};
}

void s3_call_field(struct s3_call *call, const char *name, const char *value) {
    MUST(call->field_count < S3_MOST_FIELDS);
    call->field[call->field_count++] = (struct http_field){.name = name, .value = value};
}

static enum err read_buf(void *context, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                         size_t *ret_count) {
    (void)op;
    const struct buf *buf = context;
    size_t left = buf->size - (size_t)offset;
    *ret_count = cap < left ? cap : left;
    memcpy(ret_bytes, buf->data + offset, *ret_count);
    return OK;
}

struct http_body s3_call_body(struct buf *buf) {
    return (struct http_body){.size_bytes = buf->size, .read = read_buf, .context = buf};
}

/* ---- health ---- */

static void note_reached(struct s3_pool *s3) {
    if (atomic_load_explicit(&s3->down, memory_order_relaxed)) {
        atomic_store(&s3->down, false);
    }
}

static void note_failure(struct s3_pool *s3, const struct op *op) {
    mutex_lock(&s3->mutex);
    memcpy(s3->down_reason, op->fault.detail, sizeof s3->down_reason);
    mutex_unlock(&s3->mutex);
    atomic_store(&s3->down, true);
}

/* ---- one attempt ---- */

/* The call's fields and those that signing needs, signed. */
struct signed_fields {
    struct http_field field[S3_MOST_FIELDS + 6];
    size_t count;
    char date[SIGV4_DATE_BYTES];
    struct buf authorization;
};

static enum err sign(struct s3_pool *s3, const struct s3_call *call, const char *path,
                     struct signed_fields *fields) {
    sigv4_date(s3->clock(), fields->date);
    const char *hash = call->payload_hash ? call->payload_hash : EMPTY_SHA256;
    size_t n = 0;
    fields->field[n++] = (struct http_field){"Host", s3->host};
    fields->field[n++] = (struct http_field){"x-amz-date", fields->date};
    fields->field[n++] = (struct http_field){"x-amz-content-sha256", hash};
    if (s3->session_token) {
        fields->field[n++] = (struct http_field){"x-amz-security-token", s3->session_token};
    }
    for (unsigned i = 0; i < call->field_count; i++) {
        fields->field[n++] = call->field[i];
    }
    struct sigv4_pair pairs[ARRAY_COUNT(fields->field)];
    for (size_t i = 0; i < n; i++) {
        pairs[i] = (struct sigv4_pair){.name = fields->field[i].name, .value = fields->field[i].value};
    }
    struct sigv4_request request = {.method = call->method,
                                    .path = path,
                                    .query = call->query,
                                    .query_count = call->query_count,
                                    .fields = pairs,
                                    .field_count = n,
                                    .payload_hash = hash};
    struct sigv4_credentials credentials = {.access_key_id = s3->access_key_id,
                                            .secret_access_key = s3->secret_access_key,
                                            .region = s3->region,
                                            .service = "s3"};
    mutex_lock(&s3->mutex);
    struct sigv4_key key = s3->signing_key;
    mutex_unlock(&s3->mutex);
    bool known = memcmp(key.day, fields->date, sizeof key.day - 1) == 0;
    enum err err = sigv4_authorization(&fields->authorization, &credentials, fields->date, &request, &key);
    if (!known && err == OK) {
        mutex_lock(&s3->mutex);
        s3->signing_key = key;
        mutex_unlock(&s3->mutex);
    }
    explicit_bzero(&key, sizeof key);
    fields->field[n++] = (struct http_field){"Authorization", fields->authorization.data};
    fields->count = n;
    return err;
}

static enum retry_cause cause_of(enum http_trouble trouble) {
    switch (trouble) {
    case HTTP_TROUBLE_CONNECT:
        return RETRY_CONNECT;
    case HTTP_TROUBLE_BROKEN:
        return RETRY_TRANSIENT;
    case HTTP_TROUBLE_NONE:
    case HTTP_TROUBLE_FINAL:
        break;
    }
    return RETRY_NEVER;
}

static enum err open_exchange(struct s3_pool *s3, struct op *op, const struct s3_call *call,
                              enum http_trouble *ret_trouble, struct http_exchange **ret_exchange) {
    *ret_trouble = HTTP_TROUBLE_FINAL;
    AUTO(buf_fini) struct buf path;
    AUTO(buf_fini) struct buf url;
    buf_init(&path, 8192);
    buf_init(&url, 65536);
    struct signed_fields fields;
    buf_init(&fields.authorization, 16384);

    enum err err = buf_append_text(&path, s3->bucket_path);
    err = err == OK && (call->name || path.size == 0) ? buf_append(&path, "/", 1) : err;
    err = err == OK && call->name ? s3_key_to_path(&path, call->name) : err;
    err = err == OK ? buf_printf(&url, "%s%s", s3->base_url, path.data) : err;
    if (err == OK && call->query_count > 0) {
        err = buf_append(&url, "?", 1);
        err = err == OK ? sigv4_query(&url, call->query, call->query_count) : err;
    }
    err = err == OK ? sign(s3, call, path.data, &fields) : err;
    if (err == OK) {
        struct http_request request = {.method = call->method,
                                       .url = url.data,
                                       .fields = fields.field,
                                       .field_count = fields.count,
                                       .body = call->body};
        err = http_exchange_open(s3->client, op, &request, ret_trouble, ret_exchange);
    } else {
        err = err == ERR_NO_MEMORY ? op_no_memory(op)
                                   : op_fail(op, REASON_INTERNAL, "a request grew larger than its limit");
    }
    buf_fini(&fields.authorization);
    return err;
}

/* Reads the whole body into `body`, at most its maximum. */
static enum err collect(struct op *op, struct http_exchange *exchange, struct buf *body) {
    uint64_t length = http_exchange_length(exchange);
    size_t most = length && length < COLLECT_PIECE_BYTES ? (size_t)length : COLLECT_PIECE_BYTES;
    for (;;) {
        size_t room = body->max_bytes - body->size;
        size_t piece = room < most ? room : most;
        char *space = NULL;
        if (room == 0) {
            char extra;
            size_t more = 0;
            enum err err = http_exchange_read(exchange, op, &extra, 1, &more);
            return err != OK || more == 0
                       ? err
                       : op_fail(op, REASON_BAD_ANSWER, "the answer is larger than it may be");
        }
        if (buf_reserve(body, piece, &space) != OK) {
            return op_no_memory(op);
        }
        size_t got = 0;
        enum err err = http_exchange_read(exchange, op, space, piece, &got);
        if (err != OK || got == 0) {
            return err;
        }
        buf_commit(body, got);
    }
}

/* What the error document (empty: there was none) and the header say. */
static enum err record_error(struct op *op, const struct s3_call *call, const struct http_exchange *exchange,
                             struct error_answer *error, enum retry_cause *ret_cause,
                             struct s3_answer *answer) {
    memcpy(answer->code, error->code, sizeof answer->code);
    const char *region = http_exchange_field(exchange, "x-amz-bucket-region");
    if (region && error->region[0] == '\0' && strlen(region) < sizeof error->region) {
        memcpy(error->region, region, strlen(region) + 1);
    }
    const char *after = http_exchange_field(exchange, "Retry-After");
    unsigned long after_s = after && *after >= '0' && *after <= '9' ? strtoul(after, NULL, 10) : 0;
    struct s3_refusal refusal = {
        .status = http_exchange_status(exchange),
        .code = error->code,
        .region = error->region,
        .retry_after_s = (unsigned)(after_s > RETRY_AFTER_MOST_S ? RETRY_AFTER_MOST_S : after_s),
        .conditional = call->conditional,
        .asks_object = call->name && strcmp(call->method, "PUT") != 0 && strcmp(call->method, "POST") != 0};
    return s3_errors_record(op, &refusal, ret_cause);
}

/* An answer other than 2xx: reads its error document and maps it. */
static enum err record_refusal(struct op *op, const struct s3_call *call, struct http_exchange *exchange,
                               enum retry_cause *ret_cause, struct s3_answer *answer) {
    AUTO(buf_fini) struct buf body;
    buf_init(&body, ERROR_BODY_MOST_BYTES);
    struct error_answer error = {.code = ""};
    struct fault none = op->fault;
    if (collect(op, exchange, &body) == OK && body.size > 0) {
        list_xml_error(body.data, body.size, &error);
    }
    op->fault = none; /* the status says what matters; a broken error document does not */
    return record_error(op, call, exchange, &error, ret_cause, answer);
}

/* A failure that came after the 200 had gone out is in the body, and as good a reason to ask again as one in the status. */
static enum err look_for_late_error(struct op *op, const struct s3_call *call,
                                    const struct http_exchange *exchange, enum retry_cause *ret_cause,
                                    struct s3_answer *answer) {
    struct error_answer error = {.code = ""};
    if (call->may_fail_late && answer->body.size > 0) {
        list_xml_error(answer->body.data, answer->body.size, &error);
    }
    return error.code[0] != '\0' ? record_error(op, call, exchange, &error, ret_cause, answer) : OK;
}

/* *ret_unreached: no answer came. A status, whatever it is, shows that the endpoint is there. */
static enum err attempt(struct s3_pool *s3, struct op *op, const struct s3_call *call,
                        enum retry_cause *ret_cause, bool *ret_unreached, struct s3_answer *answer) {
    enum http_trouble trouble;
    AUTO(http_exchange_close) struct http_exchange *exchange = NULL;
    enum err err = open_exchange(s3, op, call, &trouble, &exchange);
    *ret_cause = cause_of(trouble);
    *ret_unreached = trouble == HTTP_TROUBLE_CONNECT || trouble == HTTP_TROUBLE_BROKEN;
    answer->ambiguous = answer->ambiguous || trouble == HTTP_TROUBLE_BROKEN;
    if (err != OK) {
        return err;
    }
    note_reached(s3);
    answer->ambiguous = answer->ambiguous || http_exchange_resent(exchange);
    unsigned status = http_exchange_status(exchange);
    if (status < 200 || status > 299) {
        err = record_refusal(op, call, exchange, ret_cause, answer);
        /* A server error may come from a gateway that saw no more of the outcome than we do. */
        answer->ambiguous = answer->ambiguous || (status >= 500 && *ret_cause == RETRY_TRANSIENT);
        return err;
    }
    bool small = http_exchange_length(exchange) <= call->collect_most_bytes;
    if (call->must_collect || (call->collect_most_bytes > 0 && small)) {
        buf_fini(&answer->body);
        buf_init(&answer->body, call->collect_most_bytes);
        err = collect(op, exchange, &answer->body);
        *ret_cause = cause_of(http_exchange_trouble(exchange));
        err = err == OK ? look_for_late_error(op, call, exchange, ret_cause, answer) : err;
        if (err != OK) {
            answer->ambiguous = answer->ambiguous || *ret_cause == RETRY_TRANSIENT;
            return err;
        }
        answer->collected = true;
    }
    answer->exchange = STEAL(exchange);
    return OK;
}

/* ---- the call ---- */

enum err s3_call_send(struct s3_pool *s3, struct op *op, const struct s3_call *call,
                      struct s3_answer *ret_answer) {
    ret_answer->ambiguous = false;
    ret_answer->code[0] = '\0';
    if (!s3->secret_access_key) {
        return op_fail(op, REASON_NEEDS_CREDENTIALS, "access_key_id and secret_access_key are not both set");
    }
    struct retry retry;
    retry_start(&retry, &retry_default_policy, clock_now_ns());
    for (;;) {
        enum retry_cause cause;
        bool unreached;
        ret_answer->code[0] = '\0';
        if (call->fence && !fence_holds(call->fence)) {
            return op_fail(op, REASON_SUPERSEDED, "a newer write of the entry came first");
        }
        enum err err = attempt(s3, op, call, &cause, &unreached, ret_answer);
        if (err == OK) {
            return OK;
        }
        s3_answer_fini(ret_answer); /* what it says of the failure stays */
        bool known_down = unreached && atomic_load(&s3->down);
        uint64_t wait_ns = 0;
        if (known_down || !retry_again(&retry, cause, op->fault.retry_after_s, retry_random(), clock_now_ns(),
                                       op->deadline_ns, &wait_ns)) {
            if (unreached) {
                note_failure(s3, op);
            }
            return err;
        }
        err = retry_wait(op, wait_ns, call->fence ? &call->fence->broken : NULL);
        if (err != OK) {
            return err;
        }
    }
}

enum err s3_call_send_only(struct s3_pool *s3, struct op *op, const struct s3_call *call) {
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    return s3_call_send(s3, op, call, &answer);
}
