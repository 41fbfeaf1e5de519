/* chain_stat.c - what the chain knows of an entry, without moving any of it. See chain.h.
 *
 * The same walk and the same verdicts as a read's: only NOT_FOUND is a miss, a failed tier is skipped unless its link says otherwise, and
 * the failed tier nearest the origin speaks when nothing is found. But there is nothing to share and nothing to fill, so there is no flight.
 */
#include "pools/chain/chain_read.h"

#include <string.h>

enum err chain_stat_tier(struct op *op, struct pool *pool, const struct id *id, struct meta *ret_meta) {
    enum err err = pool_peek_meta(pool, id, ret_meta);
    if (err == ERR_AGAIN) {
        err = pool_stat(pool, op, id, ret_meta);
    }
    bool cannot_hold = err == ERR_INVALID && op->fault.reason == REASON_ID_TOO_LONG_FOR_POOL;
    return cannot_hold ? ERR_NOT_FOUND : err;
}

static void count_skip(struct pool *pool) {
    atomic_fetch_add_explicit(&pool->stats.skips, 1, memory_order_relaxed);
}

enum err chain_stat(struct op *op, const struct tiers *tiers, const struct id *id,
                    const struct chain_read_options *options, struct tier_report *ret_reports,
                    struct meta *ret_meta) {
    for (unsigned i = 0; i < tiers->count; i++) {
        ret_reports[i] = (struct tier_report){.result = TIER_UNASKED};
        memcpy(ret_reports[i].nickname, tiers->tier[i].pool->nickname, NICKNAME_BYTES);
    }
    struct fault fault = {.reason = REASON_NONE};
    unsigned asked = options->local_only ? 1 : tiers->count;
    for (unsigned i = 0; i < asked; i++) {
        const struct tier *tier = &tiers->tier[i];
        bool is_last = i + 1 == tiers->count;
        enum err err = chain_stat_tier(op, tier->pool, id, ret_meta);
        if (!err && options->refresh && !is_last && ret_meta->hold == HOLD_CACHED) {
            meta_fini(ret_meta);
            ret_reports[i].result = TIER_PASSED;
        } else if (!err) {
            ret_reports[i].result = TIER_HIT;
            return OK;
        } else if (err == ERR_NOT_FOUND) {
            ret_reports[i].result = TIER_MISS;
        } else {
            ret_reports[i].result = TIER_FAILED;
            ret_reports[i].kind = err;
            fault = op->fault;
            if (tier->fail_on_error || op_check(op)) { /* the client's own end is no failure to step over */
                return op_adopt(op, &fault);
            }
            if (i + 1 < asked) {
                count_skip(tier->pool);
            }
        }
    }
    return fault.reason ? op_adopt(op, &fault)
                        : op_fail(op, REASON_ENTRY_NOT_FOUND, "no pool of the chain has the entry");
}
