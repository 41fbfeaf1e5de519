/* problem.c - see problem.h. */
#include "api/problem.h"

#include "api/cache_status.h"
#include "api/json.h"

#include <stdio.h>
#include <string.h>

#define PROBLEM_TYPE "application/problem+json"
#define RETRY_AFTER_S 1 /* when nobody knows better */

/* No default: a kind that is missing here does not compile (-Wswitch). */
unsigned problem_status(enum err kind) {
    switch (kind) {
    case ERR_INVALID:
        return 400;
    case ERR_UNAUTHENTICATED:
        return 401;
    case ERR_FORBIDDEN:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_METHOD:
        return 405;
    case ERR_EXISTS:
    case ERR_CONFLICT:
    case ERR_SUPERSEDED: /* ends fills, which have no client */
        return 409;
    case ERR_PRECONDITION:
        return 412;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_URI_TOO_LONG:
        return 414;
    case ERR_UNSUPPORTED_MEDIA:
        return 415;
    case ERR_RANGE:
        return 416;
    case ERR_EXPECTATION:
        return 417;
    case ERR_HEADERS_TOO_LARGE:
        return 431;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_UNAVAILABLE:
    case ERR_DENIED:
    case ERR_CORRUPT:
        return 502;
    case ERR_BUSY:
    case ERR_THROTTLED:
    case ERR_NO_MEMORY:
    case ERR_CANCELLED: /* the client left, or we shut down: then it is told to come back */
        return 503;
    case ERR_TIMEOUT:
        return 504;
    case ERR_NO_SPACE:
        return 507;
    case ERR_INTERNAL:
    case ERR_CONFIG:
    case ERR_AGAIN: /* no failure; answering it would be our mistake */
    case OK:
    case ERR_COUNT:
        return 500;
    }
    return 500;
}

static enum reason first_reason(enum err kind) {
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        if (reason_kind((enum reason)reason) == kind) {
            return (enum reason)reason;
        }
    }
    return REASON_INTERNAL;
}

static json_t *failed_tiers(const struct problem_extra *extra) {
    json_t *tiers = json_array();
    for (unsigned i = 0; tiers && i < extra->report_count; i++) {
        if (extra->reports[i].result == TIER_FAILED) {
            json_array_append_new(tiers, json_string(extra->reports[i].nickname));
        }
    }
    return tiers;
}

static json_t *problem_object(const struct fault *fault, unsigned status, const struct problem_extra *extra) {
    char type[96];
    snprintf(type, sizeof type, "urn:lailad:problem:%s", reason_slug(fault->reason));
    json_t *problem = json_object();
    bool fits = json_put(problem, "type", json_string(type)) &&
                json_put(problem, "title", json_string(reason_title(fault->reason))) &&
                json_put(problem, "status", json_integer(status));
    /* A detail may quote what a client or a tier sent and be cut inside a character: then it is left out. */
    if (fits && fault->detail[0]) {
        json_t *detail = json_string(fault->detail);
        fits = !detail || json_put(problem, "detail", detail);
    }
    if (fits && fault->pool[0]) {
        fits = json_put(problem, "pool", json_string(fault->pool));
    }
    if (fits && extra) {
        json_t *tiers = failed_tiers(extra);
        if (tiers && json_array_size(tiers)) {
            fits = json_put(problem, "tiers", tiers);
        } else {
            json_decref(tiers);
        }
    }
    if (fits && extra && extra->has_deleted) {
        fits = json_put(problem, "deleted", json_integer((json_int_t)extra->deleted));
    }
    if (fits && extra && extra->pools) {
        fits = json_object_set(problem, "pools", extra->pools) == 0;
    }
    fits = fits && json_put(problem, "retryable", json_boolean(reason_retryable(fault->reason)));
    if (!fits) {
        json_decref(problem);
        return NULL;
    }
    return problem;
}

/* What is said when there is no memory to say it well. */
static const char no_memory_text[] =
    "{\"type\":\"urn:lailad:problem:no-memory\",\"title\":\"The service is out of memory\","
    "\"status\":503,\"retryable\":true}\n";

void problem_answer(const struct request *request, struct response *response, const struct fault *fault,
                    enum err kind, const struct problem_extra *extra) {
    struct fault said = *fault;
    if (said.reason == REASON_NONE || reason_kind(said.reason) != kind) {
        said = (struct fault){.reason = first_reason(kind)};
    }
    kind = reason_kind(said.reason);
    if (!said.pool[0] && request->pool) {
        snprintf(said.pool, sizeof said.pool, "%s", request->pool->nickname);
    }
    unsigned status = problem_status(kind);

    response_reset(response);
    json_t *problem = problem_object(&said, status, extra);
    if (!problem || response_json(response, status, problem) != OK) {
        status = 503;
        response->status = status;
        response->body_kind = BODY_TEXT;
        buf_clear(&response->text);
        if (buf_append_text(&response->text, no_memory_text) != OK) {
            response->body_kind = BODY_NONE;
        }
        response->content_length = response->text.size;
    }
    response_header_text(response, "Content-Type", PROBLEM_TYPE);
    response_header_text(response, "Cache-Control", "no-store");
    if (extra && extra->report_count) {
        cache_status_reports(response, extra->reports, extra->report_count);
    }
    if (status == 503) {
        response_header(response, "Retry-After", "%u",
                        said.retry_after_s ? said.retry_after_s : RETRY_AFTER_S);
    }
    if (status == 401) {
        response_header_text(response, "WWW-Authenticate", "Bearer realm=\"lailad\"");
    }
    response->fault = said;
    response_drop_body_for_head(request, response);
}

enum api_step problem_done(const struct request *request, struct response *response, enum err kind) {
    problem_answer(request, response, &request->op.fault, kind, NULL);
    return API_DONE;
}

void api_problem(struct request *request, struct response *response, struct op *op, enum err kind) {
    problem_answer(request, response, &op->fault, kind, NULL);
}
