/* hdf5_pool.c - the kind's options and its method table; everything else is the store's. See store.h and README.md. */
#include "pools/hdf5/hdf5_pool.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/hdf5/file_path.h"
#include "pools/hdf5/reader.h"
#include "pools/hdf5/store.h"
#include "pools/hdf5/writer.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A listing waits this long for the index of a large file before it answers "still loading". */
#define LIST_WAIT_NS (2 * NS_PER_S)

static const struct option options[] = {
    {.name = "path",
     .type = OPTION_TEXT,
     .is_path = true,
     .sentence =
         "The HDF5 file, relative to the data directory; <nickname>.h5 when unset. Over REST it must end in "
         ".h5 or .hdf5."},
    {.name = "max_bytes",
     .type = OPTION_BYTES,
     .least = 1,
     .sentence = "Most bytes of bodies; cached copies are evicted, owned entries never. Unset = no limit."},
    {.name = "max_entries", .type = OPTION_COUNT, .least = 1, .sentence = "Most entries. Unset = no limit."},
    {.name = "max_file_bytes",
     .type = OPTION_BYTES,
     .least = 1 << 20,
     .sentence = "The file does not grow beyond this. Unset = no limit."},
    {.name = "hot_max_bytes",
     .type = OPTION_BYTES,
     .default_text = "16MiB",
     .sentence =
         "Memory for small entries read lately, which are then served without a look at the file. 0 = none."},
    {.name = "compact_ratio",
     .type = OPTION_COUNT,
     .default_text = "2",
     .sentence =
         "The file is compacted by itself when it is so many times the size of what is in it and nobody has "
         "written for a while. 0 or 1 = only when asked for."},
    {.name = "compact_min_bytes",
     .type = OPTION_BYTES,
     .default_text = "64MiB",
     .sentence = "A smaller file is compacted only when asked for."},
    {.name = "read_only", .type = OPTION_FLAG, .default_text = "false", .sentence = "Never change the file."},
};

static const struct pool_capabilities capabilities = {
    .ranges = true,
    .create_only = true,
    .if_match = true,
    .fill_fence = true,
    .durable = true, /* vfd/shadow.h */
    .stores_hold = true,
    .stores_meta = true,
    .tells_created = true,
    .evicts = true,
    .compacts = true,
    .scrubs = true,
};

struct hdf5_pool {
    struct pool base;
    struct store *store;
    struct spool_dir *spool_dir; /* borrowed from the environment */
};

static struct store *store_of(struct pool *pool) {
    return CONTAINER_OF(pool, struct hdf5_pool, base)->store;
}

static enum err open_reader(struct pool *pool, struct op *op, const struct id *id,
                            const struct read_options *read, struct reader **ret_reader) {
    return hdf5_reader_open(pool, store_of(pool), op, id, read, ret_reader);
}

static enum err open_writer(struct pool *pool, struct op *op, const struct id *id,
                            const struct write_options *write, struct writer **ret_writer) {
    struct spool_dir *spool_dir = CONTAINER_OF(pool, struct hdf5_pool, base)->spool_dir;
    return hdf5_writer_open(pool, store_of(pool), spool_dir, op, id, write, ret_writer);
}

static enum err put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                          const struct condition *condition, const struct fence *fence,
                          struct commit_result *ret_result) {
    return hdf5_writer_put(store_of(pool), op, id, entry, condition, fence, ret_result);
}

static enum err stat_entry(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    struct version *version = NULL;
    enum err err = hdf5_reader_verify(store_of(pool), op, id);
    if (!err) {
        err = store_get(store_of(pool), op, id, &version);
    }
    if (!err) {
        version_meta(version, ret_meta);
        store_release_version(store_of(pool), version);
    }
    return err;
}

static enum err peek(struct pool *pool, const struct id *id, struct entry **ret_entry) {
    return hdf5_reader_peek(store_of(pool), id, ret_entry);
}

static enum err peek_meta(struct pool *pool, const struct id *id, struct meta *ret_meta) {
    struct store *store = store_of(pool);
    bool complete = atomic_load(&store->names_complete);
    if (store_is_unreadable(store)) {
        return ERR_AGAIN;
    }
    struct sight sight;
    index_look(&store->index, id, &sight);
    struct version *version = sight.version;
    if (!version) {
        return complete && !sight.is_there ? ERR_NOT_FOUND : ERR_AGAIN;
    }
    bool known = version_trusts_digest(version) && !atomic_load(&version->damaged);
    if (known) {
        version_meta(version, ret_meta);
    }
    store_release_version(store, version);
    return known ? OK : ERR_AGAIN;
}

/* A file that is only read takes no copies; one that a first write would convert does. */
static bool takes_fill(struct pool *pool, uint64_t size_bytes) {
    (void)size_bytes;
    struct store *store = store_of(pool);
    return atomic_load(&store->writable) && !atomic_load(&store->poisoned);
}

static bool proves_not_owned(struct pool *pool, const struct id *id) {
    struct store *store = store_of(pool);
    bool complete = atomic_load(&store->names_complete);
    if (store_is_unreadable(store)) {
        return false;
    }
    struct sight sight;
    index_look(&store->index, id, &sight);
    if (sight.version) {
        store_release_version(store, sight.version);
    }
    return sight.is_there ? sight.is_resolved && sight.hold == HOLD_CACHED : complete;
}

static enum err remove_entry(struct pool *pool, struct op *op, const struct id *id,
                             const struct condition *condition, bool *ret_existed) {
    enum err err = store_check_writable(store_of(pool), op);
    if (!err) {
        err = hdf5_reader_prepare_condition(store_of(pool), op, id, condition);
    }
    if (err) {
        return err;
    }
    struct store_request request = {.action = STORE_REMOVE, .id = id, .condition = condition};
    err = store_submit(store_of(pool), op, &request);
    if (!err) {
        *ret_existed = request.existed;
    }
    return err;
}

static enum err list(struct pool *pool, struct op *op, const char *prefix, const char *cursor, unsigned limit,
                     struct listing *ret_listing) {
    enum err err = store_await_ids(store_of(pool), op, LIST_WAIT_NS);
    return err ? err : index_list(&store_of(pool)->index, op, prefix, cursor, limit, ret_listing);
}

/* One walk in hash order, so it ends whatever is written meanwhile. */
static enum err empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    struct store *store = store_of(pool);
    enum err err = store_check_writable(store, op);
    if (!err) {
        err = store_await_ids(store, op, LIST_WAIT_NS);
    }
    struct index_cursor cursor = {0};
    struct fault first = {0}; /* of a damaged entry: the others go nevertheless */
    while (!err && !cursor.at_end) {
        struct listing ids = {0};
        err = index_some(&store->index, op, &cursor, &ids);
        struct store_request request = {.action = STORE_REMOVE_MANY, .ids = &ids};
        if (!err && ids.count) {
            err = store_submit(store, op, &request);
        }
        *ret_removed += request.removed;
        listing_fini(&ids);
        if (err == ERR_CORRUPT) {
            first = first.reason ? first : op->fault;
            err = OK;
        }
    }
    return err || !first.reason ? err : op_adopt(op, &first);
}

static void tell_progress(struct store *store, char ret_reason[OP_DETAIL_BYTES]) {
    unsigned long long unresolved =
        atomic_load(&store->index.unresolved); /* first: others may be added meanwhile */
    unsigned long long entries = atomic_load(&store->index.entries);
    unsigned long long expected = atomic_load(&store->expected);
    snprintf(ret_reason, OP_DETAIL_BYTES, "the index of the file is loading: %llu of about %llu entries",
             entries > unresolved ? entries - unresolved : 0, expected > entries ? expected : entries);
}

static void status(struct pool *pool, struct pool_status *ret_status) {
    struct store *store = store_of(pool);
    bool loaded = atomic_load(&store->loaded);
    if (atomic_load(&store->poisoned)) {
        ret_status->state = POOL_POISONED;
    } else if (!loaded) {
        ret_status->state = POOL_LOADING;
    } else if (!atomic_load(&store->writable)) {
        ret_status->state = POOL_READ_ONLY;
    } else {
        ret_status->state = POOL_OK;
    }
    if (ret_status->state == POOL_POISONED || ret_status->state == POOL_READ_ONLY) {
        store_reason(store, ret_status->reason);
    } else if (ret_status->state == POOL_LOADING) {
        tell_progress(store, ret_status->reason);
    }
    ret_status->counts_known = ret_status->foreign_known = loaded;
    ret_status->entries = atomic_load(&store->index.entries);
    ret_status->bytes = atomic_load(&store->index.bytes);
    ret_status->foreign = atomic_load(&store->foreign);
}

static void set_cached_evictable(struct pool *pool, bool evictable) {
    atomic_store(&store_of(pool)->evictable, evictable);
}

static enum err upkeep(struct pool *pool, struct op *op, enum upkeep_kind kind, enum upkeep_action action) {
    return store_upkeep(store_of(pool), op, kind, action);
}

static enum err upkeep_status(struct pool *pool, struct op *op, enum upkeep_kind kind,
                              struct upkeep_status *ret_status) {
    return work_look(&store_of(pool)->work[kind], op, ret_status);
}

static void abandon(struct pool *pool) {
    store_abandon(store_of(pool));
}

static void close_pool(struct pool *pool) {
    struct hdf5_pool *self = CONTAINER_OF(pool, struct hdf5_pool, base);
    store_close(self->store);
    pool_fini(pool);
    free(self);
}

static const struct pool_ops ops = {
    .kind = "hdf5",
    .open_reader = open_reader,
    .open_writer = open_writer,
    .stat = stat_entry,
    .remove = remove_entry,
    .list = list,
    .empty = empty,
    .status = status,
    .close = close_pool,
    .peek = peek,
    .peek_meta = peek_meta,
    .put_entry = put_entry,
    .proves_not_owned = proves_not_owned,
    .takes_fill = takes_fill,
    .set_cached_evictable = set_cached_evictable,
    .upkeep = upkeep,
    .upkeep_status = upkeep_status,
    .abandon = abandon,
};

/* ---- opening ---- */
static enum err open_pool(struct op *op, const struct pool_environment *environment, const char *nickname,
                          struct settings *settings, struct pool **ret_pool) {
    char path[PATH_MAX];
    enum err err = file_path_find(op, environment, nickname, settings, path);
    if (err) {
        return err;
    }
    struct store_options store_options = {
        .read_only = settings_flag(settings, "read_only"),
        .limits = {.max_bytes = settings_number(settings, "max_bytes"),
                   .max_entries = settings_number(settings, "max_entries"),
                   .max_file_bytes = settings_number(settings, "max_file_bytes"),
                   .hot_max_bytes = settings_number(settings, "hot_max_bytes"),
                   .compact_ratio = settings_number(settings, "compact_ratio"),
                   .compact_min_bytes = settings_number(settings, "compact_min_bytes")},
    };
    struct hdf5_pool *self = calloc(1, sizeof *self);
    if (!self) {
        return op_no_memory(op);
    }
    err = store_open(op, path, &store_options, &self->store);
    if (err) {
        free(self);
        return err;
    }
    if (self->store->file->misses_journal) {
        log_line(LOG_WARNING, "hdf5",
                 "pool %s: its file was in use when a process or machine ended, and the journal beside it is "
                 "gone: what was written last may be lost",
                 nickname);
    }
    self->spool_dir = environment->spool_dir;
    pool_init(&self->base, &ops, &capabilities, nickname, settings);
    *ret_pool = &self->base;
    return OK;
}

const struct pool_kind hdf5_pool_kind = {
    .name = "hdf5",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .open = open_pool,
    .file_path = file_path_canonical,
};
