/* flight_table.c - flights as members of their table: who may be joined, birth, death, the drain. See flight_table.h; flight.h has
 * the states and the why.
 *
 * A flight is in two collections. The map `open` has those that readers may join and loses a flight early: when its key changes or its stream
 * breaks off. The list `unfinished` has every flight that still has something to do, for the drain.
 *
 * Read next: flight_publish.c.
 */
#include "pools/chain/flight_table.h"

#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table ---- */

struct flight_key {
    const struct pool *pool;
    const struct id *id;
    uint64_t generation;
    bool untried;
};

static bool flight_has_key(const struct map_node *node, const void *key_pointer) {
    const struct flight *flight = CONTAINER_OF_CONST(node, struct flight, node);
    const struct flight_key *key = key_pointer;
    return flight->pool == key->pool && flight->tiers->generation == key->generation &&
           flight->untried == key->untried && id_equal(&flight->id, key->id);
}

static uint64_t key_hash(const struct pool *pool, const struct id *id) {
    return id->hash ^ ((uint64_t)(uintptr_t)pool * UINT64_C(0x9E3779B97F4A7C15));
}

void flight_leave_table_locked(struct flight *flight) {
    if (flight->in_table) {
        map_remove(&flight->flights->open, &flight->node);
        flight->in_table = false;
    }
}

void flight_begin_look_locked(struct flight *flight) {
    if (flight->untried) {
        flight_leave_table_locked(flight);
        flight->untried = false;
    }
}

void flight_join_table_locked(struct flight *flight) {
    MUST(!flight->in_table && !flight->untried);
    struct flight_key key = {
        .pool = flight->pool, .id = &flight->id, .generation = flight->tiers->generation};
    uint64_t hash = key_hash(flight->pool, &flight->id);
    struct map_node *node = map_find(&flight->flights->open, hash, &key);
    if (node) {
        flight_leave_table_locked(CONTAINER_OF(node, struct flight, node));
    }
    flight->in_table = map_insert(&flight->flights->open, &flight->node, hash);
    /* Without memory for it nobody joins: a read that begins this moment may see the old copy once more. */
}

/* A stream that broke off has nothing for a new reader: it begins anew. */
static bool is_sound(const struct flight *flight) {
    return !flight->stream || !stream_failed(flight->stream);
}

/* Whether nobody wrote or deleted the key in any pool that the flight has looked at. */
static bool is_unbroken(const struct flight *flight) {
    for (; flight; flight = flight->lower) {
        if (!fence_holds(&flight->watch)) {
            return false;
        }
    }
    return true;
}

struct flight *flight_find_locked(struct flights *flights, const struct tiers *tiers, unsigned index,
                                  const struct id *id, bool refresh) {
    const struct pool *pool = tiers->tier[index].pool;
    struct flight_key key = {.pool = pool, .id = id, .generation = tiers->generation, .untried = refresh};
    struct map_node *node = map_find(&flights->open, key_hash(pool, id), &key);
    if (!node) {
        return NULL;
    }
    struct flight *flight = CONTAINER_OF(node, struct flight, node);
    if (is_unbroken(flight) && is_sound(flight)) {
        return flight;
    }
    /* The reader about to begin anew may find something newer: this one's copy must not come after that one's. */
    flight_leave_table_locked(flight);
    atomic_store(&flight->fence.broken, true);
    return NULL;
}

/* ---- birth and death ---- */

static void strand_hold(struct strand *strand) {
    flight_ref(CONTAINER_OF(strand, struct flight, strand));
}

static void strand_let_go(struct strand *strand) {
    flight_unref(CONTAINER_OF(strand, struct flight, strand));
}

static const struct strand_ops strand_ops = {
    .step = flight_step, .hold = strand_hold, .let_go = strand_let_go};

/* What an earlier flight of the key fetched, along another wiring perhaps, must not come after this. */
static bool fill_still_wanted(struct fill *fill) {
    struct flight *flight = CONTAINER_OF(fill, struct flight, fill);
    fence_break_older(&flight->pool->fences, &flight->watch);
    return is_unbroken(flight->lower);
}

static void fill_hold(struct fill *fill) {
    flight_ref(CONTAINER_OF(fill, struct flight, fill));
}

static void fill_let_go(struct fill *fill) {
    flight_unref(CONTAINER_OF(fill, struct flight, fill));
}

static void fill_ended(struct fill *fill) {
    struct flight *flight = CONTAINER_OF(fill, struct flight, fill);
    struct flights *flights = flight->flights;
    struct flight_todo todo = {0};
    fence_lower(&flight->pool->fences, &flight->fence);
    mutex_lock(&flights->mutex);
    flight->fill_running = false;
    flight_settle_locked(flight, &todo);
    mutex_unlock(&flights->mutex);
    flight_todo_run(&todo);
}

static const struct fill_owner_ops fill_owner_ops = {
    .still_wanted = fill_still_wanted, .ended = fill_ended, .hold = fill_hold, .let_go = fill_let_go};

static void link_unfinished_locked(struct flight *flight) {
    struct flights *flights = flight->flights;
    flight->older = flights->unfinished;
    if (flight->older) {
        flight->older->newer = flight;
    }
    flights->unfinished = flight;
    flights->alive++;
}

static void unlink_unfinished_locked(struct flight *flight) {
    if (flight->newer) {
        flight->newer->older = flight->older;
    } else {
        flight->flights->unfinished = flight->older;
    }
    if (flight->older) {
        flight->older->newer = flight->newer;
    }
}

struct flight *flight_new_locked(struct flights *flights, struct op *op, struct tiers *tiers, unsigned index,
                                 const struct id *id, bool refresh) {
    struct flight *flight = calloc(1, sizeof *flight + id->bytes + 1);
    if (!flight) {
        op_no_memory(op);
        return NULL;
    }
    struct pool *pool = tiers->tier[index].pool;
    memcpy(flight->id_text, id->text, id->bytes);
    flight->id = (struct id){.text = flight->id_text, .bytes = id->bytes, .hash = id->hash};
    flight->flights = flights;
    flight->index = index;
    flight->pool = pool;
    flight->result = TIER_UNASKED;
    flight->refresh = refresh;
    atomic_init(&flight->refs, 1);
    op_init(&flight->op, op->request_id, 0);
    atomic_store(&flight->op.cancelled, flights->cancelling);
    enum err err = fence_raise(&pool->fences, op, &flight->watch, &flight->id);
    if (!err) {
        err = fence_raise(&pool->fences, op, &flight->fence, &flight->id);
    }
    if (err) {
        goto fail;
    }
    if (refresh) {
        fence_favour(&pool->fences, &flight->watch);
        fence_favour(&pool->fences, &flight->fence);
    }
    flight->untried = refresh;
    if (!map_insert(&flights->open, &flight->node, key_hash(pool, id))) {
        op_no_memory(op);
        goto fail;
    }
    flight->in_table = true;
    flight->tiers = tiers_ref(tiers);
    strand_init(&flight->strand, flights->executor, fill_lane(pool), fill_share(pool), &strand_ops);
    fill_init(&flight->fill, flights->executor, &fill_owner_ops, pool, &flight->id, &flight->fence);
    link_unfinished_locked(flight);
    return flight;
fail:
    fence_lower(&pool->fences, &flight->watch);
    fence_lower(&pool->fences, &flight->fence);
    free(flight);
    return NULL;
}

void flight_settle_locked(struct flight *flight, struct flight_todo *todo) {
    while (flight && flight->state == FLIGHT_PUBLISHED && !flight->fill_running && !flight->tending &&
           !flight->unfinished_above) {
        flight->state = FLIGHT_FINISHED;
        flight_leave_table_locked(flight);
        unlink_unfinished_locked(flight);
        fence_lower(&flight->pool->fences, &flight->fence);
        fence_lower(&flight->pool->fences, &flight->watch);
        flight->next_done = todo->done;
        todo->done = flight;
        flight = flight->lower;
        if (flight) {
            MUST(flight->unfinished_above > 0);
            flight->unfinished_above--;
        }
    }
}

struct flight *flight_ref(struct flight *flight) {
    unsigned before = atomic_fetch_add_explicit(&flight->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    return flight;
}

/* Iterates down the chain: 256 tiers are no depth for a stack to depend on. */
void flight_unref(struct flight *flight) {
    while (flight) {
        unsigned before = atomic_fetch_sub_explicit(&flight->refs, 1, memory_order_acq_rel);
        MUST(before > 0);
        if (before > 1) {
            return;
        }
        MUST(flight->state == FLIGHT_FINISHED && !flight->first_waiter && !flight->fill.stream);
        struct flights *flights = flight->flights;
        struct flight *lower = flight->lower;
        pool_writer_close(flight->fill.writer); /* opened for a copy that was not begun */
        stream_unref(flight->stream);
        tiers_unref(flight->tiers);
        free(flight);
        mutex_lock(&flights->mutex);
        flights->alive--;
        cond_broadcast(&flights->idle);
        mutex_unlock(&flights->mutex);
        flight = lower;
    }
}

/* ---- the table's life ---- */

struct flights *flights_new(struct executor *executor, struct spool_dir *spool_dir,
                            const struct flights_limits *limits) {
    struct flights *flights = calloc(1, sizeof *flights);
    if (flights) {
        flights->executor = executor;
        flights->spool_dir = spool_dir;
        flights->limits = (struct stream_limits){.entry_most_bytes = limits->entry_most_bytes,
                                                 .flight_max_bytes = limits->flight_max_bytes,
                                                 .step_timeout_ns = limits->step_timeout_ns};
        mutex_init(&flights->mutex, RANK_FLIGHTS);
        cond_init(&flights->idle);
        map_init(&flights->open, flight_has_key);
    }
    return flights;
}

uint64_t flights_entry_most_bytes(const struct flights *flights) {
    return flights->limits.entry_most_bytes;
}

void flights_drain(struct flights *flights, bool cancel) {
    mutex_lock(&flights->mutex);
    flights->draining = true;
    flights->cancelling = flights->cancelling || cancel;
    for (struct flight *flight = flights->unfinished; flight && cancel; flight = flight->older) {
        atomic_store(&flight->op.cancelled, true);
        fill_cancel(&flight->fill);
        if (flight->tending) {
            stream_cancel(flight->stream);
        }
    }
    while (flights->alive) {
        cond_wait_until(&flights->idle, &flights->mutex, 0);
    }
    mutex_unlock(&flights->mutex);
}

void flights_free(struct flights *flights) {
    if (!flights) {
        return;
    }
    MUST(!flights->alive);
    map_fini(&flights->open);
    cond_fini(&flights->idle);
    mutex_fini(&flights->mutex);
    free(flights);
}
