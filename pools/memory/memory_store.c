/* memory_store.c - see memory_store.h for the slots' life and the locks. */
#include "pools/memory/memory_store.h"

#include <stdlib.h>
#include <string.h>

/* Nodes looked at or taken out under one hold of a shard's lock. */
#define BATCH_NODES 256u

struct memory_slot {
    struct map_node node;
    struct memory_item item;
    struct entry *entry;
    size_t id_bytes;
    char id[];
};

static struct memory_slot *slot_of(struct map_node *node) {
    return CONTAINER_OF(node, struct memory_slot, node);
}

static bool slot_has_id(const struct map_node *node, const void *key) {
    const struct id *id = key;
    const struct memory_slot *slot = CONTAINER_OF_CONST(node, struct memory_slot, node);
    return slot->id_bytes == id->bytes && memcmp(slot->id, id->text, id->bytes) == 0;
}

static size_t slot_cost_bytes(const struct id *id, const struct entry *entry) {
    return sizeof(struct memory_slot) + id->bytes + 1 + entry_overhead_bytes(entry) + entry->body->size;
}

static struct memory_slot *slot_new(const struct id *id, struct entry *entry) {
    struct memory_slot *slot = calloc(1, sizeof *slot + id->bytes + 1);
    if (!slot) {
        return NULL;
    }
    slot->entry = entry_ref(entry);
    slot->id_bytes = id->bytes;
    memcpy(slot->id, id->text, id->bytes);
    slot->item.fifo.hash = id->hash;
    slot->item.fifo.bytes = slot_cost_bytes(id, entry);
    slot->item.body_bytes = entry->body->size;
    slot->item.is_cached = entry->meta.hold == HOLD_CACHED;
    return slot;
}

static void slot_free(struct memory_slot *slot) {
    if (slot) {
        entry_unref(slot->entry);
        free(slot);
    }
}

/* ---- where a hash lives ---- */

static struct memory_shard *shard_of(struct memory_store *store, uint64_t hash) {
    return &store->shards[hash >> (64 - MEMORY_SHARD_BITS)];
}

/* The map orders by the top bits, which are all alike within a shard: turn them to the bottom. Within a shard this keeps
 * the order. */
static uint64_t map_hash(uint64_t hash) {
    return hash << MEMORY_SHARD_BITS | hash >> (64 - MEMORY_SHARD_BITS);
}

bool memory_store_init(struct memory_store *store, uint64_t max_bytes, uint64_t max_entries) {
    if (!memory_room_init(&store->room, max_bytes, max_entries)) {
        return false;
    }
    for (unsigned i = 0; i < MEMORY_SHARDS; i++) {
        mutex_init(&store->shards[i].mutex, RANK_KIND);
        map_init(&store->shards[i].map, slot_has_id);
    }
    return true;
}

void memory_store_fini(struct memory_store *store) {
    memory_store_empty(store);
    for (unsigned i = 0; i < MEMORY_SHARDS; i++) {
        map_fini(&store->shards[i].map);
        mutex_fini(&store->shards[i].mutex);
    }
    memory_room_fini(&store->room);
}

/* ---- one id ---- */

static struct memory_slot *find_locked(struct memory_shard *shard, const struct id *id) {
    struct map_node *node = map_find(&shard->map, map_hash(id->hash), id);
    return node ? slot_of(node) : NULL;
}

struct entry *memory_store_get(struct memory_store *store, const struct id *id) {
    struct memory_shard *shard = shard_of(store, id->hash);
    struct entry *entry = NULL;
    mutex_lock(&shard->mutex);
    struct memory_slot *slot = find_locked(shard, id);
    if (slot) {
        entry = entry_ref(slot->entry);
        s3fifo_hit(&slot->item.fifo);
    }
    mutex_unlock(&shard->mutex);
    return entry;
}

/* Lets one cached copy go, or finds that none is left. */
static void evict_one(struct memory_store *store) {
    uint64_t hash = 0;
    struct memory_item *item = NULL;
    while (!item && memory_room_victim(&store->room, &hash)) {
        struct memory_shard *shard = shard_of(store, hash);
        mutex_lock(&shard->mutex);
        item = memory_room_evict(&store->room, hash);
        if (item) {
            map_remove(&shard->map, &CONTAINER_OF(item, struct memory_slot, item)->node);
        }
        mutex_unlock(&shard->mutex);
    }
    if (item) {
        slot_free(CONTAINER_OF(item, struct memory_slot, item));
    }
}

static enum err check_locked(struct op *op, const struct memory_slot *old, const struct condition *condition,
                             const struct fence *fence) {
    if (fence && !fence_holds(fence)) {
        return op_fail(op, REASON_SUPERSEDED, "a local write or delete came before the fill");
    }
    if (fence && old && !old->item.is_cached) {
        return op_fail(op, REASON_SUPERSEDED, "an owned entry stands in the fill's way");
    }
    return condition_check(op, condition, old ? &old->entry->meta : NULL);
}

/* Publishes the slot. On OK *ret_placed tells whether it is in (and *ret_old is what it replaced), or a cached copy has to go first. */
static enum err place_locked(struct memory_store *store, struct memory_shard *shard, struct op *op,
                             const struct id *id, struct memory_slot *slot, struct memory_slot *old,
                             bool *ret_placed) {
    /* The map first: it may want memory. For a moment it has both, under the lock nobody sees that. */
    if (!map_insert(&shard->map, &slot->node, map_hash(id->hash))) {
        return op_no_memory(op);
    }
    enum memory_room_answer answer = memory_room_exchange(&store->room, old ? &old->item : NULL, &slot->item);
    if (answer != MEMORY_ROOM_DONE) {
        map_remove(&shard->map, &slot->node);
    } else if (old) {
        map_remove(&shard->map, &old->node);
    }
    if (answer == MEMORY_ROOM_FULL) {
        return op_fail(op, REASON_NO_SPACE, "the pool is full of entries that may not be evicted");
    }
    *ret_placed = answer == MEMORY_ROOM_DONE;
    return OK;
}

enum err memory_store_put(struct memory_store *store, struct op *op, const struct id *id, struct entry *entry,
                          const struct condition *condition, const struct fence *fence, bool *ret_created) {
    if (slot_cost_bytes(id, entry) > store->room.max_bytes) {
        return op_fail(op, REASON_TOO_LARGE, "the entry is larger than the whole pool may be");
    }
    struct memory_slot *slot = slot_new(id, entry);
    if (!slot) {
        return op_no_memory(op);
    }
    struct memory_shard *shard = shard_of(store, id->hash);
    struct memory_slot *old = NULL;
    enum err err = OK;
    bool placed = false;
    while (err == OK && !placed) {
        mutex_lock(&shard->mutex);
        old = find_locked(shard, id);
        err = check_locked(op, old, condition, fence);
        if (err == OK) {
            err = place_locked(store, shard, op, id, slot, old, &placed);
        }
        mutex_unlock(&shard->mutex);
        if (err == OK && !placed) {
            evict_one(store);
        }
    }
    if (placed) {
        *ret_created = old == NULL;
    }
    slot_free(placed ? old : slot);
    return err;
}

enum err memory_store_remove(struct memory_store *store, struct op *op, const struct id *id,
                             const struct condition *condition, bool *ret_existed) {
    struct memory_shard *shard = shard_of(store, id->hash);
    mutex_lock(&shard->mutex);
    struct memory_slot *slot = find_locked(shard, id);
    enum err err = condition_check(op, condition, slot ? &slot->entry->meta : NULL);
    if (err == OK && slot) {
        memory_room_leave(&store->room, &slot->item);
        map_remove(&shard->map, &slot->node);
    }
    mutex_unlock(&shard->mutex);
    if (err == OK) {
        *ret_existed = slot != NULL;
        slot_free(slot);
    }
    return err;
}

/* ---- walks ---- */

struct batch {
    struct memory_slot *slots[BATCH_NODES];
    size_t count;
};

static bool batch_add(struct map_node *node, void *context) {
    struct batch *batch = context;
    batch->slots[batch->count++] = slot_of(node);
    return batch->count < BATCH_NODES;
}

uint64_t memory_store_empty(struct memory_store *store) {
    uint64_t removed = 0;
    for (unsigned i = 0; i < MEMORY_SHARDS; i++) {
        struct memory_shard *shard = &store->shards[i];
        struct batch batch;
        uint64_t from = 0;
        do {
            batch.count = 0;
            mutex_lock(&shard->mutex);
            map_scan(&shard->map, from, batch_add, &batch);
            for (size_t k = 0; k < batch.count; k++) {
                from = batch.slots[k]->node.hash; /* not one further: a twin of this hash may be left */
                memory_room_leave(&store->room, &batch.slots[k]->item);
                map_remove(&shard->map, &batch.slots[k]->node);
            }
            mutex_unlock(&shard->mutex);
            for (size_t k = 0; k < batch.count; k++) {
                slot_free(batch.slots[k]);
            }
            removed += batch.count;
        } while (batch.count == BATCH_NODES);
    }
    return removed;
}

struct page {
    struct op *op;
    struct listing *listing;
    const char *prefix;
    size_t prefix_bytes;
    unsigned limit;
    unsigned looked_at; /* in this hold of the lock */
    uint64_t last_hash; /* the id hash looked at last; valid when looked_at > 0 */
    bool stopped;
    enum err err;
};

static bool page_add(struct map_node *node, void *context) {
    struct page *page = context;
    const struct memory_slot *slot = slot_of(node);
    uint64_t hash = slot->item.fifo.hash;
    bool enough = page->listing->count >= page->limit || page->looked_at >= BATCH_NODES;
    if (enough && page->looked_at > 0 && hash != page->last_hash) {
        page->stopped = true;
        return false;
    }
    page->last_hash = hash;
    page->looked_at++;
    if (strncmp(slot->id, page->prefix, page->prefix_bytes) == 0) {
        page->err = listing_add(page->listing, page->op, slot->id, slot->id_bytes);
    }
    return page->err == OK;
}

enum err memory_store_list(struct memory_store *store, struct op *op, const char *prefix, uint64_t from_hash,
                           unsigned limit, struct listing *ret_listing, bool *ret_more,
                           uint64_t *ret_next_hash) {
    struct page page = {
        .op = op, .listing = ret_listing, .prefix = prefix, .prefix_bytes = strlen(prefix), .limit = limit};
    uint64_t from = from_hash;
    for (;;) {
        struct memory_shard *shard = shard_of(store, from);
        page.looked_at = 0;
        page.stopped = false;
        mutex_lock(&shard->mutex);
        map_scan(&shard->map, map_hash(from), page_add, &page);
        mutex_unlock(&shard->mutex);
        if (page.err != OK) {
            return page.err;
        }
        if (page.stopped) {
            from = page.last_hash + 1;
        } else if (shard == &store->shards[MEMORY_SHARDS - 1]) {
            *ret_more = false;
            return OK;
        } else {
            from = ((uint64_t)(shard - store->shards) + 1) << (64 - MEMORY_SHARD_BITS);
        }
        if (ret_listing->count >= limit) {
            *ret_more = true;
            *ret_next_hash = from;
            return OK;
        }
        enum err err = op_check(op);
        if (err != OK) {
            return err;
        }
    }
}
