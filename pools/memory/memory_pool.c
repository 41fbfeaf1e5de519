/* memory_pool.c - kind "memory": the slots of pool.h over memory_store.
 *
 * Every slot answers from memory and blocks on nothing but short mutexes, so all of them are legal on poll threads. A hit is
 * one shard's lock, one look in its map and one reference.
 *
 * Read next: memory_store.h (what is stored and under which locks), memory_room.h (limits), s3fifo.h (who is evicted).
 */
#include "pools/memory/memory_pool.h"

#include "pools/memory/memory_instance.h"

#include "pools/base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err absent(struct op *op) {
    return op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool holds no entry of this id");
}

static enum err memory_peek(struct pool *pool, const struct id *id, struct entry **ret_entry) {
    struct entry *entry = memory_store_get(&memory_pool_of(pool)->store, id);
    if (!entry) {
        return ERR_NOT_FOUND;
    }
    *ret_entry = entry;
    return OK;
}

static enum err memory_peek_meta(struct pool *pool, const struct id *id, struct meta *ret_meta) {
    AUTO(entry_unref) struct entry *entry = memory_store_get(&memory_pool_of(pool)->store, id);
    if (!entry) {
        return ERR_NOT_FOUND;
    }
    meta_copy(ret_meta, &entry->meta);
    return OK;
}

static enum err memory_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    return memory_peek_meta(pool, id, ret_meta) == OK ? OK : absent(op);
}

static enum err memory_open_reader(struct pool *pool, struct op *op, const struct id *id,
                                   const struct read_options *options, struct reader **ret_reader) {
    AUTO(entry_unref) struct entry *entry = memory_store_get(&memory_pool_of(pool)->store, id);
    if (!entry) {
        return absent(op);
    }
    enum err err = memory_reader_open(op, entry, options, ret_reader);
    if (err == OK) {
        (void)STEAL(entry);
    }
    return err;
}

static enum err memory_open_writer(struct pool *pool, struct op *op, const struct id *id,
                                   const struct write_options *options, struct writer **ret_writer) {
    return memory_writer_open(memory_pool_of(pool), op, id, options, ret_writer);
}

static enum err memory_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                                 const struct condition *condition, const struct fence *fence,
                                 struct commit_result *ret_result) {
    struct memory_pool *memory = memory_pool_of(pool);
    enum err err = fence ? memory_check_fill_size(memory, op, entry->body->size) : OK;
    if (err == OK) {
        bool created = false;
        err = memory_store_put(&memory->store, op, id, entry, condition, fence, &created);
        if (err == OK) {
            meta_copy(&ret_result->meta, &entry->meta);
            ret_result->created = created;
        }
    }
    return err;
}

static enum err memory_remove(struct pool *pool, struct op *op, const struct id *id,
                              const struct condition *condition, bool *ret_existed) {
    return memory_store_remove(&memory_pool_of(pool)->store, op, id, condition, ret_existed);
}

static bool memory_proves_not_owned(struct pool *pool, const struct id *id) {
    AUTO(entry_unref) struct entry *entry = memory_store_get(&memory_pool_of(pool)->store, id);
    return !entry || entry->meta.hold == HOLD_CACHED;
}

static bool memory_takes_fill(struct pool *pool, uint64_t size_bytes) {
    return size_bytes == SIZE_UNKNOWN || size_bytes <= memory_pool_of(pool)->max_fill_bytes;
}

/* ---- listing: a cursor is where the next page begins, behind a tag of this process and this pool ---- */

#define CURSOR_DIGITS 16
#define CURSOR_BYTES (2 * CURSOR_DIGITS + 2) /* tag, '-', hash, NUL */

/* Hashes are keyed anew in every process, so this is another number in every other one. */
static uint64_t cursor_tag(const struct pool *pool) {
    return hash_bytes(pool->nickname, strlen(pool->nickname));
}

static void cursor_format(const struct pool *pool, uint64_t hash, char ret_text[CURSOR_BYTES]) {
    snprintf(ret_text, CURSOR_BYTES, "%016" PRIx64 "-%016" PRIx64, cursor_tag(pool), hash);
}

static enum err cursor_parse(const struct pool *pool, struct op *op, const char *text, uint64_t *ret_hash) {
    char canonical[CURSOR_BYTES];
    if (strlen(text) == CURSOR_BYTES - 1) {
        uint64_t hash = strtoull(text + CURSOR_DIGITS + 1, NULL, 16);
        cursor_format(pool, hash, canonical);
        if (strcmp(text, canonical) == 0) {
            *ret_hash = hash;
            return OK;
        }
    }
    return op_fail(op, REASON_INVALID_QUERY,
                   "the cursor is not one that this pool gave since it was started");
}

/* The front door hands over an empty listing and frees it when this fails. */
static enum err memory_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor,
                            unsigned limit, struct listing *ret_listing) {
    uint64_t from_hash = 0;
    enum err err = cursor ? cursor_parse(pool, op, cursor, &from_hash) : OK;
    if (err != OK) {
        return err;
    }
    bool more = false;
    uint64_t next_hash = 0;
    err = memory_store_list(&memory_pool_of(pool)->store, op, prefix, from_hash, limit, ret_listing, &more,
                            &next_hash);
    if (err == OK && more) {
        char text[CURSOR_BYTES];
        cursor_format(pool, next_hash, text);
        ret_listing->next_cursor = strdup(text);
        if (!ret_listing->next_cursor) {
            err = op_no_memory(op);
        }
    }
    return err;
}

static enum err memory_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    (void)op;
    *ret_removed = memory_store_empty(&memory_pool_of(pool)->store);
    return OK;
}

static void memory_status(struct pool *pool, struct pool_status *ret_status) {
    struct memory_counts counts;
    memory_room_count(&memory_pool_of(pool)->store.room, &counts);
    *ret_status = (struct pool_status){
        .state = POOL_OK, .counts_known = true, .entries = counts.entries, .bytes = counts.body_bytes};
}

static void memory_set_cached_evictable(struct pool *pool, bool evictable) {
    memory_room_set_evictable(&memory_pool_of(pool)->store.room, evictable);
}

static void memory_close(struct pool *pool) {
    struct memory_pool *memory = memory_pool_of(pool);
    memory_store_fini(&memory->store);
    pool_fini(pool);
    free(memory);
}

static const struct pool_ops memory_ops = {
    .kind = "memory",
    .open_reader = memory_open_reader,
    .open_writer = memory_open_writer,
    .stat = memory_stat,
    .remove = memory_remove,
    .list = memory_list,
    .empty = memory_empty,
    .status = memory_status,
    .close = memory_close,
    .peek = memory_peek,
    .peek_meta = memory_peek_meta,
    .put_entry = memory_put_entry,
    .proves_not_owned = memory_proves_not_owned,
    .takes_fill = memory_takes_fill,
    .set_cached_evictable = memory_set_cached_evictable,
};

static const struct option options[] = {
    {.name = "max_bytes",
     .type = OPTION_BYTES,
     .default_text = "256MiB",
     .least = 4096,
     .most = SIZE_MAX / 4,
     .sentence = "Most memory the entries may take together: bodies, ids and overhead."},
    {.name = "max_entries",
     .type = OPTION_COUNT,
     .least = 1,
     .sentence = "Most entries the pool may hold; no limit when left out."},
    {.name = "max_fill_bytes",
     .type = OPTION_BYTES,
     .sentence =
         "Largest body that a read may leave here as a cached copy; an eighth of max_bytes when left out."},
};

static enum err memory_open(struct op *op, const struct pool_environment *environment, const char *nickname,
                            struct settings *settings, struct pool **ret_pool) {
    (void)environment;
    uint64_t max_bytes = settings_number(settings, "max_bytes");
    uint64_t max_entries =
        settings_is_set(settings, "max_entries") ? settings_number(settings, "max_entries") : UINT64_MAX;
    uint64_t max_fill_bytes = settings_is_set(settings, "max_fill_bytes")
                                  ? settings_number(settings, "max_fill_bytes")
                                  : max_bytes / 8;
    if (max_fill_bytes > max_bytes) {
        return op_fail(op, REASON_INVALID_CONFIG, "max_fill_bytes is larger than max_bytes");
    }
    struct memory_pool *memory = calloc(1, sizeof *memory);
    if (!memory) {
        return op_no_memory(op);
    }
    if (!memory_store_init(&memory->store, max_bytes, max_entries)) {
        free(memory);
        return op_no_memory(op);
    }
    memory->max_bytes = max_bytes;
    memory->max_fill_bytes = max_fill_bytes;
    atomic_init(&memory->incoming_bytes, 0);
    const struct pool_capabilities capabilities = {
        .ranges = true,
        .create_only = true,
        .if_match = true,
        .fill_fence = true,
        .never_blocks = true,
        .stores_hold = true,
        .stores_meta = true,
        .tells_created = true,
        .evicts = true,
        .max_object_bytes = max_bytes,
    };
    pool_init(&memory->pool, &memory_ops, &capabilities, nickname, settings);
    *ret_pool = &memory->pool;
    return OK;
}

const struct pool_kind memory_pool_kind = {
    .name = "memory", .options = options, .option_count = ARRAY_COUNT(options), .open = memory_open};
