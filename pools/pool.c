/* pool.c - the front door to a pool: arguments, capabilities, fences, counters; then the backend. See pool.h.
 *
 * Every call into a backend passes through this file or pool_writer.c exactly once, so what is checked here is
 * checked for every kind. It keeps no state of its own: everything lives in struct pool.
 */
#include "pools/pool.h"

#include "pools/base/must.h"
#include "pools/pool_checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pool_init(struct pool *pool, const struct pool_ops *ops, const struct pool_capabilities *capabilities,
               const char *nickname, struct settings *settings) {
    MUST(ops->kind && ops->open_reader && ops->open_writer && ops->stat && ops->remove);
    MUST(ops->list && ops->empty && ops->status && ops->close);
    MUST(!capabilities->never_blocks || ops->peek);
    MUST(!ops->peek == !ops->peek_meta);
    MUST(!capabilities->evicts || ops->set_cached_evictable);
    MUST(!(capabilities->compacts || capabilities->scrubs) || (ops->upkeep && ops->upkeep_status));
    pool->ops = ops;
    pool->capabilities = *capabilities;
    pool->settings = settings;
    snprintf(pool->nickname, sizeof pool->nickname, "%s", nickname);
    atomic_init(&pool->refs, 1);
    fence_table_init(&pool->fences);
    memset(&pool->stats, 0, sizeof pool->stats);
}

void pool_fini(struct pool *pool) {
    fence_table_fini(&pool->fences);
    settings_free(pool->settings);
    pool->settings = NULL;
}

struct pool *pool_ref(struct pool *pool) {
    unsigned before = atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    return pool;
}

void pool_unref(struct pool *pool) {
    if (!pool) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel);
    MUST(before > 0);
    if (before == 1) {
        pool->ops->close(pool);
    }
}

enum err pool_sign(struct pool *pool, struct op *op, enum err err) {
    switch (err) {
    case OK:
    case ERR_AGAIN:
    case ERR_SUPERSEDED:
        return err;
    case ERR_NOT_FOUND:
    case ERR_PRECONDITION:
    case ERR_CANCELLED:
        break;
    default:
        POOL_COUNT(pool, failures);
        break;
    }
    if (!op->fault.pool[0]) {
        snprintf(op->fault.pool, sizeof op->fault.pool, "%s", pool->nickname);
    }
    return err;
}

static size_t encoded_bytes(const struct id *id) {
    size_t bytes = id->bytes;
    for (size_t i = 0; i < id->bytes; i++) {
        unsigned char c = (unsigned char)id->text[i];
        bool kept = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '.' || c == '_' || c == '~';
        bytes += kept ? 0 : 2;
    }
    return bytes;
}

static bool id_fits(const struct pool *pool, const struct id *id) {
    size_t most = pool->capabilities.max_key_bytes;
    return !most || id->bytes * 3 <= most || encoded_bytes(id) <= most;
}

/* A read of an id the backend could never hold is a plain miss; a write is the client's error (design.md 13.11). */
static enum err absent(struct pool *pool, struct op *op) {
    return pool_sign(pool, op, op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool does not have the entry"));
}

enum err pool_check_writable(struct pool *pool, struct op *op, const struct id *id,
                             const struct condition *condition) {
    if (!id_fits(pool, id)) {
        return pool_sign(pool, op,
                         op_fail(op, REASON_ID_TOO_LONG_FOR_POOL,
                                 "the id takes more than the %zu bytes a key may have here",
                                 pool->capabilities.max_key_bytes));
    }
    if (!condition || condition->kind == CONDITION_NONE) {
        return OK;
    }
    bool can =
        condition->kind == CONDITION_ABSENT ? pool->capabilities.create_only : pool->capabilities.if_match;
    if (!can) {
        return pool_sign(pool, op,
                         op_fail(op, REASON_CONDITIONAL_WRITE_UNSUPPORTED,
                                 "a %s pool cannot judge this precondition", pool->ops->kind));
    }
    return OK;
}

enum err pool_peek(struct pool *pool, const struct id *id, struct entry **ret_entry) {
    if (!pool->ops->peek) {
        return ERR_AGAIN;
    }
    /* First: a copy that settles after the look was not promised before it. */
    if (fence_is_settling(&pool->fences, id)) {
        return ERR_AGAIN;
    }
    enum err err = pool->ops->peek(pool, id, ret_entry);
    if (err == OK) {
        POOL_COUNT(pool, hits);
    }
    return err;
}

enum err pool_peek_meta(struct pool *pool, const struct id *id, struct meta *ret_meta) {
    if (!pool->ops->peek_meta) {
        return ERR_AGAIN;
    }
    return fence_is_settling(&pool->fences, id) ? ERR_AGAIN : pool->ops->peek_meta(pool, id, ret_meta);
}

bool pool_peek_absent(struct pool *pool, const struct id *id) {
    struct meta meta;
    enum err err = pool_peek_meta(pool, id, &meta);
    if (err == OK) {
        meta_fini(&meta);
    } else if (err == ERR_NOT_FOUND) {
        POOL_COUNT(pool, misses);
    }
    return err == ERR_NOT_FOUND;
}

enum err pool_open_reader_unfenced(struct pool *pool, struct op *op, const struct id *id,
                                   const struct read_options *options, struct reader **ret_reader) {
    static const struct read_options whole = {.offset = 0, .length = UINT64_MAX};
    if (!options) {
        options = &whole;
    }
    bool ranged = options->offset || options->length != UINT64_MAX;
    if (ranged && !pool->capabilities.ranges) {
        return pool_sign(pool, op,
                         op_fail(op, REASON_UNSUPPORTED, "a %s pool cannot read ranges", pool->ops->kind));
    }
    if (!id_fits(pool, id)) {
        return absent(pool, op);
    }
    enum err err = pool->ops->open_reader(pool, op, id, options, ret_reader);
    if (err == OK) {
        POOL_COUNT(pool, hits);
    } else if (err == ERR_NOT_FOUND) {
        POOL_COUNT(pool, misses);
    }
    return pool_sign(pool, op, err);
}

/* A copy that goes to a pool behind a network was never promised to be there already. */
static void await_copies(struct pool *pool, const struct op *op, const struct id *id) {
    if (!pool->capabilities.remote) {
        (void)(id ? fence_wait_settled(&pool->fences, op, id) : fence_wait_all_settled(&pool->fences, op));
    }
}

static void break_fences(struct pool *pool, const struct id *id) {
    if (id) {
        fence_break(&pool->fences, id);
    } else {
        fence_break_all(&pool->fences);
    }
}

enum err pool_clear_way(struct pool *pool, struct op *op, const struct id *id) {
    await_copies(pool, op, id);
    break_fences(pool, id);
    if (!pool->capabilities.remote) {
        return OK;
    }
    bool clear = id ? fence_wait_settled(&pool->fences, op, id) : fence_wait_all_settled(&pool->fences, op);
    return clear ? OK : op_fail(op, REASON_BUSY, "an older copy is still on its way into the pool");
}

enum err pool_open_reader(struct pool *pool, struct op *op, const struct id *id,
                          const struct read_options *options, struct reader **ret_reader) {
    await_copies(pool, op, id);
    return pool_open_reader_unfenced(pool, op, id, options, ret_reader);
}

enum err pool_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    if (!id_fits(pool, id)) {
        return absent(pool, op);
    }
    await_copies(pool, op, id);
    return pool_sign(pool, op, pool->ops->stat(pool, op, id, ret_meta));
}

enum err pool_remove(struct pool *pool, struct op *op, const struct id *id, const struct condition *condition,
                     bool *ret_existed) {
    if (!id_fits(pool, id)) {
        enum err err = condition_check(op, condition, NULL);
        if (!err) {
            *ret_existed = false;
        }
        return pool_sign(pool, op, err);
    }
    enum err err = pool_check_writable(pool, op, id, condition);
    if (err) {
        return err;
    }
    err = pool_clear_way(pool, op, id);
    if (err) {
        return pool_sign(pool, op, err);
    }
    POOL_COUNT(pool, removes);
    err = pool->ops->remove(pool, op, id, condition, ret_existed);
    fence_break(&pool->fences, id);
    return pool_sign(pool, op, err);
}

enum err pool_drop_copy(struct pool *pool, struct op *op, const struct id *id, const char *etag) {
    struct condition copy = {.kind = CONDITION_CACHED, .count = etag[0] ? 1 : 0};
    snprintf(copy.tag[0], sizeof copy.tag[0], "%s", etag);
    bool existed = false;
    return pool_sign(pool, op, pool->ops->remove(pool, op, id, &copy, &existed));
}

enum err pool_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor, unsigned limit,
                   struct listing *ret_listing) {
    await_copies(pool, op, NULL);
    struct listing listing = {0};
    enum err err = pool->ops->list(pool, op, prefix, cursor, limit, &listing);
    if (err) {
        listing_fini(&listing);
        return pool_sign(pool, op, err);
    }
    *ret_listing = listing;
    return OK;
}

enum err pool_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    *ret_removed = 0;
    enum err err = pool_clear_way(pool, op, NULL);
    if (err) {
        return pool_sign(pool, op, err);
    }
    err = pool->ops->empty(pool, op, ret_removed);
    fence_break_all(&pool->fences);
    return pool_sign(pool, op, err);
}

void pool_get_status(struct pool *pool, struct pool_status *ret_status) {
    memset(ret_status, 0, sizeof *ret_status);
    pool->ops->status(pool, ret_status);
}

void pool_set_cached_evictable(struct pool *pool, bool evictable) {
    if (pool->ops->set_cached_evictable) {
        pool->ops->set_cached_evictable(pool, evictable);
    }
}

bool pool_takes_fill(struct pool *pool, uint64_t size_bytes) {
    uint64_t most_bytes = pool->capabilities.max_object_bytes;
    if (most_bytes && size_bytes != SIZE_UNKNOWN && size_bytes > most_bytes) {
        return false;
    }
    return !pool->ops->takes_fill || pool->ops->takes_fill(pool, size_bytes);
}

static enum err check_upkeep(struct pool *pool, struct op *op, enum upkeep_kind kind) {
    const struct pool_capabilities *can = &pool->capabilities;
    if (kind == UPKEEP_COMPACT ? can->compacts : can->scrubs) {
        return OK;
    }
    return op_fail(op, REASON_UNSUPPORTED, "a %s pool has nothing to %s", pool->ops->kind,
                   upkeep_kind_word(kind));
}

enum err pool_upkeep(struct pool *pool, struct op *op, enum upkeep_kind kind, enum upkeep_action action) {
    enum err err = check_upkeep(pool, op, kind);
    return pool_sign(pool, op, err ? err : pool->ops->upkeep(pool, op, kind, action));
}

enum err pool_get_upkeep(struct pool *pool, struct op *op, enum upkeep_kind kind,
                         struct upkeep_status *ret_status) {
    *ret_status = (struct upkeep_status){0};
    enum err err = check_upkeep(pool, op, kind);
    return pool_sign(pool, op, err ? err : pool->ops->upkeep_status(pool, op, kind, ret_status));
}

bool pool_proves_not_owned(struct pool *pool, const struct id *id) {
    return pool->ops->proves_not_owned && pool->ops->proves_not_owned(pool, id);
}

const char *pool_state_word(enum pool_state state) {
    static const char *const words[] = {
        [POOL_OK] = "ok",
        [POOL_LOADING] = "loading",
        [POOL_UNAVAILABLE] = "unavailable",
        [POOL_FAILED] = "failed",
        [POOL_READ_ONLY] = "read-only",
        [POOL_POISONED] = "poisoned",
        [POOL_NEEDS_CREDENTIALS] = "needs-credentials",
    };
    MUST((size_t)state < ARRAY_COUNT(words));
    return words[state];
}

enum err reader_read(struct reader *reader, struct op *op, void *ret_bytes, size_t cap, size_t *ret_count) {
    MUST(cap > 0);
    enum err err = op_check(op);
    return err ? err : reader->ops->read(reader, op, ret_bytes, cap, ret_count);
}

enum err reader_read_now(struct reader *reader, void *ret_bytes, size_t cap, size_t *ret_count) {
    return reader->ops->read_now ? reader->ops->read_now(reader, ret_bytes, cap, ret_count) : ERR_AGAIN;
}

enum err reader_map(struct reader *reader, size_t count, const void **ret_bytes) {
    MUST(count > 0);
    return reader->ops->map ? reader->ops->map(reader, count, ret_bytes) : ERR_AGAIN;
}

void reader_close(struct reader *reader) {
    if (reader) {
        reader->ops->close(reader);
    }
}

void listing_fini(struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++) {
        free(listing->ids[i]);
    }
    free(listing->ids);
    free(listing->next_cursor);
    *listing = (struct listing){0};
}

enum err listing_add(struct listing *listing, struct op *op, const char *id, size_t bytes) {
    size_t count = listing->count;
    if ((count & (count - 1)) == 0) { /* room doubles at every power of two */
        size_t room = count ? count * 2 : 1;
        char **ids = realloc(listing->ids, room * sizeof *ids);
        if (!ids) {
            return op_no_memory(op);
        }
        listing->ids = ids;
    }
    char *copy = malloc(bytes + 1);
    if (!copy) {
        return op_no_memory(op);
    }
    memcpy(copy, id, bytes);
    copy[bytes] = '\0';
    listing->ids[listing->count++] = copy;
    return OK;
}
