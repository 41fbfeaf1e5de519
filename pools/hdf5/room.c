/* room.c - limits: what fits, which cached copies leave for it. Runs on the store's thread only. See store.h.
 *
 * Owned entries are never evicted. Cached copies are, oldest first, with a second chance for those that were read since the
 * hand last passed; and only while the pool has somebody to ask for them again (set_cached_evictable).
 */
#include "pools/hdf5/store.h"

#include "pools/hdf5/dataset.h"

static bool within(uint64_t limit, uint64_t rest, uint64_t more) {
    return !limit || (more <= limit && rest <= limit - more);
}

/* The next cached copy to leave, never `spare`; NULL when there is none. */
static struct record *next_victim(struct store *store, const struct record *spare) {
    struct record *record;
    uint64_t chances = store->index.usage.cached_entries;
    while ((record = TAILQ_FIRST(&store->index.cached)) != NULL) {
        bool touched = index_take_touched(&store->index, record);
        if (record != spare && (!touched || !chances)) {
            return record;
        }
        if (!chances) {
            record = TAILQ_NEXT(record, in_list);
            return record; /* only the spared one is in front */
        }
        chances--;
        index_spare(&store->index, record);
    }
    return NULL;
}

static enum err evict(struct store *store, struct op *op, const struct record *spare, bool *ret_done) {
    struct record *victim = next_victim(store, spare);
    *ret_done = victim != NULL;
    return victim ? store_unlink(store, op, victim) : OK;
}

enum err store_make_room(struct store *store, struct op *op, const struct id *id, uint64_t length) {
    const struct store_limits *limits = &store->limits;
    if (!limits->max_bytes && !limits->max_entries) {
        return OK;
    }
    if (!within(limits->max_bytes, 0, length)) {
        return op_fail(op, REASON_TOO_LARGE, "the pool holds at most %llu bytes",
                       (unsigned long long)limits->max_bytes);
    }
    store_load_all(store); /* what is there counts, so it has to be known */
    const struct usage *usage = &store->index.usage;
    const struct record *record = index_find(&store->index, id);
    struct facts old = {0};
    bool replaces = record && record_latest_facts(record, &old);
    uint64_t old_bytes = replaces ? old.placement.length : 0;
    uint64_t old_entries = replaces ? 1 : 0;
    bool old_cached = replaces && old.hold == HOLD_CACHED;
    uint64_t owned_bytes = usage->bytes - usage->cached_bytes - (old_cached ? 0 : old_bytes);
    uint64_t owned_entries = usage->entries - usage->cached_entries - (old_cached ? 0 : old_entries);
    bool evictable = atomic_load(&store->evictable);
    uint64_t rest_bytes = evictable ? owned_bytes : usage->bytes - old_bytes;
    uint64_t rest_entries = evictable ? owned_entries : usage->entries - old_entries;
    if (!within(limits->max_bytes, rest_bytes, length) || !within(limits->max_entries, rest_entries, 1)) {
        return op_fail(op, REASON_NO_SPACE, "the entry does not fit beside those that may not be evicted");
    }
    while (!within(limits->max_bytes, usage->bytes - old_bytes, length) ||
           !within(limits->max_entries, usage->entries - old_entries, 1)) {
        bool done = false;
        enum err err = evict(store, op, record, &done);
        if (err) {
            return err;
        }
        if (!done) {
            return op_fail(op, REASON_NO_SPACE, "no cached copy is left to evict");
        }
    }
    return OK;
}

static enum err create_within(struct store *store, struct op *op, enum version_kind kind, uint64_t length,
                              hid_t *ret_dataset, struct placement *ret_placement) {
    uint64_t before = 0;
    uint64_t after = 0;
    AUTO(h5_close) hid_t dataset = H5I_INVALID_HID;
    enum err err = h5_file_size(store->file, op, &before);
    if (!err) {
        err = dataset_create(store->file, op, kind, length, &dataset, ret_placement);
    }
    if (!err) {
        err = h5_file_size(store->file, op, &after);
    }
    uint64_t most = store->limits.max_file_bytes;
    if (!err && most && after > before && after > most) {
        err =
            op_fail(op, REASON_NO_SPACE, "the file may not grow beyond %llu bytes", (unsigned long long)most);
    }
    if (!err && after > before) {
        err = h5_file_make_room(store->file, op); /* closing the dataset undoes all of it */
    }
    if (!err && !h5_file_is_free(store->file, ret_placement->offset, length)) {
        err = store_settle(store, op); /* the last commit looks there still; the next one does not */
    }
    if (!err) {
        store->dirty = true; /* though a commit in between may have left nothing */
        *ret_dataset = h5_steal(&dataset);
    }
    return err;
}

enum err store_create_dataset(struct store *store, struct op *op, enum version_kind kind, uint64_t length,
                              hid_t *ret_dataset, struct placement *ret_placement) {
    uint64_t most = store->limits.max_file_bytes;
    if (most && length > most) {
        return op_fail(op, REASON_TOO_LARGE, "the file holds at most %llu bytes", (unsigned long long)most);
    }
    enum err err = create_within(store, op, kind, length, ret_dataset, ret_placement);
    if (err != ERR_NO_SPACE || !most || !atomic_load(&store->evictable)) {
        return err;
    }
    /* Evict as much as is asked for, let the file have the space, try once more. */
    uint64_t freed = 0;
    bool done = true;
    while (freed < length && done) {
        uint64_t bytes = store->index.usage.bytes;
        enum err evicted = evict(store, op, NULL, &done);
        if (evicted) {
            return evicted;
        }
        freed += bytes - store->index.usage.bytes;
    }
    if (!freed) {
        return err;
    }
    err = store_settle(store, op); /* shown: new readers cannot find them */
    if (!err) {
        err = store_settle(store, op); /* let go */
    }
    return err ? err : create_within(store, op, kind, length, ret_dataset, ret_placement);
}
