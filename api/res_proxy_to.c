/* res_proxy_to.c - which pool a pool asks on a miss: its own resource, changeable under traffic. */
#include "api/api.h"
#include "api/generation.h"
#include "api/json.h"
#include "api/problem.h"
#include "api/resources.h"

#include <string.h>

/* {"pool": "hdf5"} or {"pool": null}; on_tier_error is shown only when it is not the default. */
static json_t *link_to_json(const struct link *link) {
    json_t *object = json_object();
    bool fits = json_put(object, "pool", link->origin[0] ? json_string(link->origin) : json_null());
    if (fits && link->fail_on_tier_error) {
        fits = json_put(object, "on_tier_error", json_string("fail"));
    }
    if (!fits) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static enum api_step answer_link(struct request *request, struct response *response, const struct link *link,
                                 bool not_modified) {
    json_t *object = link_to_json(link);
    if (!object || response_json(response, 200, object) != OK) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    if (not_modified) {
        response_not_modified(response);
    } else {
        response_header_text(response, "Content-Type", "application/json");
    }
    generation_describe(response, link->generation, GENERATION_PLAIN);
    return API_DONE;
}

enum api_step res_proxy_to_get(struct request *request, struct response *response) {
    struct link link;
    bool not_modified = false;
    enum err err = wiring_get(request->api->wiring, &request->op, request->pool->nickname, &link);
    err = err ? err : generation_judge_read(request, link.generation, GENERATION_PLAIN, &not_modified);
    return err ? problem_done(request, response, err) : answer_link(request, response, &link, not_modified);
}

struct wish {
    const char *origin; /* NULL = none */
    bool fail_on_tier_error;
};

static enum err read_wish(struct op *op, const json_t *body, struct wish *ret_wish) {
    static const char *const members[] = {"pool", "on_tier_error", NULL};
    enum err err = json_check_members(op, body, members);
    if (err) {
        return err;
    }
    *ret_wish = (struct wish){0};
    const json_t *pool = json_object_get(body, "pool");
    if (!json_is_null(pool)) {
        err = json_get_text(op, body, "pool", &ret_wish->origin);
        if (err) {
            return err;
        }
        if (!nickname_valid(ret_wish->origin)) {
            return op_fail(op, REASON_INVALID_NICKNAME, "the member \"pool\" is no nickname");
        }
    }
    if (json_object_get(body, "on_tier_error")) {
        const char *choice = NULL;
        err = json_get_text(op, body, "on_tier_error", &choice);
        if (err) {
            return err;
        }
        ret_wish->fail_on_tier_error = strcmp(choice, "fail") == 0;
        if (!ret_wish->fail_on_tier_error && strcmp(choice, "skip") != 0) {
            return op_fail(op, REASON_INVALID_BODY,
                           "the member \"on_tier_error\" must be \"skip\" or \"fail\"");
        }
    }
    return OK;
}

static enum err change_link(struct request *request, const struct wish *wish, struct link *ret_link) {
    struct wiring *wiring = request->api->wiring;
    const char *nickname = request->pool->nickname;
    struct link before;
    uint64_t if_generation = GENERATION_ANY;
    enum err err = wiring_get(wiring, &request->op, nickname, &before);
    err = err ? err : generation_judge_change(request, before.generation, &if_generation);
    return err ? err
               : wiring_set(wiring, &request->op, nickname, wish->origin, wish->fail_on_tier_error,
                            if_generation, ret_link);
}

enum api_step res_proxy_to_set(struct request *request, struct response *response) {
    AUTO(json_decref) json_t *body = NULL;
    struct wish wish;
    struct link link;
    enum err err = json_decode_object(&request->op, request->json_body.data, request->json_body.size, &body);
    err = err ? err : read_wish(&request->op, body, &wish);
    err = err ? err : change_link(request, &wish, &link);
    return err ? problem_done(request, response, err) : answer_link(request, response, &link, false);
}

enum api_step res_proxy_to_clear(struct request *request, struct response *response) {
    struct wish nothing = {0};
    struct link link;
    enum err err = change_link(request, &nothing, &link);
    if (err) {
        return problem_done(request, response, err);
    }
    response->status = 204;
    generation_describe(response, link.generation, GENERATION_PLAIN);
    return API_DONE;
}
