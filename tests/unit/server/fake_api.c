/* fake_api.c - see fake_api.h; what waits, and is waited for, is in fake_gate.c. Tests may have globals. */
#include "tests/unit/server/fake_api.h"

#include "pools/base/must.h"
#include "tests/unit/server/fake_gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ENTRY_BYTES 1024

/* What is pulled from /PREFIX/N, and how it misbehaves. See fake_api.h. */
static const struct source {
    const char *prefix;
    bool endless, drips, is_nudged, is_stuck, breaks, is_near, is_lent;
} sources[] = {
    {.prefix = "/source/"},
    {.prefix = "/near/", .is_near = true},
    {.prefix = "/lent/", .is_lent = true},
    {.prefix = "/stream/", .endless = true},
    {.prefix = "/dripping/", .drips = true},
    {.prefix = "/nudged/", .is_nudged = true},
    {.prefix = "/stuck/", .is_stuck = true},
    {.prefix = "/broken/", .breaks = true},
    {.prefix = "/brokenstream/", .endless = true, .breaks = true},
};

struct kept {
    struct request *request;
    struct buf body;
    uint64_t count;
    bool at_gate;
    /* of a source */
    const struct source *source;
    uint64_t offset, length;
    bool rests; /* its last read said "again" */
    unsigned near_reads;
    char *lent;
};

static atomic_uint entry_answers;
static struct entry *entry;
static struct route route = {.method = METHOD_GET, .pattern = "/", .operation = "fake", .scope = SCOPE_READ};

unsigned char fake_byte(uint64_t offset) {
    return (unsigned char)('a' + (offset * 31 + offset / 4096) % 26);
}

void fake_setup(void) {
    gate_init();
    atomic_store(&entry_answers, 0);
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
    gate_fini();
}

unsigned fake_entry_answers(void) {
    return atomic_load(&entry_answers);
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

/* Of server/cors.c, which nobody switches on here. */
void response_header_text(struct response *response, const char *name, const char *text) {
    response_header(response, name, "%s", text);
}

void response_vary(struct response *response, const char *name) {
    response_header(response, "Vary", "%s", name);
}

const char *response_get_header(const struct response *response, const char *name) {
    (void)response;
    (void)name;
    return NULL;
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

void request_init(struct request *request, const struct request_io *io, struct api *api, uint64_t request_id,
                  struct waker waker) {
    *request = (struct request){.io = io, .api = api, .waker = waker};
    op_init(&request->op, request_id, 0);
}

enum api_step api_route(struct request *request, struct response *response, const char *raw_target) {
    (void)response;
    request->target.memory = strdup(raw_target);
    request->route = &route;
    gate_count_begun();
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
            atomic_fetch_add(&entry_answers, 1);
        }
        return API_DONE;
    }
    fake_begin_here(request);
    return API_LANE;
}

static void free_kept(void *context) {
    struct kept *kept = context;
    MUST(!kept->lent);
    buf_fini(&kept->body);
    free(kept);
}

static void copy_pattern(struct kept *kept, void *ret_bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        ((unsigned char *)ret_bytes)[i] = fake_byte(kept->offset + i);
    }
    kept->offset += count;
}

/* Short counts, and every third time it is a lane's work. */
static enum err read_near(void *context, void *ret_bytes, size_t cap, size_t *ret_count) {
    struct kept *kept = context;
    uint64_t left = kept->length - kept->offset;
    if (!left || ++kept->near_reads % 3 == 0) {
        return ERR_AGAIN;
    }
    size_t most = cap < 40000 ? cap : 40000;
    *ret_count = left < most ? (size_t)left : most;
    copy_pattern(kept, ret_bytes, *ret_count);
    return OK;
}

static enum err read_source(void *context, struct op *op, void *ret_bytes, size_t cap, size_t *ret_count) {
    struct request *request = CONTAINER_OF(op, struct request, op);
    struct kept *kept = context;
    uint64_t middle = kept->length / 2;
    if (kept->source->drips || kept->source->is_nudged) {
        kept->rests = !kept->rests;
        if (kept->rests && kept->source->drips) {
            waker_wake(request->waker);
        } else if (kept->rests) {
            gate_subscribe(request, &kept->at_gate);
        }
        if (kept->rests) {
            return ERR_AGAIN;
        }
    }
    if (kept->offset >= middle && kept->source->breaks) {
        return op_fail(op, REASON_IO, "broke in the middle");
    }
    if (kept->offset >= middle && kept->source->is_stuck && gate_pass(request, &kept->at_gate) == ERR_AGAIN) {
        return ERR_AGAIN;
    }
    uint64_t until = kept->offset < middle ? middle : kept->length;
    size_t count = until - kept->offset < cap ? (size_t)(until - kept->offset) : cap;
    copy_pattern(kept, ret_bytes, count);
    *ret_count = count;
    return OK;
}

/* Freed with the source: under ASan, who sends from it afterwards is found out. */
static enum err lend(void *context, size_t bytes, const void **ret_bytes) {
    struct kept *kept = context;
    MUST(bytes == kept->length && !kept->offset && !kept->lent);
    kept->lent = malloc(bytes);
    MUST(kept->lent);
    copy_pattern(kept, kept->lent, bytes);
    *ret_bytes = kept->lent;
    return OK;
}

/* kept is freed by api_finish. */
static void close_source(void *context) {
    struct kept *kept = context;
    free(kept->lent);
    kept->lent = NULL;
    if (kept->source->is_nudged) { /* as late as a wake may come: api_finish ends the subscription */
        waker_wake(kept->request->waker);
    }
}

static enum api_step answer_source(struct response *response, struct kept *kept) {
    response->status = 200;
    response->body_kind = BODY_SOURCE;
    response->source = (struct body_source){.read = read_source,
                                            .read_now = kept->source->is_near ? read_near : NULL,
                                            .map = kept->source->is_lent ? lend : NULL,
                                            .close = close_source,
                                            .context = kept};
    response->content_length = kept->source->endless ? SIZE_UNKNOWN : kept->length;
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
        kept->request = request;
        buf_init(&kept->body, 1 << 24);
        request_keep(request, kept, free_kept);
    }
    if (is_path(request, "/lane") || is_path(request, "/here-lane") || is_path(request, "/here-gate-lane")) {
        const char *joined = request->io->header(request, "X-List");
        return answer_text(response, 200, joined ? joined : "from a lane");
    }
    if (is_path(request, "/gate")) {
        return gate_pass(request, &kept->at_gate) == ERR_AGAIN
                   ? API_WAIT
                   : answer_text(response, 200, "through the gate");
    }
    if (is_path(request, "/echo") || is_path(request, "/count") || is_path(request, "/midway") ||
        is_path(request, "/trailer")) {
        return answer_body(request, response, kept);
    }
    for (size_t i = 0; i < ARRAY_COUNT(sources); i++) {
        if (has_prefix(request, sources[i].prefix, &kept->length)) {
            kept->source = &sources[i];
            return answer_source(response, kept);
        }
    }
    return answer_text(response, 404, "no such path");
}

enum lane api_lane(const struct request *request) {
    (void)request;
    return LANE_LOCAL;
}

const void *api_share(const struct request *request) {
    (void)request;
    return NULL;
}

void request_keep(struct request *request, void *kept, void (*kept_free)(void *kept)) {
    request->kept = kept;
    request->kept_free = kept_free;
}

void api_finish(struct request *request) {
    gate_leave(request);
    if (request->kept_free) {
        request->kept_free(request->kept);
    }
    request->kept = NULL;
    request->kept_free = NULL;
    if (request->target.memory) {
        free(request->target.memory);
        request->target.memory = NULL;
        gate_count_finished();
    }
}
