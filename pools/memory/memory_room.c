/* memory_room.c - see memory_room.h. Helpers that end in _locked run under the room's mutex. */
#include "pools/memory/memory_room.h"

#include "pools/base/must.h"

/* Room in the ghost for the keys of one budget's worth of 1 KiB entries, within sane bounds: 8 bytes each. */
#define GHOST_LEAST_TRACES 1024u
#define GHOST_MOST_TRACES (UINT64_C(1) << 20)

bool memory_room_init(struct memory_room *room, uint64_t max_bytes, uint64_t max_entries) {
    uint64_t traces = max_bytes / 1024;
    traces = traces < GHOST_LEAST_TRACES ? GHOST_LEAST_TRACES : traces;
    traces = traces > GHOST_MOST_TRACES ? GHOST_MOST_TRACES : traces;
    *room = (struct memory_room){.max_bytes = max_bytes, .max_entries = max_entries};
    if (!s3fifo_init(&room->fifo, (size_t)traces)) {
        return false;
    }
    mutex_init(&room->mutex, RANK_KIND_INNER);
    return true;
}

void memory_room_fini(struct memory_room *room) {
    MUST(room->counts.entries == 0 && room->counts.bytes == 0 && room->counts.body_bytes == 0);
    mutex_fini(&room->mutex);
    s3fifo_fini(&room->fifo);
}

static uint64_t cached_bytes_locked(const struct memory_room *room) {
    return room->fifo.small.bytes + room->fifo.main.bytes;
}

/* What the item frees when it leaves (NULL = nothing). */
static struct memory_counts counts_of(const struct memory_item *item) {
    if (!item) {
        return (struct memory_counts){0};
    }
    return (struct memory_counts){.entries = 1, .bytes = item->fifo.bytes, .body_bytes = item->body_bytes};
}

static bool fits_locked(const struct memory_room *room, struct memory_counts rest,
                        const struct memory_item *in) {
    return in->fifo.bytes <= room->max_bytes && rest.bytes <= room->max_bytes - in->fifo.bytes &&
           rest.entries < room->max_entries;
}

enum memory_room_answer memory_room_exchange(struct memory_room *room, struct memory_item *out,
                                             struct memory_item *in) {
    mutex_lock(&room->mutex);
    struct memory_counts freed = counts_of(out);
    struct memory_counts rest = {
        .entries = room->counts.entries - freed.entries,
        .bytes = room->counts.bytes - freed.bytes,
        .body_bytes = room->counts.body_bytes - freed.body_bytes,
    };
    enum memory_room_answer answer = MEMORY_ROOM_FULL;
    if (fits_locked(room, rest, in)) {
        bool warm = out && (out->fifo.place == S3FIFO_MAIN || atomic_load(&out->fifo.hits) > 0);
        if (out) {
            s3fifo_remove(&room->fifo, &out->fifo);
        }
        if (in->is_cached) {
            s3fifo_insert(&room->fifo, &in->fifo, warm);
        }
        rest.entries += 1;
        rest.bytes += in->fifo.bytes;
        rest.body_bytes += in->body_bytes;
        room->counts = rest;
        answer = MEMORY_ROOM_DONE;
    } else if (room->evictable) {
        /* What would stay if every cached copy but `out`, which is off already, had left. */
        bool out_is_queued = out && out->fifo.place != S3FIFO_OUT;
        rest.bytes -= cached_bytes_locked(room) - (out_is_queued ? out->fifo.bytes : 0);
        rest.entries -= room->fifo.small.count + room->fifo.main.count - (out_is_queued ? 1 : 0);
        answer = fits_locked(room, rest, in) ? MEMORY_ROOM_EVICT : MEMORY_ROOM_FULL;
    }
    mutex_unlock(&room->mutex);
    return answer;
}

static void forget_locked(struct memory_room *room, const struct memory_item *item) {
    room->counts.entries -= 1;
    room->counts.bytes -= item->fifo.bytes;
    room->counts.body_bytes -= item->body_bytes;
}

void memory_room_leave(struct memory_room *room, struct memory_item *item) {
    mutex_lock(&room->mutex);
    s3fifo_remove(&room->fifo, &item->fifo);
    forget_locked(room, item);
    mutex_unlock(&room->mutex);
}

static struct s3fifo_node *victim_locked(struct memory_room *room) {
    /* A tenth of the room that cached copies have beside what must stay. */
    uint64_t owned_bytes = room->counts.bytes - cached_bytes_locked(room);
    return room->evictable ? s3fifo_victim(&room->fifo, (room->max_bytes - owned_bytes) / 10) : NULL;
}

bool memory_room_victim(struct memory_room *room, uint64_t *ret_hash) {
    mutex_lock(&room->mutex);
    const struct s3fifo_node *victim = victim_locked(room);
    if (victim) {
        *ret_hash = victim->hash;
    }
    mutex_unlock(&room->mutex);
    return victim != NULL;
}

struct memory_item *memory_room_evict(struct memory_room *room, uint64_t hash) {
    struct memory_item *item = NULL;
    mutex_lock(&room->mutex);
    struct s3fifo_node *victim = victim_locked(room);
    if (victim && victim->hash == hash) {
        item = CONTAINER_OF(victim, struct memory_item, fifo);
        s3fifo_evict(&room->fifo, victim);
        forget_locked(room, item);
    }
    mutex_unlock(&room->mutex);
    return item;
}

void memory_room_set_evictable(struct memory_room *room, bool evictable) {
    mutex_lock(&room->mutex);
    room->evictable = evictable;
    mutex_unlock(&room->mutex);
}

void memory_room_count(struct memory_room *room, struct memory_counts *ret_counts) {
    mutex_lock(&room->mutex);
    *ret_counts = room->counts;
    mutex_unlock(&room->mutex);
}
