/* fake_pool.c - see fake_pool.h. */
#include "tests/fakes/fake_pool.h"

#include "pools/base/buf.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct stored {
    struct stored *next;
    char *id;
    struct entry *entry;
};

struct gate {
    bool closed;
    unsigned held;
    uint64_t from_offset; /* FAKE_GATE_READ */
};

struct fake {
    struct pool pool;
    struct mutex mutex;
    struct cond changed;
    struct stored *entries;
    struct fake_counts counts;
    struct gate gates[FAKE_GATE_COUNT];
    enum reason open_reason;
    unsigned open_failures;
    enum reason fill_reason;
    uint64_t cut_after;
    bool cut_lies, hide_length, wrong_digest, refuses_peeks, proves_not_owned, evictable;
};

static struct fake *fake_of(struct pool *pool) {
    return CONTAINER_OF(pool, struct fake, pool);
}

/* `offset` is where a body is being read from; 0 at the other gates. */
static void pass_gate_locked(struct fake *fake, enum fake_gate which, uint64_t offset) {
    struct gate *gate = &fake->gates[which];
    gate->held++;
    cond_broadcast(&fake->changed);
    while (gate->closed && offset >= gate->from_offset) {
        cond_wait_until(&fake->changed, &fake->mutex, 0);
    }
    gate->held--;
}

static struct stored **find_locked(struct fake *fake, const char *id) {
    struct stored **at = &fake->entries;
    while (*at && strcmp((*at)->id, id) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static void store_locked(struct fake *fake, const char *id, struct entry *take_entry) {
    struct stored **at = find_locked(fake, id);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        MUST(*at);
        (*at)->id = strdup(id);
    }
    entry_unref((*at)->entry);
    (*at)->entry = take_entry;
}

static void remove_locked(struct stored **at) {
    struct stored *gone = *at;
    *at = gone->next;
    entry_unref(gone->entry);
    free(gone->id);
    free(gone);
}

/* ---- reading ---- */

struct fake_reader {
    struct reader reader;
    struct fake *fake;
    struct entry *entry;
    uint64_t offset;
};

static enum err fake_read(struct reader *reader, struct op *op, void *ret_bytes, size_t cap,
                          size_t *ret_count) {
    struct fake_reader *self = CONTAINER_OF(reader, struct fake_reader, reader);
    struct fake *fake = self->fake;
    uint64_t end = self->entry->body->size;
    mutex_lock(&fake->mutex);
    pass_gate_locked(fake, FAKE_GATE_READ, self->offset);
    const struct gate *gate = &fake->gates[FAKE_GATE_READ];
    if (gate->closed && gate->from_offset < end) {
        end = gate->from_offset;
    }
    uint64_t cut_after = fake->cut_after;
    bool lies = fake->cut_lies;
    mutex_unlock(&fake->mutex);
    if (self->offset >= cut_after && !lies) {
        return op_fail(op, REASON_BAD_ANSWER, "cut");
    }
    end = end < cut_after ? end : cut_after;
    uint64_t left = end - self->offset;
    size_t count = left < cap ? (size_t)left : cap;
    memcpy(ret_bytes, self->entry->body->data + self->offset, count);
    self->offset += count;
    mutex_lock(&fake->mutex);
    fake->counts.read_bytes += count;
    mutex_unlock(&fake->mutex);
    *ret_count = count;
    return OK;
}

static void fake_close_reader(struct reader *reader) {
    struct fake_reader *self = CONTAINER_OF(reader, struct fake_reader, reader);
    meta_fini(&reader->meta);
    entry_unref(self->entry);
    free(self);
}

static const struct reader_ops reader_ops = {.read = fake_read, .close = fake_close_reader};

static enum err fake_open_reader(struct pool *pool, struct op *op, const struct id *id,
                                 const struct read_options *options, struct reader **ret_reader) {
    (void)options;
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    fake->counts.opens++;
    pass_gate_locked(fake, FAKE_GATE_OPEN, 0);
    if (fake->open_failures) {
        fake->open_failures -= fake->open_failures != UINT_MAX;
        enum reason reason = fake->open_reason;
        mutex_unlock(&fake->mutex);
        return op_fail(op, reason, "scripted");
    }
    struct stored *stored = *find_locked(fake, id->text);
    struct entry *entry = stored ? entry_ref(stored->entry) : NULL;
    bool hide = fake->hide_length;
    bool wrong = fake->wrong_digest;
    mutex_unlock(&fake->mutex);
    if (!entry) {
        return op_fail(op, REASON_ENTRY_NOT_FOUND, "absent");
    }
    struct fake_reader *self = calloc(1, sizeof *self);
    MUST(self);
    self->reader.ops = &reader_ops;
    self->fake = fake;
    self->entry = entry;
    meta_copy(&self->reader.meta, &entry->meta);
    if (hide) {
        self->reader.meta.size_bytes = SIZE_UNKNOWN;
    }
    self->reader.meta.sha256[0] ^= wrong;
    *ret_reader = &self->reader;
    return OK;
}

static enum err fake_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    fake->counts.stats++;
    struct stored *stored = *find_locked(fake, id->text);
    if (stored) {
        meta_copy(ret_meta, &stored->entry->meta);
    }
    mutex_unlock(&fake->mutex);
    return stored ? OK : op_fail(op, REASON_ENTRY_NOT_FOUND, "absent");
}

/* What an open would wait for or fail at, a peek cannot tell. */
static enum err fake_peek(struct pool *pool, const struct id *id, struct entry **ret_entry) {
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    struct stored *stored = *find_locked(fake, id->text);
    bool refuses = fake->refuses_peeks || fake->open_failures || fake->gates[FAKE_GATE_OPEN].closed ||
                   pool->capabilities.remote;
    if (stored && !refuses) {
        *ret_entry = entry_ref(stored->entry);
    }
    mutex_unlock(&fake->mutex);
    return refuses ? ERR_AGAIN : stored ? OK : ERR_NOT_FOUND;
}

static enum err fake_peek_meta(struct pool *pool, const struct id *id, struct meta *ret_meta) {
    struct entry *entry = NULL;
    enum err err = fake_peek(pool, id, &entry);
    if (!err) {
        meta_copy(ret_meta, &entry->meta);
        entry_unref(entry);
    }
    return err;
}

/* ---- writing ---- */

static enum err put(struct fake *fake, struct op *op, const char *id, struct entry *entry,
                    const struct condition *condition, const struct fence *fence,
                    struct commit_result *ret_result) {
    enum err err = OK;
    mutex_lock(&fake->mutex);
    pass_gate_locked(fake, FAKE_GATE_COMMIT, 0);
    struct stored *stored = *find_locked(fake, id);
    if (fence && (!fence_holds(fence) || (stored && stored->entry->meta.hold == HOLD_OWNED))) {
        err = ERR_SUPERSEDED;
    } else {
        err = condition_check(op, condition, stored ? &stored->entry->meta : NULL);
    }
    if (!err) {
        ret_result->created = !stored;
        meta_copy(&ret_result->meta, &entry->meta);
        store_locked(fake, id, entry_ref(entry));
        fake->counts.commits++;
        fake->counts.commit_deadline_ns = op->deadline_ns;
    }
    mutex_unlock(&fake->mutex);
    return err;
}

static enum err begin_write(struct fake *fake, struct op *op, const struct fence *fence) {
    mutex_lock(&fake->mutex);
    fake->counts.writers++;
    fake->counts.open_deadline_ns = op->deadline_ns;
    enum reason reason = fence ? fake->fill_reason : REASON_NONE;
    mutex_unlock(&fake->mutex);
    return reason ? op_fail(op, reason, "scripted") : OK;
}

struct fake_writer {
    struct writer writer;
    struct fake *fake;
    char *id;
    struct meta meta;
    const struct condition *condition;
    const struct fence *fence;
    struct buf body;
};

static enum err fake_write(struct writer *writer, struct op *op, const void *bytes, size_t count) {
    struct fake_writer *self = CONTAINER_OF(writer, struct fake_writer, writer);
    return buf_append(&self->body, bytes, count) ? op_no_memory(op) : OK;
}

static enum err fake_commit(struct writer *writer, struct op *op, uint64_t size_bytes,
                            const uint8_t sha256[SHA256_BYTES], struct commit_result *ret_result) {
    struct fake_writer *self = CONTAINER_OF(writer, struct fake_writer, writer);
    MUST(size_bytes == self->body.size);
    self->meta.has_sha256 = true;
    memcpy(self->meta.sha256, sha256, SHA256_BYTES);
    struct blob *blob = blob_copy(self->body.data, self->body.size);
    struct entry *entry = entry_new(&self->meta, blob);
    enum err err = put(self->fake, op, self->id, entry, self->condition, self->fence, ret_result);
    entry_unref(entry);
    blob_unref(blob);
    return err;
}

static void fake_close_writer(struct writer *writer) {
    struct fake_writer *self = CONTAINER_OF(writer, struct fake_writer, writer);
    buf_fini(&self->body);
    meta_fini(&self->meta);
    free(self->id);
    free(self);
}

static const struct writer_ops writer_ops = {
    .write = fake_write, .commit = fake_commit, .close = fake_close_writer};

static enum err fake_open_writer(struct pool *pool, struct op *op, const struct id *id,
                                 const struct write_options *options, struct writer **ret_writer) {
    struct fake *fake = fake_of(pool);
    enum err err = begin_write(fake, op, options->fence);
    if (err) {
        return err;
    }
    struct fake_writer *self = calloc(1, sizeof *self);
    MUST(self);
    self->writer.ops = &writer_ops;
    self->fake = fake;
    self->id = strdup(id->text);
    meta_copy(&self->meta, &options->meta);
    self->condition = options->condition;
    self->fence = options->fence;
    buf_init(&self->body, SIZE_MAX / 2);
    *ret_writer = &self->writer;
    return OK;
}

static enum err fake_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                               const struct condition *condition, const struct fence *fence,
                               struct commit_result *ret_result) {
    enum err err = begin_write(fake_of(pool), op, fence);
    return err ? err : put(fake_of(pool), op, id->text, entry, condition, fence, ret_result);
}

static enum err fake_remove(struct pool *pool, struct op *op, const struct id *id,
                            const struct condition *condition, bool *ret_existed) {
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    struct stored **at = find_locked(fake, id->text);
    enum err err = condition_check(op, condition, *at ? &(*at)->entry->meta : NULL);
    *ret_existed = !err && *at;
    if (*ret_existed) {
        remove_locked(at);
    }
    mutex_unlock(&fake->mutex);
    return err;
}

/* ---- the rest ---- */

static enum err fake_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor,
                          unsigned limit, struct listing *ret_listing) {
    (void)prefix;
    (void)cursor;
    (void)limit;
    struct fake *fake = fake_of(pool);
    enum err err = OK;
    mutex_lock(&fake->mutex);
    for (struct stored *at = fake->entries; at && !err; at = at->next) {
        err = listing_add(ret_listing, op, at->id, strlen(at->id));
    }
    mutex_unlock(&fake->mutex);
    return err;
}

static enum err fake_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    (void)op;
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    while (fake->entries) {
        remove_locked(&fake->entries);
        ++*ret_removed;
    }
    mutex_unlock(&fake->mutex);
    return OK;
}

static void fake_status(struct pool *pool, struct pool_status *ret_status) {
    (void)pool;
    ret_status->state = POOL_OK;
}

static void fake_close(struct pool *pool) {
    struct fake *fake = fake_of(pool);
    while (fake->entries) {
        remove_locked(&fake->entries);
    }
    cond_fini(&fake->changed);
    mutex_fini(&fake->mutex);
    pool_fini(pool);
    free(fake);
}

static bool fake_proves(struct pool *pool, const struct id *id) {
    (void)id;
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    bool proves = fake->proves_not_owned;
    mutex_unlock(&fake->mutex);
    return proves;
}

static void fake_set_evictable(struct pool *pool, bool evictable) {
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    fake->evictable = evictable;
    mutex_unlock(&fake->mutex);
}

static const struct pool_ops fake_ops = {
    .kind = "fake",
    .open_reader = fake_open_reader,
    .open_writer = fake_open_writer,
    .stat = fake_stat,
    .remove = fake_remove,
    .list = fake_list,
    .empty = fake_empty,
    .status = fake_status,
    .close = fake_close,
    .peek = fake_peek,
    .peek_meta = fake_peek_meta,
    .put_entry = fake_put_entry,
    .proves_not_owned = fake_proves,
    .set_cached_evictable = fake_set_evictable,
};

struct pool *fake_pool_new(const char *nickname, const struct pool_capabilities *capabilities) {
    const struct pool_capabilities local = {.fill_fence = true, .create_only = true, .stores_hold = true};
    struct fake *fake = calloc(1, sizeof *fake);
    MUST(fake);
    mutex_init(&fake->mutex, RANK_KIND);
    cond_init(&fake->changed);
    fake->cut_after = SIZE_UNKNOWN;
    pool_init(&fake->pool, &fake_ops, capabilities ? capabilities : &local, nickname, NULL);
    return &fake->pool;
}

void fake_store(struct pool *pool, const char *id, const void *bytes, size_t count, enum hold hold) {
    struct fake *fake = fake_of(pool);
    struct blob *blob = blob_copy(bytes, count);
    struct meta meta;
    meta_init(&meta);
    meta.hold = hold;
    meta.has_sha256 = true;
    digest_sha256(bytes, count, meta.sha256);
    struct entry *entry = entry_new(&meta, blob);
    blob_unref(blob);
    mutex_lock(&fake->mutex);
    store_locked(fake, id, entry);
    mutex_unlock(&fake->mutex);
}

struct entry *fake_stored(struct pool *pool, const char *id) {
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    struct stored *stored = *find_locked(fake, id);
    struct entry *entry = stored ? entry_ref(stored->entry) : NULL;
    mutex_unlock(&fake->mutex);
    return entry;
}

#define WITH_LOCK(statement)                                                                                 \
    do {                                                                                                     \
        struct fake *fake = fake_of(pool);                                                                   \
        mutex_lock(&fake->mutex);                                                                            \
        statement;                                                                                           \
        cond_broadcast(&fake->changed);                                                                      \
        mutex_unlock(&fake->mutex);                                                                          \
    } while (0)

struct fake_counts fake_counts(struct pool *pool) {
    struct fake_counts counts;
    WITH_LOCK(counts = fake->counts);
    return counts;
}

bool fake_is_evictable(struct pool *pool) {
    bool evictable;
    WITH_LOCK(evictable = fake->evictable);
    return evictable;
}

void fake_fail_opens(struct pool *pool, enum reason reason, unsigned times) {
    WITH_LOCK(fake->open_reason = reason; fake->open_failures = times);
}

void fake_fail_fills(struct pool *pool, enum reason reason) {
    WITH_LOCK(fake->fill_reason = reason);
}

void fake_cut_bodies(struct pool *pool, uint64_t after_bytes, bool lying) {
    WITH_LOCK(fake->cut_after = after_bytes; fake->cut_lies = lying);
}

void fake_hide_length(struct pool *pool, bool hide) {
    WITH_LOCK(fake->hide_length = hide);
}

void fake_wrong_digest(struct pool *pool, bool wrong) {
    WITH_LOCK(fake->wrong_digest = wrong);
}

void fake_refuse_peeks(struct pool *pool, bool refuse) {
    WITH_LOCK(fake->refuses_peeks = refuse);
}

void fake_prove_not_owned(struct pool *pool, bool proves) {
    WITH_LOCK(fake->proves_not_owned = proves);
}

void fake_close_gate(struct pool *pool, enum fake_gate gate) {
    WITH_LOCK(fake->gates[gate].closed = true; fake->gates[gate].from_offset = 0);
}

void fake_close_read_gate_at(struct pool *pool, uint64_t offset) {
    WITH_LOCK(fake->gates[FAKE_GATE_READ].closed = true; fake->gates[FAKE_GATE_READ].from_offset = offset);
}

void fake_open_gate(struct pool *pool, enum fake_gate gate) {
    WITH_LOCK(fake->gates[gate].closed = false);
}

void fake_wait_held(struct pool *pool, enum fake_gate gate, unsigned count) {
    struct fake *fake = fake_of(pool);
    mutex_lock(&fake->mutex);
    while (fake->gates[gate].held < count) {
        cond_wait_until(&fake->changed, &fake->mutex, 0);
    }
    mutex_unlock(&fake->mutex);
}
