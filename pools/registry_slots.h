/* registry_slots.h - struct registry as registry.c (nicknames) and registry_open.c (where pools come from) share it.
 *
 * Life of a nickname
 *   1 RESERVED  a pool is being opened under it; nobody finds it, nobody else may take it
 *   2 LIVE      found
 *   3 LEAVING   being removed: not found any more, not free yet. Back to 2 when somebody turns out to proxy to it
 *   4 RETIRED   the nickname is free; the slot keeps its pool until nobody else holds it, for registry_reap
 * Opening and state.db happen in 1 and 3, closing after 4, all without the lock. A slot in 1 belongs to who reserved it.
 */
#ifndef POOLS_REGISTRY_SLOTS_H
#define POOLS_REGISTRY_SLOTS_H

#include "pools/base/map.h"
#include "pools/base/mutex.h"
#include "pools/registry.h"

struct slot {
    struct map_node node;
    char nickname[NICKNAME_BYTES];
    struct pool *pool; /* a reference; NULL while RESERVED */
    struct slot *next_retired;
    bool is_leaving;
    bool is_declared;
};

struct registry {
    struct pool_environment environment;
    struct secret_names names;
    struct state *state;
    struct mutex mutex;
    struct map slots;
    struct slot *retired;      /* through next_retired */
    atomic_uint retired_count; /* so that nobody locks for nothing */
    struct cond closed_one;    /* broadcast when `closed` grows */
    unsigned closing;          /* out of `retired`, not closed yet */
    uint64_t closed;           /* how many retired pools have been */
};

/* State 1. ERR_EXISTS, ERR_INVALID (REASON_INVALID_NICKNAME). */
enum err registry_reserve(struct registry *registry, struct op *op, const char *nickname, bool is_declared,
                          struct slot **ret_slot) MUST_USE;
/* 1 -> 2. */
void registry_go_live(struct registry *registry, struct slot *slot, struct pool *take_pool);
/* 1 -> the nickname is free, the slot is freed. 3 -> 4, and gone at once when nobody else holds the pool. */
void registry_give_up(struct registry *registry, struct slot *take_slot);
/* How many removed pools have been closed so far. */
uint64_t registry_closed(struct registry *registry);
/* Waits until there are more than `seen`. False when no removed pool is left to be closed, or not in time. */
bool registry_await_closed(struct registry *registry, uint64_t seen, uint64_t until_ns);

#endif
