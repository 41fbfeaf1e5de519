/* res_entry.c - GET and DELETE of one entry. The read path begins here; HEAD is res_entry_head.c.
 *
 * GET   peek: an entry that the pool has at hand is answered on the poll thread, and the server may keep
 *       the finished answer. run: a chain_read is started once, kept with the request and polled after
 *       every wake, by the poll thread itself (run_now) as long as only a store is waited for; its body is handed on whole when it is in memory, else pulled piece by piece. One range of bytes is a
 *       part of either.
 */
#include "api/api.h"
#include "api/cache_status.h"
#include "api/entry_answer.h"
#include "api/headers.h"
#include "api/problem.h"
#include "api/resources.h"
#include "pools/chain/chain.h"

/* ---- GET ---- */

/* An entry in the pool itself, complete in memory. Takes over *entry when it serves it. */
static enum api_step answer_hit(struct request *request, struct response *response, bool is_plain,
                                struct entry **entry) {
    const struct request_io *io = request->io;
    const struct meta *meta = &(*entry)->meta;
    bool is_part = false;
    struct range_part part;
    if (!is_plain) {
        bool not_modified = false;
        enum err err = entry_judge_read(request, meta, &not_modified);
        if (err) {
            problem_done(request, response, err);
            cache_status_hit(response, request->pool->nickname);
            return API_DONE;
        }
        if (not_modified) {
            entry_not_modified(request, response, meta, ENTRY_FOR_GET);
            cache_status_hit(response, request->pool->nickname);
            return API_DONE;
        }
        err = entry_wanted_part(request, meta, &is_part, &part);
        if (err) {
            entry_range_failed(request, response, meta, err);
            cache_status_hit(response, request->pool->nickname);
            return API_DONE;
        }
    }
    if (is_plain && io->has_prepared && io->has_prepared(request, *entry)) {
        response->status = 200;
        response->content_length = meta->size_bytes;
    } else {
        entry_describe(request, response, meta, ENTRY_FOR_GET);
        entry_describe_content(response, meta, is_part ? &part : NULL);
        cache_status_hit(response, request->pool->nickname);
    }
    response->reusable = is_plain;
    response->body_kind = BODY_ENTRY;
    response->entry = STEAL(*entry);
    return API_DONE;
}

static enum err check_fields(struct request *request) {
    struct range_ask ask;
    enum err err = entry_check_conditions(request);
    return err ? err : range_parse(&request->op, request->io->header(request, "Range"), &ask);
}

/* A part of an entry that is not at hand may be looked for in every tier by the lane itself. */
static const struct pool *may_reach_out(struct request *request) {
    AUTO(tiers_unref) struct tiers *tiers = NULL;
    return request->io->header(request, "Range") &&
                   wiring_tiers(request->api->wiring, &request->op, request->pool, &tiers) == OK
               ? tiers_reach_out(tiers)
               : NULL;
}

/* no-cache: the lane finds out what there is beyond a cached copy. An entry of the pool's own needs no look at the field. */
static bool asks_past(const struct request *request, const struct entry *entry) {
    if (entry->meta.hold != HOLD_CACHED) {
        return false;
    }
    struct cache_directives directives;
    headers_cache_control(request->io->header(request, "Cache-Control"), &directives);
    return directives.no_cache;
}

static enum api_step get_now(struct request *request, struct response *response);

enum api_step res_entry_get_peek(struct request *request, struct response *response) {
    struct id id;
    enum err err = entry_id(request, &id);
    bool is_plain = !entry_has_conditions(request) && !request->io->header(request, "Range");
    err = err || is_plain ? err : check_fields(request);
    if (err) {
        return problem_done(request, response, err);
    }
    AUTO(entry_unref) struct entry *entry = NULL;
    /* A miss, a body that is not at hand or a failure: the lane finds out, with room to say what it was. */
    if (pool_peek(request->pool, &id, &entry) == OK && !asks_past(request, entry)) {
        return answer_hit(request, response, is_plain, &entry);
    }
    request->reaches_out = may_reach_out(request);
    request->run_now = get_now;
    return API_LANE;
}

static void close_kept_read(void *kept) {
    chain_read_close(kept);
}

static enum err start_read(struct request *request, const struct cache_directives *directives,
                           struct chain_read **ret_read) {
    struct api *api = request->api;
    struct id id;
    enum err err = entry_id(request, &id);
    if (err) {
        return err;
    }
    struct range_ask ask;
    err = range_parse(&request->op, request->io->header(request, "Range"), &ask);
    if (err) {
        return err;
    }
    AUTO(tiers_unref) struct tiers *tiers = NULL;
    err = wiring_tiers(api->wiring, &request->op, request->pool, &tiers);
    if (err) {
        return err;
    }
    struct chain_read_options options = {.local_only = directives->only_if_cached,
                                         .no_store = directives->no_store,
                                         .refresh = directives->no_cache,
                                         .wants_part = ask.is_part,
                                         .part_over_bytes = api->range_fill_most_bytes};
    return chain_read_start(api->flights, &request->op, tiers, &id, &options, request->waker, ret_read);
}

static enum err pull_read(void *context, struct op *op, void *ret_bytes, size_t cap, size_t *ret_count) {
    return chain_read_next(context, op, ret_bytes, cap, ret_count);
}

static enum err pull_now(void *context, void *ret_bytes, size_t cap, size_t *ret_count) {
    return chain_read_next_now(context, ret_bytes, cap, ret_count);
}

static enum err map_read(void *context, size_t bytes, const void **ret_bytes) {
    return chain_read_map(context, bytes, ret_bytes);
}

static enum api_step answer_failed_read(struct request *request, struct response *response,
                                        const struct chain_read *read,
                                        const struct cache_directives *directives, enum err kind) {
    if (kind == ERR_NOT_FOUND && directives->only_if_cached) {
        kind = op_fail(&request->op, REASON_NOT_CACHED,
                       directives->no_cache ? "the pool itself has no entry of its own"
                                            : "the pool itself does not have the entry");
    } else if (kind == ERR_NOT_FOUND) {
        kind = op_fail(&request->op, REASON_ENTRY_NOT_FOUND, "no tier of the chain has the entry");
    }
    struct problem_extra extra = {0};
    extra.report_count = chain_read_reports(read, &extra.reports);
    problem_answer(request, response, &request->op.fault, kind, &extra);
    return API_DONE;
}

static void hand_over_body(struct request *request, struct response *response, struct chain_read *read) {
    struct entry *entry = chain_read_entry(read);
    if (entry) {
        response->body_kind = BODY_ENTRY;
        response->entry = entry_ref(entry);
    } else {
        response->body_kind = BODY_SOURCE;
        response->source = (struct body_source){.read = pull_read,
                                                .read_now = chain_read_has_now(read) ? pull_now : NULL,
                                                .map = map_read,
                                                .close = close_kept_read,
                                                .context = read};
        request_keep(request, NULL, NULL); /* the response closes it now */
    }
}

/* The read has its answer. API_LANE: another look is needed, because the whole is wanted after all or the entry has changed. */
static enum api_step answer_read(struct request *request, struct response *response, struct chain_read *read,
                                 const struct cache_directives *directives) {
    const struct meta *meta = chain_read_meta(read);
    const struct tier_report *reports = NULL;
    unsigned report_count = chain_read_reports(read, &reports);
    bool not_modified = false;
    enum err err = entry_judge_read(request, meta, &not_modified);
    if (err) {
        problem_done(request, response, err);
        cache_status_reports(response, reports, report_count);
        return API_DONE;
    }
    if (not_modified) {
        entry_not_modified(request, response, meta, ENTRY_FOR_GET);
        cache_status_reports(response, reports, report_count);
        return API_DONE;
    }
    bool is_part = false;
    struct range_part part;
    err = entry_wanted_part(request, meta, &is_part, &part);
    if (err) {
        entry_range_failed(request, response, meta, err);
        cache_status_reports(response, reports, report_count);
        return API_DONE;
    }
    if (!is_part && chain_read_is_placed(read)) {
        chain_read_take_whole(read);
        return API_LANE;
    }
    err = is_part ? chain_read_take_part(read, &request->op, part.offset, part.bytes) : OK;
    if (err) {
        return err == ERR_AGAIN ? API_LANE : answer_failed_read(request, response, read, directives, err);
    }
    entry_describe(request, response, meta, ENTRY_FOR_GET);
    entry_describe_content(response, meta, is_part ? &part : NULL);
    cache_status_reports(response, reports, report_count);
    hand_over_body(request, response, read);
    return API_DONE;
}

/* The read that is kept with the request; begun when there is none. */
static enum err kept_read(struct request *request, const struct cache_directives *directives,
                          struct chain_read **ret_read) {
    *ret_read = request->kept;
    enum err err = *ret_read ? OK : start_read(request, directives, ret_read);
    if (!err && !request->kept) {
        request_keep(request, *ret_read, close_kept_read);
    }
    return err;
}

/* A cold read that waits for a store alone: begun and answered without a lane. */
static enum api_step get_now(struct request *request, struct response *response) {
    struct cache_directives directives;
    headers_cache_control(request->io->header(request, "Cache-Control"), &directives);
    struct chain_read *read = NULL;
    enum err err = kept_read(request, &directives, &read);
    if (err) {
        return problem_done(request, response, err);
    }
    bool needs_lane = false;
    err = chain_read_poll_now(read, &request->op, &needs_lane);
    if (err == ERR_AGAIN) {
        return needs_lane ? API_LANE : API_WAIT;
    }
    return err ? answer_failed_read(request, response, read, &directives, err)
               : answer_read(request, response, read, &directives);
}

enum api_step res_entry_get(struct request *request, struct response *response) {
    struct cache_directives directives;
    headers_cache_control(request->io->header(request, "Cache-Control"), &directives);
    struct chain_read *read = NULL;
    enum err err = kept_read(request, &directives, &read);
    if (err) {
        return problem_done(request, response, err);
    }
    for (;;) {
        err = chain_read_poll(read, &request->op);
        if (err) {
            return err == ERR_AGAIN ? API_WAIT
                                    : answer_failed_read(request, response, read, &directives, err);
        }
        enum api_step step = answer_read(request, response, read, &directives);
        if (step != API_LANE) {
            return step;
        }
    }
}

/* ---- DELETE ---- */

enum api_step res_entry_delete_peek(struct request *request, struct response *response) {
    struct id id;
    struct condition condition;
    enum err err = entry_id(request, &id);
    err = err ? err : entry_write_condition(request, &condition);
    return err ? problem_done(request, response, err) : API_LANE;
}

enum api_step res_entry_delete(struct request *request, struct response *response) {
    struct id id;
    struct condition condition;
    enum err err = entry_id(request, &id);
    err = err ? err : entry_write_condition(request, &condition);
    bool existed = false;
    if (!err) {
        err = pool_remove(request->pool, &request->op, &id,
                          condition.kind == CONDITION_NONE ? NULL : &condition, &existed);
    }
    if (err) {
        return entry_write_failed(request, response, &id, err);
    }
    response->status = 204;
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}
