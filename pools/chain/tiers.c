/* tiers.c - the chain from one pool on, as a read takes it: immutable, counted, remembered per head until the next change.
 *
 * A head's tiers are built at its first read after a change, from a plan that is copied under the wiring's lock: finding the pools takes the
 * registry's lock, which ranks below it.
 */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/chain/wiring_table.h"

#include <stdlib.h>
#include <string.h>

/* The tiers of one head, built at its first read after a change. */
struct remembered_chain {
    struct map_node node;
    struct tiers *tiers;
};

struct tiers *tiers_ref(struct tiers *tiers) {
    unsigned before = atomic_fetch_add_explicit(&tiers->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    return tiers;
}

void tiers_unref(struct tiers *tiers) {
    if (!tiers) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&tiers->refs, 1, memory_order_acq_rel);
    MUST(before > 0);
    if (before == 1) {
        for (unsigned i = 0; i < tiers->count; i++) {
            pool_unref(tiers->tier[i].pool);
        }
        free(tiers);
    }
}

const struct pool *tiers_reach_out(const struct tiers *tiers) {
    for (unsigned i = 0; i < tiers->count; i++) {
        if (tiers->tier[i].pool->capabilities.remote) {
            return tiers->tier[i].pool;
        }
    }
    return NULL;
}

static bool chain_has_head(const struct map_node *node, const void *key) {
    return CONTAINER_OF_CONST(node, struct remembered_chain, node)->tiers->tier[0].pool == key;
}

static uint64_t head_hash(const struct pool *head) {
    return hash_bytes(head->nickname, strlen(head->nickname));
}

static void free_chain(struct map_node *node, void *context) {
    (void)context;
    struct remembered_chain *chain = CONTAINER_OF(node, struct remembered_chain, node);
    tiers_unref(chain->tiers);
    free(chain);
}

void tiers_table_init(struct map *chains) {
    map_init(chains, chain_has_head);
}

void tiers_table_drop(struct map *chains) {
    map_each(chains, free_chain, NULL);
    map_fini(chains);
}

/* What the links say from the head on, copied under the lock. */
struct chain_plan {
    uint64_t generation;
    unsigned count;
    struct {
        char nickname[NICKNAME_BYTES];
        bool fail_on_error;
    } tier[TIERS_MOST];
};

static void plan_locked(const struct wiring *wiring, const char *head, struct chain_plan *ret_plan) {
    ret_plan->generation = wiring->links.generation;
    ret_plan->count = 0;
    const char *nickname = head;
    while (nickname[0]) {
        MUST(ret_plan->count < TIERS_MOST); /* links_check */
        const struct state_link *row = links_find(&wiring->links, nickname);
        memset(ret_plan->tier[ret_plan->count].nickname, 0, NICKNAME_BYTES);
        memcpy(ret_plan->tier[ret_plan->count].nickname, nickname, strlen(nickname));
        ret_plan->tier[ret_plan->count].fail_on_error = row && row->fail_on_tier_error;
        ret_plan->count++;
        nickname = row ? row->origin : "";
    }
}

/* A linked pool that cannot be had is being removed this moment (or its removal is being refused): the read is asked to come again. A
 * shorter chain would turn "not known" into NOT_FOUND. */
static enum err build_tiers(struct wiring *wiring, struct op *op, struct pool *head,
                            const struct chain_plan *plan, struct tiers **ret_tiers) {
    struct tiers *tiers = calloc(1, sizeof *tiers + plan->count * sizeof(struct tier));
    if (!tiers) {
        return op_no_memory(op);
    }
    atomic_init(&tiers->refs, 1);
    tiers->generation = plan->generation;
    for (unsigned i = 0; i < plan->count; i++) {
        struct pool *pool = i == 0 ? pool_ref(head) : registry_get(wiring->registry, plan->tier[i].nickname);
        if (!pool) {
            tiers_unref(tiers);
            return op_fail(op, REASON_BUSY, "the pool '%s' is being removed", plan->tier[i].nickname);
        }
        tiers->tier[i] = (struct tier){.pool = pool, .fail_on_error = plan->tier[i].fail_on_error};
        tiers->count++;
    }
    *ret_tiers = tiers;
    return OK;
}

enum err wiring_tiers(struct wiring *wiring, struct op *op, struct pool *head, struct tiers **ret_tiers) {
    uint64_t hash = head_hash(head);
    mutex_lock(&wiring->mutex);
    struct map_node *found = map_find(&wiring->chains, hash, head);
    if (found) {
        *ret_tiers = tiers_ref(CONTAINER_OF(found, struct remembered_chain, node)->tiers);
        mutex_unlock(&wiring->mutex);
        return OK;
    }
    mutex_unlock(&wiring->mutex);

    struct chain_plan *plan = malloc(sizeof *plan);
    struct remembered_chain *chain = calloc(1, sizeof *chain);
    struct tiers *tiers = NULL;
    enum err err = plan && chain ? OK : op_no_memory(op);
    if (!err) {
        mutex_lock(&wiring->mutex);
        plan_locked(wiring, head->nickname, plan);
        mutex_unlock(&wiring->mutex);
        err = build_tiers(wiring, op, head, plan, &tiers);
    }
    if (!err) {
        chain->tiers = tiers_ref(tiers);
        /* Not for a pool that somebody still holds but that is registered no more: remembering would keep it open. */
        AUTO(pool_unref) struct pool *registered = registry_get(wiring->registry, head->nickname);
        mutex_lock(&wiring->mutex);
        bool current = wiring->links.generation == tiers->generation && registered == head;
        if (current && !map_find(&wiring->chains, hash, head) &&
            map_insert(&wiring->chains, &chain->node, hash)) {
            chain = NULL;
        }
        mutex_unlock(&wiring->mutex);
        if (chain) {
            tiers_unref(chain->tiers);
        }
        *ret_tiers = tiers;
    }
    free(chain);
    free(plan);
    return err;
}
