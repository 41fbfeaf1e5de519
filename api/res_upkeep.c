/* res_upkeep.c - compacting and scrubbing a pool: start the work in the background, steer it, look how far it is.
 *
 * Starting answers 202 and the work's state, also when it was under way already: who asks twice wants the same thing, and finds it
 * at the same place. Steering answers 200, for it has happened by then.
 */
#include "api/json.h"
#include "api/problem.h"
#include "api/resources.h"

#include <string.h>

/* ---- out ---- */
static json_t *number(uint64_t value) {
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static json_t *time_or_null(int64_t wall_ms) {
    return wall_ms ? json_integer(wall_ms) : json_null();
}

static json_t *size_or_null(uint64_t bytes) {
    return bytes ? number(bytes) : json_null();
}

/* NULL instead of half an object. */
static json_t *whole(json_t *object, bool fits) {
    if (!fits) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *progress_to_json(const struct upkeep_status *status) {
    json_t *object = json_object();
    bool fits = json_put(object, "entries_done", number(status->entries_done)) &&
                json_put(object, "entries_total", number(status->entries_total)) &&
                json_put(object, "bytes_done", number(status->bytes_done)) &&
                json_put(object, "bytes_total", number(status->bytes_total));
    return whole(object, fits);
}

static json_t *found_to_json(const struct upkeep_status *status) {
    json_t *ids = json_array();
    bool fits = ids != NULL;
    for (unsigned i = 0; i < status->corrupt_id_count; i++) {
        fits = fits && json_array_append_new(ids, json_string(status->corrupt_ids[i])) == 0;
    }
    json_t *object = json_object();
    fits = json_put(object, "corrupt_ids", ids) && fits;
    fits = fits && json_put(object, "corrupt", number(status->corrupt)) &&
           json_put(object, "dropped", number(status->dropped)) &&
           json_put(object, "learned", number(status->learned)) &&
           json_put(object, "unreadable", number(status->unreadable));
    return whole(object, fits);
}

static json_t *file_to_json(const struct upkeep_status *status) {
    json_t *object = json_object();
    bool fits = json_put(object, "bytes_before", size_or_null(status->bytes_before)) &&
                json_put(object, "bytes_after", size_or_null(status->bytes_after));
    return whole(object, fits);
}

static json_t *error_to_json(const struct fault *fault) {
    json_t *object = json_object();
    char type[64] = "urn:lailad:problem:";
    strncat(type, reason_slug(fault->reason), sizeof type - strlen(type) - 1);
    bool fits =
        json_put(object, "type", json_string(type)) && json_put(object, "detail", json_string(fault->detail));
    return whole(object, fits);
}

static json_t *status_to_json(enum upkeep_kind kind, const struct upkeep_status *status) {
    json_t *object = json_object();
    bool fits = json_put(object, "status", json_string(upkeep_state_word(status->state))) &&
                json_put(object, "progress", progress_to_json(status)) &&
                json_put(object, "started_ms", time_or_null(status->started_ms)) &&
                json_put(object, "ended_ms", time_or_null(status->ended_ms));
    fits = fits && (kind == UPKEEP_SCRUB ? json_put(object, "found", found_to_json(status))
                                         : json_put(object, "file", file_to_json(status)));
    if (fits && status->state == UPKEEP_ERROR) {
        fits = json_put(object, "error", error_to_json(&status->fault));
    }
    return whole(object, fits);
}

static enum api_step answer_status(struct request *request, struct response *response, enum upkeep_kind kind,
                                   unsigned code) {
    AUTO(upkeep_status_fini) struct upkeep_status status = {0};
    enum err err = pool_get_upkeep(request->pool, &request->op, kind, &status);
    return err ? problem_done(request, response, err)
               : json_done(request, response, code, status_to_json(kind, &status));
}

/* ---- in ---- */
static enum err read_action(struct op *op, const struct buf *body, enum upkeep_action *ret_action) {
    static const char *const members[] = {"action", NULL};
    static const struct {
        const char *word;
        enum upkeep_action action;
    } actions[] = {{"pause", UPKEEP_PAUSE}, {"resume", UPKEEP_RESUME}, {"cancel", UPKEEP_CANCEL}};
    AUTO(json_decref) json_t *object = NULL;
    const char *word = NULL;
    enum err err = json_decode_object(op, body->data, body->size, &object);
    err = err ? err : json_check_members(op, object, members);
    err = err ? err : json_get_text(op, object, "action", &word);
    if (err) {
        return err;
    }
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        if (strcmp(actions[i].word, word) == 0) {
            *ret_action = actions[i].action;
            return OK;
        }
    }
    return op_fail(op, REASON_INVALID_BODY,
                   "the member \"action\" must be \"pause\", \"resume\" or \"cancel\"");
}

static enum api_step steer(struct request *request, struct response *response, enum upkeep_kind kind) {
    enum upkeep_action action = UPKEEP_START;
    enum err err = request->json_body.size ? read_action(&request->op, &request->json_body, &action) : OK;
    err = err ? err : pool_upkeep(request->pool, &request->op, kind, action);
    if (err) {
        return problem_done(request, response, err);
    }
    bool starts = action == UPKEEP_START;
    answer_status(request, response, kind, starts ? 202 : 200);
    if (starts && response->status == 202) { /* and not the problem that memory ran out */
        response_header(response, "Location", "/pools/%s/%s", request->pool->nickname,
                        upkeep_kind_word(kind));
    }
    return API_DONE;
}

enum api_step res_compact_get(struct request *request, struct response *response) {
    return answer_status(request, response, UPKEEP_COMPACT, 200);
}

enum api_step res_compact_post(struct request *request, struct response *response) {
    return steer(request, response, UPKEEP_COMPACT);
}

enum api_step res_scrub_get(struct request *request, struct response *response) {
    return answer_status(request, response, UPKEEP_SCRUB, 200);
}

enum api_step res_scrub_post(struct request *request, struct response *response) {
    return steer(request, response, UPKEEP_SCRUB);
}
