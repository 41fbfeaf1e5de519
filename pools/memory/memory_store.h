/* memory_store.h - the entries of one memory pool: sharded maps under one budget.
 *
 * A shard is a range of the id hash (its top bits) with its own map and mutex, so a walk over the shards is a walk in
 * hash order: a listing needs nothing but the last hash it saw, whatever is inserted or grows meanwhile.
 *
 * Life of a slot (an id with its entry in a shard):
 *   1 made outside any lock, whole, with everything that needs memory
 *   2 in its shard's map and in the budget: both change together, under shard lock then budget lock
 *   3 out of both; no other thread can find it; freed outside the locks. Its entry lives on while readers hold it.
 * A slot never changes in state 2: an overwrite puts a new slot in the old one's place.
 *
 * Threads: any. Shard mutexes have RANK_KIND and are never held two at a time.
 */
#ifndef POOLS_MEMORY_MEMORY_STORE_H
#define POOLS_MEMORY_MEMORY_STORE_H

#include "pools/base/map.h"
#include "pools/memory/memory_room.h"
#include "pools/pool.h"

#define MEMORY_SHARD_BITS 6
#define MEMORY_SHARDS (1u << MEMORY_SHARD_BITS)

struct memory_shard {
    struct mutex mutex;
    struct map map;
};

struct memory_store {
    struct memory_room room;
    struct memory_shard shards[MEMORY_SHARDS];
};

/* False when out of memory. */
bool memory_store_init(struct memory_store *store, uint64_t max_bytes, uint64_t max_entries);
void memory_store_fini(struct memory_store *store);

/* A reference, or NULL. Counts as a hit for the eviction. */
struct entry *memory_store_get(struct memory_store *store, const struct id *id);

/* Stores a reference to the entry. The condition, the fence, "no owned entry in a fill's way", the budget and the
 * publishing are one step. ERR_PRECONDITION, ERR_SUPERSEDED, ERR_TOO_LARGE, ERR_NO_SPACE, ERR_NO_MEMORY change no entry;
 * cached copies may have been evicted to make room. */
enum err memory_store_put(struct memory_store *store, struct op *op, const struct id *id, struct entry *entry,
                          const struct condition *condition, const struct fence *fence,
                          bool *ret_created) MUST_USE;

enum err memory_store_remove(struct memory_store *store, struct op *op, const struct id *id,
                             const struct condition *condition, bool *ret_existed) MUST_USE;

/* Removes all it finds on one walk, a bounded number under each lock; returns how many. */
uint64_t memory_store_empty(struct memory_store *store);

/* Lists ids from `from_hash` on in hash order. *ret_more: there may be more, from *ret_next_hash on. Ids of one
 * 64-bit hash stay on one page, so a page could pass `limit` by a hash collision. */
enum err memory_store_list(struct memory_store *store, struct op *op, const char *prefix, uint64_t from_hash,
                           unsigned limit, struct listing *ret_listing, bool *ret_more,
                           uint64_t *ret_next_hash) MUST_USE;

#endif
