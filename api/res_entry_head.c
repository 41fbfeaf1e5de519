/* res_entry_head.c - HEAD of one entry: does it exist, and what is known of it. Moves no data and fills nothing.
 *
 * By default the named pool alone is asked: that is LAILA's exists(). With ?scope=chain the whole chain is, by the rules of a read
 * (pools/chain/chain_stat.c); then a lane asks tier after tier, one that may wait for a network when one of them is behind it. With
 * only-if-cached, as for a read, nobody but the named pool is asked, and nothing there is 504.
 */
#include "api/api.h"
#include "api/cache_status.h"
#include "api/entry_answer.h"
#include "api/headers.h"
#include "api/problem.h"
#include "api/resources.h"
#include "pools/chain/chain.h"

#include <stdlib.h>
#include <string.h>

static bool is_text(const struct target_text *text, const char *wanted) {
    return text->bytes == strlen(wanted) && memcmp(text->text, wanted, text->bytes) == 0;
}

static enum err wanted_scope(struct request *request, bool *ret_chain) {
    const struct target_text *scope = target_query(&request->target, "scope");
    *ret_chain = scope && is_text(scope, "chain");
    return !scope || *ret_chain || is_text(scope, "local")
               ? OK
               : op_fail(&request->op, REASON_INVALID_QUERY, "scope is \"local\" or \"chain\"");
}

/* The entry's header fields, or the 304 or 412 that the conditions ask for; Cache-Status is the caller's. */
static enum err describe(struct request *request, struct response *response, const struct meta *meta) {
    bool not_modified = false;
    enum err err = entry_judge_read(request, meta, &not_modified);
    if (err) {
        return err;
    }
    if (not_modified) {
        entry_not_modified(request, response, meta, ENTRY_FOR_HEAD);
    } else {
        entry_describe(request, response, meta, ENTRY_FOR_HEAD);
    }
    return OK;
}

/* ---- the named pool ---- */

static enum api_step answer_absent(struct request *request, struct response *response) {
    enum err err = op_fail(&request->op, REASON_ENTRY_NOT_FOUND, "the pool itself does not have the entry");
    problem_done(request, response, err);
    cache_status_local(response, request->pool->nickname, false);
    return API_DONE;
}

static enum api_step answer_local(struct request *request, struct response *response, enum err err,
                                  struct meta *take_meta) {
    if (err == ERR_NOT_FOUND) {
        return answer_absent(request, response);
    }
    if (!err) {
        err = describe(request, response, take_meta);
        meta_fini(take_meta);
    }
    if (err) {
        problem_done(request, response, err);
    }
    if (!err || err == ERR_PRECONDITION) { /* which there is an entry for to fail */
        cache_status_local(response, request->pool->nickname, true);
    }
    return API_DONE;
}

/* ---- the chain ---- */

static enum api_step chain_to_lane(struct request *request, struct response *response) {
    AUTO(tiers_unref) struct tiers *tiers = NULL;
    enum err err = wiring_tiers(request->api->wiring, &request->op, request->pool, &tiers);
    if (err) {
        return problem_done(request, response, err);
    }
    struct cache_directives directives;
    headers_cache_control(request->io->header(request, "Cache-Control"), &directives);
    if (!directives.only_if_cached) {
        request->reaches_out = tiers_reach_out(tiers);
    }
    return API_LANE;
}

static enum api_step answer_chain(struct request *request, struct response *response,
                                  const struct tier_report *reports, unsigned count, enum err err,
                                  const struct meta *meta) {
    err = err ? err : describe(request, response, meta);
    if (!err) {
        cache_status_reports(response, reports, count);
        return API_DONE;
    }
    struct problem_extra extra = {.reports = reports, .report_count = count};
    problem_answer(request, response, &request->op.fault, err, &extra);
    return API_DONE;
}

static enum api_step run_chain(struct request *request, struct response *response, const struct id *id) {
    struct cache_directives directives;
    headers_cache_control(request->io->header(request, "Cache-Control"), &directives);
    AUTO(tiers_unref) struct tiers *tiers = NULL;
    enum err err = wiring_tiers(request->api->wiring, &request->op, request->pool, &tiers);
    if (err) {
        return problem_done(request, response, err);
    }
    struct tier_report *reports = calloc(tiers->count, sizeof *reports);
    if (!reports) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    struct meta meta;
    struct chain_read_options options = {.local_only = directives.only_if_cached,
                                         .refresh = directives.no_cache};
    err = chain_stat(&request->op, tiers, id, &options, reports, &meta);
    if (err == ERR_NOT_FOUND && directives.only_if_cached) {
        err = op_fail(&request->op, REASON_NOT_CACHED, "the pool itself does not have the entry");
    }
    enum api_step step = answer_chain(request, response, reports, tiers->count, err, &meta);
    if (!err) {
        meta_fini(&meta);
    }
    free(reports);
    return step;
}

/* ---- the handlers ---- */

enum api_step res_entry_head_peek(struct request *request, struct response *response) {
    struct id id;
    bool wants_chain = false;
    enum err err = entry_id(request, &id);
    err = err ? err : wanted_scope(request, &wants_chain);
    err = err ? err : entry_check_conditions(request);
    if (err) {
        return problem_done(request, response, err);
    }
    if (wants_chain) {
        return chain_to_lane(request, response);
    }
    struct meta meta;
    err = pool_peek_meta(request->pool, &id, &meta);
    return err && err != ERR_NOT_FOUND ? API_LANE : answer_local(request, response, err, &meta);
}

enum api_step res_entry_head(struct request *request, struct response *response) {
    struct id id;
    bool wants_chain = false;
    enum err err = entry_id(request, &id);
    err = err ? err : wanted_scope(request, &wants_chain);
    if (err) {
        return problem_done(request, response, err);
    }
    if (wants_chain) {
        return run_chain(request, response, &id);
    }
    struct meta meta;
    err = pool_stat(request->pool, &request->op, &id, &meta);
    return answer_local(request, response, err, &meta);
}
