/* res_service.c - what is about the process and not about one pool: what it is, whether it lives, whether it is ready.
 *
 * All of it is answered on poll threads and asks no storage, so that a slow backend never makes the process look dead. Nor does it close a
 * pool that is removed meanwhile: the last reference is the registry's (registry_reap).
 * Ready means: every request to a pool that can be served here will be. A remote store that is down is not ours to
 * heal and does not count; a local file that cannot be opened or written does (design.md 13.5), and so does the end of the
 * process. An index that is still loading does not: until it is there, ids are looked up by name.
 */
#include "api/api.h"
#include "api/json.h"
#include "api/problem.h"
#include "api/resources.h"

#include <stdlib.h>

/* ---- what it is ---- */

enum api_step res_service_peek(struct request *request, struct response *response) {
    json_done(request, response, 200,
              json_pack("{s:s,s:s,s:{s:s,s:s,s:s,s:s,s:s}}", "name", "lailad", "version",
                        request->api->version, "links", "pools", "/pools", "chain", "/chain", "livez",
                        "/livez", "readyz", "/readyz", "openapi", "/openapi.yaml"));
    if (response->status == 200) {
        response_header_text(response, "Link",
                             "</openapi.yaml>; rel=\"service-desc\"; type=\"application/yaml\", "
                             "</readyz>; rel=\"status\"");
    }
    return API_DONE;
}

/* ---- whether it lives ---- */

enum api_step res_livez_peek(struct request *request, struct response *response) {
    if (buf_append_text(&response->text, "ok\n") != OK) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    response->status = 200;
    response->body_kind = BODY_TEXT;
    response->content_length = response->text.size;
    response_header_text(response, "Content-Type", "text/plain; charset=utf-8");
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}

/* ---- whether it is ready ---- */

static bool is_ready(enum pool_state state) {
    return state != POOL_FAILED && state != POOL_POISONED;
}

static json_t *readiness_of(struct pool *pool, bool *all_ready) {
    struct pool_status status;
    pool_get_status(pool, &status);
    bool ready = is_ready(status.state);
    *all_ready = *all_ready && ready;
    json_t *object = json_pack("{s:s,s:b,s:s}", "nickname", pool->nickname, "ready", ready, "status",
                               pool_state_word(status.state));
    json_t *reason = status.reason[0] ? json_string(status.reason) : NULL;
    if (reason && !json_put(object, "reason", reason)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static enum err look_at_pools(struct request *request, bool *ret_ready, json_t **ret_list) {
    struct pool **pools = NULL;
    size_t count = 0;
    enum err err = registry_all(request->api->registry, &request->op, &pools, &count);
    if (err) {
        return err;
    }
    *ret_ready = true;
    json_t *list = json_array();
    bool fits = list != NULL;
    for (size_t i = 0; i < count; i++) {
        fits = fits && json_array_append_new(list, readiness_of(pools[i], ret_ready)) == 0;
        pool_unref(pools[i]);
    }
    free(pools);
    if (!fits) {
        json_decref(list);
        return op_no_memory(&request->op);
    }
    *ret_list = list;
    return OK;
}

/* Whoever checks the health of a container has no token, so the status is open; the pools' names and reasons are for those who may
 * read them elsewhere. */
enum api_step res_readyz_peek(struct request *request, struct response *response) {
    const struct request_io *io = request->io;
    struct op *op = &request->op;
    AUTO(json_decref) json_t *pools = NULL;
    bool ready = false;
    enum err err = look_at_pools(request, &ready, &pools);
    if (err) {
        return problem_done(request, response, err);
    }
    bool shows_pools = !io->may || io->may(request, SCOPE_READ);
    if (io->is_draining && io->is_draining(request)) {
        err = op_fail(op, REASON_DRAINING, "requests under way are being finished");
    } else if (!ready) {
        err = op_fail(op, REASON_NOT_READY, "a pool cannot serve");
    }
    if (err) {
        struct problem_extra extra = {.pools = shows_pools ? pools : NULL};
        problem_answer(request, response, &op->fault, err, &extra);
        return API_DONE;
    }
    json_t *object = json_pack("{s:s}", "status", "ready");
    if (object && shows_pools && json_object_set(object, "pools", pools) != 0) {
        json_decref(object);
        object = NULL;
    }
    return json_done(request, response, 200, object);
}
