/* res_pools.c - the pools themselves: list, register, show, unregister. The wiring is shown nowhere here
 * (design.md section 2). */
#include "api/api.h"
#include "api/json.h"
#include "api/pool_json.h"
#include "api/problem.h"
#include "api/resources.h"
#include "pools/kinds.h"
#include "pools/pool_options.h"

#include <stdlib.h>
#include <string.h>

enum api_step res_pools_list(struct request *request, struct response *response) {
    struct pool **pools = NULL;
    size_t count = 0;
    enum err err = registry_all(request->api->registry, &request->op, &pools, &count);
    if (err) {
        return problem_done(request, response, err);
    }
    json_t *list = json_array();
    bool fits = list != NULL;
    for (size_t i = 0; i < count; i++) {
        fits = fits && json_array_append_new(list, pool_to_json(pools[i])) == 0;
        pool_unref(pools[i]);
    }
    free(pools);
    if (!fits) {
        json_decref(list);
        return json_done(request, response, 200, NULL);
    }
    return json_done(request, response, 200, json_pack("{s:o}", "pools", list));
}

enum api_step res_pool_get(struct request *request, struct response *response) {
    return json_done(request, response, 200, pool_to_json(request->pool));
}

static enum err check_members(struct op *op, const json_t *body, const char **ret_nickname,
                              const struct pool_kind **ret_kind) {
    static const char *const members[] = {"nickname", "kind", "config", NULL};
    const char *kind = NULL;
    enum err err = json_check_members(op, body, members);
    err = err ? err : json_get_text(op, body, "nickname", ret_nickname);
    err = err ? err : json_get_text(op, body, "kind", &kind);
    if (err) {
        return err;
    }
    if (!nickname_valid(*ret_nickname)) {
        return op_fail(op, REASON_INVALID_NICKNAME,
                       "a nickname is 1 to 64 of A-Z a-z 0-9 _ . - and begins with a letter or digit");
    }
    *ret_kind = kinds_find(kind);
    if (!*ret_kind) {
        return op_fail(op, REASON_UNKNOWN_KIND, "there is no kind \"%.64s\"", kind);
    }
    const json_t *config = json_object_get(body, "config");
    if (config && !json_is_object(config)) {
        return op_fail(op, REASON_INVALID_BODY, "the member \"config\" must be an object");
    }
    return OK;
}

static enum err register_pool(struct request *request, const json_t *body, struct pool **ret_pool) {
    struct api *api = request->api;
    struct op *op = &request->op;
    const char *nickname = NULL;
    const struct pool_kind *kind = NULL;
    enum err err = check_members(op, body, &nickname, &kind);
    if (err) {
        return err;
    }
    AUTO(settings_free) struct settings *settings = pool_settings_new(kind);
    if (!settings) {
        return op_no_memory(op);
    }
    err = pool_options_from_json(op, json_object_get(body, "config"), settings);
    err = err ? err : settings_finish(settings, op);
    err = err ? err
              : registry_add(api->registry, op, nickname, kind, settings, wiring_adopt_pool, api->wiring,
                             ret_pool);
    if (!err) {
        settings = NULL; /* the pool's now */
    }
    return err;
}

enum api_step res_pools_register(struct request *request, struct response *response) {
    AUTO(json_decref) json_t *body = NULL;
    AUTO(pool_unref) struct pool *pool = NULL;
    enum err err = json_decode_object(&request->op, request->json_body.data, request->json_body.size, &body);
    err = err ? err : register_pool(request, body, &pool);
    if (err) {
        return problem_done(request, response, err);
    }
    json_done(request, response, 201, pool_to_json(pool));
    if (response->status == 201) { /* and not the problem that memory ran out */
        response_header(response, "Location", "/pools/%s", pool->nickname);
    }
    return API_DONE;
}

enum api_step res_pool_unregister(struct request *request, struct response *response) {
    struct api *api = request->api;
    struct op *op = &request->op;
    const char *nickname = request->pool->nickname;
    enum err err = registry_remove(api->registry, op, nickname, wiring_in_use, wiring_drop_pool, api->wiring);
    if (err) {
        return problem_done(request, response, err);
    }
    pool_unref(STEAL(request->pool)); /* closed before the answer, when nobody else holds it */
    response->status = 204;
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}
