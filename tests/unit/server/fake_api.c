/* fake_api.c - see fake_api.h. Tests may have globals. */
#include "tests/unit/server/fake_api.h"

#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define GATE_MOST 256
#define ENTRY_BYTES 1024

struct kept {
    struct buf body;
    uint64_t count;
    bool at_gate;
    /* of a source */
    uint64_t offset, length;
    bool drip, drips, stuck, broken, nudged;
    struct request *request; /* to wake when nudged */
};

static struct mutex mutex;
static struct cond changed;
static bool gate_is_open;
static struct request *at_gate[GATE_MOST];
static unsigned at_gate_count;
static unsigned arrivals, begun, finished, entry_answers;
static struct entry *entry;
static struct route route = {.method = METHOD_GET, .pattern = "/", .operation = "fake", .scope = SCOPE_READ};

unsigned char fake_byte(uint64_t offset) {
    return (unsigned char)('a' + (offset * 31 + offset / 4096) % 26);
}

void fake_setup(void) {
    mutex_init(&mutex, RANK_KIND);
    cond_init(&changed);
    gate_is_open = false;
    at_gate_count = arrivals = begun = finished = entry_answers = 0;
    struct blob *body = blob_new(ENTRY_BYTES);
    for (size_t i = 0; i < ENTRY_BYTES; i++) {
        body->data[i] = fake_byte(i);
    }
    struct meta meta;
    meta_init(&meta);
    entry = entry_new(&meta, body);
    MUST(entry);
    blob_unref(body);
}

void fake_teardown(void) {
    entry_unref(entry);
    cond_fini(&changed);
    mutex_fini(&mutex);
}

void fake_open_gate(void) {
    mutex_lock(&mutex);
    gate_is_open = true;
    for (unsigned i = 0; i < at_gate_count; i++) {
        waker_wake(at_gate[i]->waker);
    }
    at_gate_count = 0;
    mutex_unlock(&mutex);
}

void fake_nudge(void) {
    mutex_lock(&mutex);
    for (unsigned i = 0; i < at_gate_count; i++) {
        waker_wake(at_gate[i]->waker);
    }
    mutex_unlock(&mutex);
}

void fake_close_gate(void) {
    mutex_lock(&mutex);
    gate_is_open = false;
    mutex_unlock(&mutex);
}

void fake_await_at_gate(unsigned count) {
    mutex_lock(&mutex);
    while (arrivals < count) {
        cond_wait_until(&changed, &mutex, 0);
    }
    mutex_unlock(&mutex);
}

unsigned fake_await_all_finished(unsigned least) {
    mutex_lock(&mutex);
    while (finished < begun || finished < least) {
        cond_wait_until(&changed, &mutex, 0);
    }
    unsigned count = finished;
    mutex_unlock(&mutex);
    return count;
}

unsigned fake_entry_answers(void) {
    mutex_lock(&mutex);
    unsigned count = entry_answers;
    mutex_unlock(&mutex);
    return count;
}

static void subscribe_locked(struct request *request, struct kept *kept) {
    if (!kept->at_gate) {
        MUST(at_gate_count < GATE_MOST);
        at_gate[at_gate_count++] = request;
        kept->at_gate = true;
        arrivals++;
        cond_broadcast(&changed);
    }
}

/* ERR_AGAIN and registered, or OK when the gate is open. */
static enum err pass_gate(struct request *request, struct kept *kept) {
    mutex_lock(&mutex);
    bool open = gate_is_open;
    if (!open) {
        subscribe_locked(request, kept);
    }
    mutex_unlock(&mutex);
    return open ? OK : ERR_AGAIN;
}

static void leave_gate(struct request *request) {
    mutex_lock(&mutex);
    for (unsigned i = 0; i < at_gate_count; i++) {
        if (at_gate[i] == request) {
            at_gate[i] = at_gate[--at_gate_count];
            break;
        }
    }
    mutex_unlock(&mutex);
}

/* ---- handler.h ---- */

void response_init(struct response *response) {
    memset(response, 0, sizeof *response);
    buf_init(&response->header_text, RESPONSE_HEADER_BYTES);
    buf_init(&response->text, RESPONSE_TEXT_MOST_BYTES);
}

void response_fini(struct response *response) {
    if (response->source.close) {
        response->source.close(response->source.context);
    }
    response->source = (struct body_source){0};
    entry_unref(response->entry);
    response->entry = NULL;
    buf_fini(&response->header_text);
    buf_fini(&response->text);
}

/* One value is enough here. */
void response_header(struct response *response, const char *name, const char *format, ...) {
    char value[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    MUST(response->header_count == 0);
    MUST(buf_append_text(&response->header_text, value) == OK);
    response->header[response->header_count++] = (struct response_header){name, response->header_text.data};
}

static enum api_step answer_text(struct response *response, unsigned status, const char *text) {
    response->status = status;
    response->body_kind = BODY_TEXT;
    MUST(buf_append_text(&response->text, text) == OK);
    response->content_length = response->text.size;
    return API_DONE;
}

void api_problem(struct request *request, struct response *response, struct op *op, enum err kind) {
    (void)request;
    response_fini(response);
    response_init(response);
    response->fault = op->fault;
    response_header(response, "Content-Type", "application/problem+json");
    unsigned status = kind == ERR_UNAUTHENTICATED     ? 401
                      : kind == ERR_FORBIDDEN         ? 403
                      : kind == ERR_URI_TOO_LONG      ? 414
                      : kind == ERR_HEADERS_TOO_LARGE ? 431
                      : kind == ERR_UNSUPPORTED       ? 501
                      : kind == ERR_NOT_FOUND         ? 404
                                                      : 400;
    answer_text(response, status, op->fault.detail);
}

static bool is_path(const struct request *request, const char *path) {
    return strcmp(request->target.memory, path) == 0;
}

static bool has_prefix(const struct request *request, const char *prefix, uint64_t *ret_number) {
    size_t bytes = strlen(prefix);
    if (strncmp(request->target.memory, prefix, bytes) != 0) {
        return false;
    }
    *ret_number = strtoull(request->target.memory + bytes, NULL, 10);
    return true;
}

enum api_step api_route(struct request *request, struct response *response, const char *raw_target) {
    (void)response;
    request->target.memory = strdup(raw_target);
    request->route = &route;
    mutex_lock(&mutex);
    begun++;
    mutex_unlock(&mutex);
    return API_LANE;
}

enum api_step api_peek(struct request *request, struct response *response) {
    if (is_path(request, "/text")) {
        response_header(response, "X-Test", "peek");
        return answer_text(response, 200, "hello");
    }
    if (is_path(request, "/early")) {
        return answer_text(response, 413, "too large for me");
    }
    if (is_path(request, "/304") || is_path(request, "/304-endless")) {
        response->status = 304;
        response->content_length = is_path(request, "/304") ? 1234 : SIZE_UNKNOWN;
        return API_DONE;
    }
    if (is_path(request, "/entry")) {
        response->status = 200;
        response->body_kind = BODY_ENTRY;
        response->entry = entry_ref(entry);
        response->content_length = ENTRY_BYTES;
        response->reusable = true;
        if (!request->io->has_prepared(request, entry)) {
            response_header(response, "X-Test", "entry");
            mutex_lock(&mutex);
            entry_answers++;
            mutex_unlock(&mutex);
        }
        return API_DONE;
    }
    return API_LANE;
}

static void free_kept(void *context) {
    struct kept *kept = context;
    buf_fini(&kept->body);
    free(kept);
}

static enum err read_source(void *context, struct op *op, void *ret_bytes, size_t cap, size_t *ret_count) {
    struct request *request = CONTAINER_OF(op, struct request, op);
    struct kept *kept = context;
    uint64_t middle = kept->length / 2;
    if (kept->drip) {
        kept->drips = !kept->drips;
        if (kept->drips) {
            waker_wake(request->waker);
            return ERR_AGAIN;
        }
    }
    if (kept->nudged) {
        kept->drips = !kept->drips;
        if (kept->drips) {
            mutex_lock(&mutex);
            subscribe_locked(request, kept);
            mutex_unlock(&mutex);
            return ERR_AGAIN;
        }
    }
    if (kept->offset >= middle && kept->broken) {
        return op_fail(op, REASON_IO, "broke in the middle");
    }
    if (kept->offset >= middle && kept->stuck && pass_gate(request, kept) == ERR_AGAIN) {
        return ERR_AGAIN;
    }
    uint64_t until = kept->offset < middle ? middle : kept->length;
    size_t count = until - kept->offset < cap ? (size_t)(until - kept->offset) : cap;
    for (size_t i = 0; i < count; i++) {
        ((unsigned char *)ret_bytes)[i] = fake_byte(kept->offset + i);
    }
    kept->offset += count;
    *ret_count = count;
    return OK;
}

/* kept is freed by api_finish. */
static void close_source(void *context) {
    struct kept *kept = context;
    if (kept->nudged) { /* as late as a wake may come: api_finish ends the subscription */
        waker_wake(kept->request->waker);
    }
}

static enum api_step answer_source(struct response *response, struct kept *kept, uint64_t length,
                                   bool known) {
    kept->length = length;
    response->status = 200;
    response->body_kind = BODY_SOURCE;
    response->source = (struct body_source){read_source, close_source, kept};
    response->content_length = known ? length : SIZE_UNKNOWN;
    return API_DONE;
}

static enum api_step answer_body(struct request *request, struct response *response, struct kept *kept) {
    bool echo = is_path(request, "/echo");
    bool checked = is_path(request, "/count") || is_path(request, "/midway");
    char bytes[5000];
    for (;;) {
        size_t count = 0;
        enum err err = request->io->read_body(request, bytes, sizeof bytes, &count);
        if (err == ERR_AGAIN) {
            return API_WAIT;
        }
        if (err) {
            return answer_text(response, 400, "incomplete");
        }
        if (!count) {
            break;
        }
        for (size_t i = 0; checked && i < count; i++) {
            MUST((unsigned char)bytes[i] == fake_byte(kept->count + i));
        }
        kept->count += count;
        if (is_path(request, "/midway")) {
            return answer_text(response, 507, "no room");
        }
        if (echo) {
            MUST(buf_append(&kept->body, bytes, count) == OK);
        }
    }
    if (is_path(request, "/trailer")) {
        const char *digest = request->io->header(request, "Repr-Digest");
        return answer_text(response, 200, digest ? digest : "none");
    }
    if (is_path(request, "/count")) {
        snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)kept->count);
        return answer_text(response, 200, bytes);
    }
    return answer_text(response, 200, kept->body.data ? kept->body.data : "");
}

enum api_step api_run(struct request *request, struct response *response) {
    struct kept *kept = request->kept;
    if (!kept) {
        kept = calloc(1, sizeof *kept);
        MUST(kept);
        buf_init(&kept->body, 1 << 24);
        request_keep(request, kept, free_kept);
    }
    uint64_t number = 0;
    if (is_path(request, "/lane")) {
        const char *joined = request->io->header(request, "X-List");
        return answer_text(response, 200, joined ? joined : "from a lane");
    }
    if (is_path(request, "/gate")) {
        return pass_gate(request, kept) == ERR_AGAIN ? API_WAIT
                                                     : answer_text(response, 200, "through the gate");
    }
    if (is_path(request, "/echo") || is_path(request, "/count") || is_path(request, "/midway") ||
        is_path(request, "/trailer")) {
        return answer_body(request, response, kept);
    }
    if (has_prefix(request, "/source/", &number)) {
        return answer_source(response, kept, number, true);
    }
    if (has_prefix(request, "/stream/", &number)) {
        return answer_source(response, kept, number, false);
    }
    if (has_prefix(request, "/dripping/", &number)) {
        kept->drip = true;
        return answer_source(response, kept, number, true);
    }
    if (has_prefix(request, "/nudged/", &number)) {
        kept->nudged = true;
        kept->request = request;
        return answer_source(response, kept, number, true);
    }
    if (has_prefix(request, "/stuck/", &number)) {
        kept->stuck = true;
        return answer_source(response, kept, number, true);
    }
    if (has_prefix(request, "/broken/", &number)) {
        kept->broken = true;
        return answer_source(response, kept, number, true);
    }
    if (has_prefix(request, "/brokenstream/", &number)) {
        kept->broken = true;
        return answer_source(response, kept, number, false);
    }
    return answer_text(response, 404, "no such path");
}

enum lane api_lane(const struct request *request) {
    (void)request;
    return LANE_LOCAL;
}

void request_keep(struct request *request, void *kept, void (*kept_free)(void *kept)) {
    request->kept = kept;
    request->kept_free = kept_free;
}

void api_finish(struct request *request) {
    leave_gate(request);
    if (request->kept_free) {
        request->kept_free(request->kept);
    }
    request->kept = NULL;
    request->kept_free = NULL;
    if (request->target.memory) {
        free(request->target.memory);
        request->target.memory = NULL;
        mutex_lock(&mutex);
        finished++;
        cond_broadcast(&changed);
        mutex_unlock(&mutex);
    }
}
