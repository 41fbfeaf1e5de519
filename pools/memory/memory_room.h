/* memory_room.h - how much a memory pool holds and may hold, and whom it lets go.
 *
 * One budget stands over all shards of the store. It is changed only together with the map of the shard concerned, under
 * that shard's lock: what is counted is what is stored, at every moment, and the limits are never passed.
 *
 * Threads: any; one mutex (RANK_KIND_INNER), taken under a shard's lock, a few dozen instructions long. Hits do not take it.
 */
#ifndef POOLS_MEMORY_MEMORY_ROOM_H
#define POOLS_MEMORY_MEMORY_ROOM_H

#include "pools/base/mutex.h"
#include "pools/memory/s3fifo.h"

/* One stored entry as the budget sees it. fifo.hash and fifo.bytes (all it costs) are set by the owner. */
struct memory_item {
    struct s3fifo_node fifo; /* queued while it is stored and cached */
    uint64_t body_bytes;
    bool is_cached;
};

struct memory_counts {
    uint64_t entries;
    uint64_t bytes; /* all they cost: bodies, ids, overhead */
    uint64_t body_bytes;
};

struct memory_room {
    struct mutex mutex;
    uint64_t max_bytes;
    uint64_t max_entries; /* UINT64_MAX = no limit */
    struct memory_counts counts;
    bool evictable; /* cached copies may go */
    struct s3fifo fifo;
};

enum memory_room_answer {
    MEMORY_ROOM_DONE,
    MEMORY_ROOM_EVICT, /* would fit once cached copies have left: evict one and ask again */
    MEMORY_ROOM_FULL   /* does not fit beside what must stay */
};

/* False when out of memory. */
bool memory_room_init(struct memory_room *room, uint64_t max_bytes, uint64_t max_entries);
void memory_room_fini(struct memory_room *room);

/* `in` takes the place of `out` (NULL = it is new). Nothing changes unless the answer is DONE. */
enum memory_room_answer memory_room_exchange(struct memory_room *room, struct memory_item *out,
                                             struct memory_item *in);
void memory_room_leave(struct memory_room *room, struct memory_item *item);

/* Eviction is two steps, since a shard's lock comes before this one: ask who would go, lock its shard, evict it if it
 * is still the one. */
bool memory_room_victim(struct memory_room *room, uint64_t *ret_hash);
/* NULL when another one would go by now. The item is out of the budget; the caller takes it out of its shard. */
struct memory_item *memory_room_evict(struct memory_room *room, uint64_t hash);

void memory_room_set_evictable(struct memory_room *room, bool evictable);
void memory_room_count(struct memory_room *room, struct memory_counts *ret_counts);

#endif
