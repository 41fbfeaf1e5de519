/* request.c - a request's way through the REST surface: api_route, api_peek, api_run, api_finish (handler.h).
 *
 * What every route needs is done here once: the checks that the head alone allows, finding the pool that
 * the path names, collecting a bounded body, dropping the body of an answer to HEAD.
 */
#include "api/api.h"
#include "api/handler.h"
#include "api/headers.h"
#include "api/problem.h"
#include "api/routes.h"
#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

#define NICK_PATTERN "/pools/{nick}"
#define NICK_SEGMENT 1 /* of NICK_PATTERN */
#define ALLOW_MOST_BYTES 256

static enum err check_query(struct request *request, const struct route *route) {
    for (unsigned i = 0; i < request->target.parameter_count; i++) {
        const struct target_text *name = &request->target.parameter[i].name;
        const char *const *known = route->query;
        while (*known && (strlen(*known) != name->bytes || memcmp(*known, name->text, name->bytes) != 0)) {
            known++;
        }
        if (!*known) {
            return op_fail(&request->op, REASON_INVALID_QUERY, "unknown query parameter \"%.64s\"",
                           name->text);
        }
    }
    return OK;
}

static enum err check_body_head(struct request *request, const struct route *route) {
    uint64_t most_bytes = UINT64_MAX;
    switch (route->body) {
    case BODY_REFUSED:
        return request->body_length
                   ? op_fail(&request->op, REASON_INVALID_REQUEST, "no body is expected here")
                   : OK;
    case BODY_MAYBE_JSON:
    case BODY_JSON:
        if (route->body == BODY_MAYBE_JSON && request->body_length == 0) {
            break;
        }
        if (!headers_is_media(request->io->header(request, "Content-Type"), "application/json")) {
            return op_fail(&request->op, REASON_UNSUPPORTED_MEDIA, "the body must be application/json");
        }
        most_bytes = request->api->json_most_bytes;
        break;
    case BODY_COLLECTED:
        most_bytes = request->api->json_most_bytes;
        break;
    case BODY_STREAMED:
        most_bytes = request->api->body_most_bytes ? request->api->body_most_bytes : UINT64_MAX;
        break;
    }
    if (request->body_length != BODY_LENGTH_UNKNOWN && request->body_length > most_bytes) {
        return op_fail(&request->op, REASON_TOO_LARGE, "the body may have %llu bytes",
                       (unsigned long long)most_bytes);
    }
    return OK;
}

/* Field by field: clearing the whole of it, for every request, would push warmer things out of the processor's cache. */
void request_init(struct request *request, const struct request_io *io, struct api *api, uint64_t request_id,
                  struct waker waker) {
    request->io = io;
    request->api = api;
    request->method = METHOD_OTHER;
    request->method_text = "";
    target_init(&request->target);
    request->route = NULL;
    request->pool = NULL;
    request->body_length = 0;
    op_init(&request->op, request_id, 0);
    request->waker = waker;
    buf_init(&request->json_body, 0);
    request->run_now = NULL;
    request->reaches_out = NULL;
    request->kept = NULL;
    request->kept_free = NULL;
}

/* What the path takes, whoever asks and whatever the query says: a browser asks so before it sends what needs a token, and whether the pool is
 * there is for the request itself to learn. */
static enum api_step answer_options(struct request *request, struct response *response, const char *allow) {
    if (request->body_length) {
        return problem_done(request, response,
                            op_fail(&request->op, REASON_INVALID_REQUEST, "no body is expected here"));
    }
    response->status = 204;
    response_header_text(response, "Allow", allow);
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}

enum api_step api_route(struct request *request, struct response *response, const char *raw_target) {
    struct op *op = &request->op;
    enum err err = target_parse(op, raw_target, strlen(raw_target), &request->target);
    if (err) {
        return problem_done(request, response, err);
    }
    const struct route *route = NULL;
    AUTO(buf_fini) struct buf allow;
    buf_init(&allow, ALLOW_MOST_BYTES);
    err = routes_find(op, request->method, request->method_text, &request->target, &route, &allow);
    if (err) {
        problem_done(request, response, err);
        if (err == ERR_METHOD) {
            response_header_text(response, "Allow", allow.data);
        }
        return API_DONE;
    }
    request->route = route;
    if (request->method == METHOD_OPTIONS) {
        return answer_options(request, response, allow.data);
    }
    err = check_query(request, route);
    err = err ? err : check_body_head(request, route);
    return err ? problem_done(request, response, err) : API_LANE;
}

/* The pool that the path names; OK when it names none. Never blocks. */
static enum err find_pool(struct request *request) {
    if (request->pool || strncmp(request->route->pattern, NICK_PATTERN, strlen(NICK_PATTERN)) != 0) {
        return OK;
    }
    MUST(request->target.segment_count > NICK_SEGMENT);
    const struct target_text *nickname = &request->target.segment[NICK_SEGMENT];
    if (nickname->bytes >= NICKNAME_BYTES || memchr(nickname->text, '\0', nickname->bytes)) {
        return op_fail(&request->op, REASON_POOL_NOT_FOUND, "no pool can have this name");
    }
    request->pool = registry_get(request->api->registry, nickname->text);
    if (!request->pool) {
        return op_fail(&request->op, REASON_POOL_NOT_FOUND, "no pool is called \"%s\"", nickname->text);
    }
    return OK;
}

/* An answer whose header did not fit is replaced; an answer to HEAD keeps its length and loses its body. */
static enum api_step finish_answer(struct request *request, struct response *response, enum api_step step) {
    if (step == API_DONE) {
        if (response->status < 400 && response->fault.reason != REASON_NONE) {
            struct fault fault = response->fault;
            problem_answer(request, response, &fault, reason_kind(fault.reason), NULL);
        }
        response_drop_body_for_head(request, response);
    }
    return step;
}

enum api_step api_peek(struct request *request, struct response *response) {
    enum err err = find_pool(request);
    if (err) {
        return problem_done(request, response, err);
    }
    if (!request->route->peek) {
        return API_LANE;
    }
    enum api_step step = request->route->peek(request, response);
    MUST(step != API_DONE || response->body_kind != BODY_SOURCE); /* pulling is a lane's work */
    return finish_answer(request, response, step);
}

enum api_step api_run_now(struct request *request, struct response *response) {
    enum api_step step = request->run_now(request, response);
    if (step == API_LANE) {
        request->run_now = NULL;
    }
    MUST(step != API_DONE || response->body_kind != BODY_SOURCE);
    return finish_answer(request, response, step);
}

static bool is_collected(enum body_rule body) {
    return body == BODY_JSON || body == BODY_MAYBE_JSON || body == BODY_COLLECTED;
}

enum api_step api_run(struct request *request, struct response *response) {
    enum err err = find_pool(request);
    if (!err && is_collected(request->route->body)) {
        err = request_collect_body(request, request->api->json_most_bytes);
        if (err == ERR_AGAIN) {
            return API_WAIT;
        }
    }
    if (err) {
        return problem_done(request, response, err);
    }
    enum api_step step = finish_answer(request, response, request->route->run(request, response));
    registry_reap(request->api->registry); /* what was removed while somebody still held it */
    return step;
}

const void *api_share(const struct request *request) {
    bool is_remote = request->pool && request->pool->capabilities.remote;
    return is_remote && request->route->work == WORK_AT_STORE ? request->pool : request->reaches_out;
}

enum lane api_lane(const struct request *request) {
    return api_share(request) ? LANE_REMOTE : LANE_LOCAL;
}

void api_finish(struct request *request) {
    if (request->kept_free) {
        request->kept_free(request->kept);
    }
    request->kept = NULL;
    request->kept_free = NULL;
    pool_unref(request->pool);
    request->pool = NULL;
    buf_fini(&request->json_body);
    target_fini(&request->target);
}

void request_keep(struct request *request, void *kept, void (*kept_free)(void *kept)) {
    request->kept = kept;
    request->kept_free = kept_free;
}

enum err request_collect_body(struct request *request, size_t most_bytes) {
    struct buf *body = &request->json_body;
    if (!body->max_bytes) {
        /* One more than allowed: what the client sends beyond the limit must show. */
        buf_init(body, most_bytes + 1);
    }
    for (;;) {
        size_t room = most_bytes + 1 - body->size;
        char *space = NULL;
        size_t piece = room < 16384 ? room : 16384;
        enum err err = buf_reserve(body, piece, &space);
        if (err) {
            return op_no_memory(&request->op);
        }
        size_t count = 0;
        err = request_read_body(request, space, piece, &count);
        if (err || !count) {
            return err;
        }
        buf_commit(body, count);
        if (body->size > most_bytes) {
            return op_fail(&request->op, REASON_TOO_LARGE, "the body may have %zu bytes", most_bytes);
        }
    }
}

enum err request_read_body(struct request *request, void *ret_bytes, size_t cap, size_t *ret_count) {
    enum err err = request->io->read_body(request, ret_bytes, cap, ret_count);
    if (err == ERR_CANCELLED) {
        return op_fail(&request->op, REASON_BODY_INCOMPLETE, "the body ended before its announced length");
    }
    return err;
}
