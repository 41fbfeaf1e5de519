/* wiring.c - who proxies to whom. See wiring.h.
 *
 * A change goes through four steps:
 *   1 RESERVED  `changing` is set; other changes wait. Only the holder of the reservation touches `links` from here on.
 *   2 PREPARED  a copy of the links has the change in it and passed every check.
 *   3 SAVED     state.db has it, synced. No lock was held meanwhile: readers went on with the old wiring.
 *   4 PUBLISHED under the lock the copy becomes `links` and the remembered tiers are dropped.
 * A failure in 2 or 3 ends the reservation and leaves everything as it was.
 *
 * A link's generation is the global generation of its last change: it only rises, and needs no counter of its own.
 */
#include "pools/chain/wiring.h"

#include "pools/base/log.h"
#include "pools/chain/wiring_table.h"

#include <stdlib.h>
#include <string.h>

/* ---- changes ---- */

/* Step 1. ret_links is a copy with the next generation, the caller's to change. */
static enum err begin_change(struct wiring *wiring, struct op *op, struct links *ret_links) {
    mutex_lock(&wiring->mutex);
    while (wiring->changing) {
        cond_wait_until(&wiring->settled, &wiring->mutex, 0);
    }
    wiring->changing = true;
    mutex_unlock(&wiring->mutex);
    enum err err = links_copy(op, &wiring->links, ret_links);
    if (!err) {
        ret_links->generation++;
    }
    return err;
}

static void end_change(struct wiring *wiring) {
    mutex_lock(&wiring->mutex);
    wiring->changing = false;
    cond_broadcast(&wiring->settled);
    mutex_unlock(&wiring->mutex);
}

static bool is_proxied(const struct links *links, const char *pool) {
    const struct state_link *row = links_find(links, pool);
    return row && row->origin[0];
}

/* Tells the pools that `with` gives an origin and `without` does not. */
static void tell_pools(struct wiring *wiring, const struct links *with, const struct links *without,
                       bool evictable) {
    for (size_t i = 0; i < with->count; i++) {
        const char *nickname = with->rows[i].pool;
        if (!is_proxied(with, nickname) || is_proxied(without, nickname)) {
            continue;
        }
        AUTO(pool_unref) struct pool *pool = registry_get(wiring->registry, nickname);
        if (pool) {
            pool_set_cached_evictable(pool, evictable);
        }
    }
}

/* Step 3. dropped_pool: goes from state.db in the same step; NULL = none. */
static enum err save(struct wiring *wiring, struct op *op, const struct links *links,
                     const char *dropped_pool) {
    const struct state_wiring saved = {.links = links->rows,
                                       .count = links->count,
                                       .generation = links->generation,
                                       .chain_text = wiring->chain_text};
    return state_save_wiring(wiring->state, op, &saved, dropped_pool);
}

/* Step 4. Takes the links' memory and leaves the old in its place for the caller to free. */
static void publish(struct wiring *wiring, struct links *links) {
    struct map empty;
    tiers_table_init(&empty);
    mutex_lock(&wiring->mutex);
    struct links old = wiring->links;
    wiring->links = *links;
    struct map chains = wiring->chains;
    wiring->chains = empty;
    mutex_unlock(&wiring->mutex);
    tiers_table_drop(&chains);
    /* Still reserved: two changes cannot tell a pool in the wrong order. */
    tell_pools(wiring, &wiring->links, &old, true);
    tell_pools(wiring, &old, &wiring->links, false);
    *links = old;
}

static enum err save_and_publish(struct wiring *wiring, struct op *op, struct links *links,
                                 const char *dropped_pool) {
    enum err err = save(wiring, op, links, dropped_pool);
    if (!err) {
        publish(wiring, links);
    }
    return err;
}

static enum err check_exists(struct wiring *wiring, struct op *op, const char *nickname) {
    AUTO(pool_unref) struct pool *pool = NULL;
    return registry_find(wiring->registry, op, nickname, &pool);
}

static enum err check_generation(struct op *op, uint64_t wanted, uint64_t current) {
    return wanted == GENERATION_ANY || wanted == current
               ? OK
               : op_fail(op, REASON_PRECONDITION_FAILED, "the wiring has changed meanwhile");
}

static void read_link(const struct links *links, const char *nickname, struct link *ret_link) {
    const struct state_link *row = links_find(links, nickname);
    *ret_link = (struct link){0};
    if (row) {
        memcpy(ret_link->origin, row->origin, sizeof ret_link->origin);
        ret_link->fail_on_tier_error = row->fail_on_tier_error;
        ret_link->generation = row->generation;
    }
}

static enum err prepare_set(struct wiring *wiring, struct op *op, const char *nickname, const char *origin,
                            bool fail_on_tier_error, uint64_t if_generation, struct links *links) {
    enum err err = check_exists(wiring, op, nickname);
    if (!err && origin[0]) {
        err = check_exists(wiring, op, origin);
    }
    if (err) {
        return err;
    }
    struct link now;
    read_link(links, nickname, &now);
    err = check_generation(op, if_generation, now.generation);
    if (!err) {
        err = links_put(links, op, nickname, origin, &fail_on_tier_error);
    }
    return err ? err : links_check(links, op);
}

enum err wiring_set(struct wiring *wiring, struct op *op, const char *nickname, const char *origin,
                    bool fail_on_tier_error, uint64_t if_generation, struct link *ret_link) {
    struct links links = {0};
    const char *wanted = origin ? origin : "";
    enum err err = begin_change(wiring, op, &links);
    if (!err) {
        err =
            prepare_set(wiring, op, nickname, wanted, fail_on_tier_error && wanted[0], if_generation, &links);
    }
    if (!err) {
        err = save_and_publish(wiring, op, &links, NULL);
    }
    if (!err) {
        read_link(&wiring->links, nickname, ret_link);
    }
    end_change(wiring);
    links_fini(&links);
    return err;
}

static bool expr_names(const struct expr_links *wanted, const char *pool) {
    for (size_t i = 0; i < wanted->count; i++) {
        if (strcmp(wanted->links[i].pool, pool) == 0) {
            return true;
        }
    }
    return false;
}

static enum err prepare_apply(struct wiring *wiring, struct op *op, const struct expr_links *wanted,
                              bool replace, struct links *links) {
    const bool skip = false;
    for (size_t i = 0; i < wanted->lone_count; i++) {
        enum err err = check_exists(wiring, op, wanted->lone[i].pool);
        if (err) {
            return err;
        }
    }
    for (size_t i = 0; i < wanted->count; i++) {
        const struct expr_link *link = &wanted->links[i];
        enum err err = check_exists(wiring, op, link->pool);
        if (!err) {
            err = check_exists(wiring, op, link->origin);
        }
        if (!err) { /* an expression says nothing of on_tier_error: what was set stays */
            err = links_put(links, op, link->pool, link->origin, NULL);
        }
        if (err) {
            return err;
        }
    }
    for (size_t i = 0; replace && i < links->count; i++) {
        struct state_link *row = &links->rows[i];
        if (row->origin[0] && !expr_names(wanted, row->pool)) {
            enum err err = links_put(links, op, row->pool, "", &skip);
            if (err) {
                return err;
            }
        }
    }
    return links_check(links, op);
}

enum err wiring_apply(struct wiring *wiring, struct op *op, const struct expr_links *wanted, bool replace,
                      uint64_t if_generation) {
    struct links links = {0};
    enum err err = begin_change(wiring, op, &links);
    if (!err) {
        err = check_generation(op, if_generation, wiring->links.generation);
    }
    if (!err) {
        err = prepare_apply(wiring, op, wanted, replace, &links);
    }
    if (!err) {
        err = save_and_publish(wiring, op, &links, NULL);
    }
    end_change(wiring);
    links_fini(&links);
    return err;
}

/* A link that was never set has a generation of its own too: a tag that is from an earlier pool of the name names nothing any more. */
enum err wiring_adopt_pool(void *context, struct op *op, const char *nickname) {
    const bool skip = false;
    struct wiring *wiring = context;
    struct links links = {0};
    enum err err = begin_change(wiring, op, &links);
    err = err ? err : links_put(&links, op, nickname, "", &skip);
    err = err ? err : save_and_publish(wiring, op, &links, NULL);
    end_change(wiring);
    links_fini(&links);
    return err;
}

enum err wiring_drop_pool(void *context, struct op *op, const char *nickname) {
    struct wiring *wiring = context;
    struct links links = {0};
    enum err err = begin_change(wiring, op, &links);
    if (!err) {
        links_drop(&links, nickname);
        /* Also without a row: the remembered tiers hold the pool. */
        err = save_and_publish(wiring, op, &links, nickname);
    }
    end_change(wiring);
    links_fini(&links);
    return err;
}

/* ---- questions ---- */

enum err wiring_get(struct wiring *wiring, struct op *op, const char *nickname, struct link *ret_link) {
    enum err err = check_exists(wiring, op, nickname);
    if (!err) {
        mutex_lock(&wiring->mutex);
        read_link(&wiring->links, nickname, ret_link);
        mutex_unlock(&wiring->mutex);
    }
    return err;
}

enum err wiring_text(struct wiring *wiring, struct op *op, struct buf *buf, uint64_t *ret_generation) {
    struct links links = {0};
    mutex_lock(&wiring->mutex);
    enum err err = links_copy(op, &wiring->links, &links);
    mutex_unlock(&wiring->mutex);
    struct expr_links found = {0};
    if (!err) {
        err = links_to_expr(&links, op, &found);
    }
    if (!err) {
        err = expr_format(op, &found, buf);
    }
    if (!err) {
        *ret_generation = links.generation;
    }
    expr_links_fini(&found);
    links_fini(&links);
    return err;
}

/* Waits for a change under way: the caller has hidden the pool from the registry, so a later change cannot link to it. */
enum err wiring_in_use(void *context, struct op *op, const char *nickname) {
    struct wiring *wiring = context;
    enum err err = OK;
    mutex_lock(&wiring->mutex);
    while (wiring->changing) {
        cond_wait_until(&wiring->settled, &wiring->mutex, 0);
    }
    for (size_t i = 0; i < wiring->links.count && !err; i++) {
        if (strcmp(wiring->links.rows[i].origin, nickname) == 0) {
            err =
                op_fail(op, REASON_POOL_IN_USE, "'%s' proxies to '%s'", wiring->links.rows[i].pool, nickname);
        }
    }
    mutex_unlock(&wiring->mutex);
    return err;
}

/* ---- birth, start, death ---- */

struct wiring *wiring_new(struct registry *registry, struct state *state) {
    struct wiring *wiring = calloc(1, sizeof *wiring);
    if (wiring) {
        wiring->registry = registry;
        wiring->state = state;
        mutex_init(&wiring->mutex, RANK_WIRING);
        cond_init(&wiring->settled);
        tiers_table_init(&wiring->chains);
    }
    return wiring;
}

void wiring_free(struct wiring *wiring) {
    if (!wiring) {
        return;
    }
    tiers_table_drop(&wiring->chains);
    links_fini(&wiring->links);
    free(wiring->chain_text);
    cond_fini(&wiring->settled);
    mutex_fini(&wiring->mutex);
    free(wiring);
}

/* Rows of pools that are gone are dropped; links to pools that are gone are cleared. */
static enum err clear_vanished(struct wiring *wiring, struct op *op, struct links *links, bool *ret_changed) {
    const bool skip = false;
    enum err err = OK;
    for (size_t i = 0; i < links->count && !err;) {
        struct state_link *row = &links->rows[i];
        AUTO(pool_unref) struct pool *pool = registry_get(wiring->registry, row->pool);
        AUTO(pool_unref)
        struct pool *origin = row->origin[0] ? registry_get(wiring->registry, row->origin) : NULL;
        if (!pool) {
            log_line(LOG_WARNING, "wiring", "the link of '%s' is dropped: there is no such pool any more",
                     row->pool);
            links_drop(links, row->pool);
            *ret_changed = true;
            continue;
        }
        if (row->origin[0] && !origin) {
            log_line(LOG_WARNING, "wiring", "the link '%s << %s' is cleared: there is no pool '%s' any more",
                     row->pool, row->origin, row->origin);
            err = links_put(links, op, row->pool, "", &skip);
            *ret_changed = true;
        }
        i++;
    }
    return err;
}

/* Generations go on from the saved ones; a restart that changes nothing raises none. Never saved and no text is the same, too. */
static enum err start_links(struct wiring *wiring, struct op *op, const struct state_wiring *saved,
                            struct links *links, bool *ret_changed) {
    const char *saved_text = saved->chain_text ? saved->chain_text : "";
    bool changed = false;
    links->generation++;
    enum err err = clear_vanished(wiring, op, links, &changed);
    if (!err && strcmp(saved_text, wiring->chain_text) != 0) {
        struct expr_links wanted = {0};
        changed = true;
        err = expr_parse(op, wiring->chain_text, strlen(wiring->chain_text), &wanted);
        if (!err) {
            err = prepare_apply(wiring, op, &wanted, true, links);
        }
        expr_links_fini(&wanted);
    }
    if (!changed) {
        links->generation = saved->generation;
    }
    *ret_changed = changed;
    return err ? err : links_check(links, op);
}

enum err wiring_start(struct wiring *wiring, struct op *op, const char *chain_text) {
    free(wiring->chain_text);
    wiring->chain_text = strdup(chain_text ? chain_text : "");
    if (!wiring->chain_text) {
        return op_no_memory(op);
    }
    struct state_wiring saved = {0};
    enum err err = state_load_wiring(wiring->state, op, &saved);
    if (err) {
        return err;
    }
    struct links links = {
        .rows = saved.links, .count = saved.count, .room = saved.count, .generation = saved.generation};
    bool changed = false;
    err = start_links(wiring, op, &saved, &links, &changed);
    if (!err && changed) { /* else a full disk would keep the daemon from starting for nothing */
        err = save(wiring, op, &links, NULL);
    }
    if (!err) {
        publish(wiring, &links);
    }
    links_fini(&links);
    free(saved.chain_text);
    return err;
}
