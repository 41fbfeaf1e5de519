/* fence.h - fills in progress on one pool, and what local writes do to them.
 *
 * A fill may finish long after its read began. Two promises hang on that (design.md section 2):
 *  - a fill neither overwrites a newer local write nor brings back a deleted entry;
 *  - once a reader has been answered, its fills into local kinds look done to every later operation.
 *
 * A flight raises a fence on (pool, id) *before* it looks at the pool. A local put, delete or empty breaks the fences of its
 * key twice: before it enters the backend, so that no copy of something older is made visible after it (the backend of a fill calls
 * fence_holds inside the critical section that makes the copy visible, and refuses to replace an owned entry there); and after
 * it, whatever it returned, because a flight that looked while the change was under way has seen the pool as it was
 * before, and must not be joined by a read that begins after the change was acknowledged.
 *
 * Life of a fence:
 *   1 GROWING    raised; the body is still coming. Operations do not wait: no answer has been given.
 *   2 SETTLING   the copy is being committed. In a local pool later operations on the key wait (bounded); in one behind a network
 *                only what changes the key does, so that a request on its way cannot arrive after it.
 *   3 LOWERED    committed or given up; out of the table, waiters woken.
 *   broken and overtaken are flags beside the state: set once, never cleared. A later fill of the key sets both, a write only broken.
 *
 * Threads: any. One mutex per table (RANK_FENCE), never held while waiting except on its condition.
 */
#ifndef POOLS_FENCE_H
#define POOLS_FENCE_H

#include "pools/base/map.h"
#include "pools/base/mutex.h"
#include "pools/id.h"

#include <stdatomic.h>

struct fence_table {
    struct mutex mutex;
    struct cond lowered;
    struct map fences;
    atomic_uint settling;   /* fences in state 2: lets the hit path skip the lock */
    atomic_uint raised;     /* fences in the table: lets a put skip the lock */
    uint64_t last_settling; /* under the mutex: numbers the fences as they go to state 2 */
    uint64_t last_raised;   /* under the mutex: and as they are raised */
};

struct fence {
    struct map_node node;
    struct id id; /* text owned by the fence's owner, valid while raised */
    atomic_bool broken;
    atomic_bool overtaken;
    atomic_bool in_settling;
    bool is_raised;
    uint64_t settling_number; /* its place in that order, 0 before; under the mutex */
    uint64_t raised_number;   /* likewise; a favoured fence's is above all others */
};

void fence_table_init(struct fence_table *table);
void fence_table_fini(struct fence_table *table); /* no fence may be raised */

/* ERR_NO_MEMORY recorded; then the fence is not raised and the caller must not fill. Several fences may stand on one key. */
enum err fence_raise(struct fence_table *table, struct op *op, struct fence *fence,
                     const struct id *id) MUST_USE;
/* A refresh asks past the copies that plain reads may still be spreading, even those that began after it: it counts as raised after every
 * fence that is not favoured. Right after fence_raise. */
void fence_favour(struct fence_table *table, struct fence *fence);
/* State 2. Must happen before any reader can see the end of the body. */
void fence_settling(struct fence_table *table, struct fence *fence);
/* State 3; legal on a fence that was never raised. */
void fence_lower(struct fence_table *table, struct fence *fence);

/* Before a local write or delete of the key / before empty. */
void fence_break(struct fence_table *table, const struct id *id);
void fence_break_all(struct fence_table *table);
/* Those of the same key that were raised before this one: what they fetched is older than what this one did. */
void fence_break_older(struct fence_table *table, const struct fence *fence);
bool fence_holds(const struct fence *fence);
/* Whether it was a later fill that broke it, or broke it too: whatever is to become of the key's copy is now that one's business. */
bool fence_is_overtaken(const struct fence *fence);

/* Whether a fill of the key is in state 2: then a peek must answer ERR_AGAIN. */
bool fence_is_settling(struct fence_table *table, const struct id *id);
/* Waits, within the op and at most FENCE_WAIT_MOST_NS, until no fill of the key is in state 2. Request lanes only. */
#define FENCE_WAIT_MOST_NS (UINT64_C(10) * 1000000000)
bool fence_wait_settled(struct fence_table *table, const struct op *op, const struct id *id);
/* The same for every key of the pool (list, empty). Either waits for the fills that are in state 2 now, not for later ones; false = one of
 * them still is. */
bool fence_wait_all_settled(struct fence_table *table, const struct op *op);

#endif
