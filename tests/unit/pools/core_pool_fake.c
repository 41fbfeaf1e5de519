/* core_pool_fake.c - see core_pool_fake.h. */
#include "tests/unit/pools/core_pool_fake.h"

#include "pools/base/must.h"

#include <stdlib.h>

static struct fake_pool *fake_of(struct pool *pool) {
    return CONTAINER_OF(pool, struct fake_pool, pool);
}

static enum err answer(struct fake_pool *fake, struct op *op) {
    switch (fake->answer) {
    case OK:
        return OK;
    case ERR_NOT_FOUND:
        return op_fail(op, REASON_ENTRY_NOT_FOUND, "absent");
    case ERR_SUPERSEDED:
        return op_fail(op, REASON_SUPERSEDED, "superseded");
    default:
        return op_fail(op, REASON_IO, "broken");
    }
}

static enum err fake_read(struct reader *reader, struct op *op, void *ret_bytes, size_t cap,
                          size_t *ret_count) {
    (void)reader;
    (void)op;
    (void)ret_bytes;
    (void)cap;
    *ret_count = 0;
    return OK;
}

static void fake_close_reader(struct reader *reader) {
    free(reader);
}

static const struct reader_ops reader_ops = {.read = fake_read, .close = fake_close_reader};

static enum err fake_open_reader(struct pool *pool, struct op *op, const struct id *id,
                                 const struct read_options *options, struct reader **ret_reader) {
    (void)id;
    (void)options;
    fake_of(pool)->reads++;
    enum err err = answer(fake_of(pool), op);
    if (err == OK) {
        *ret_reader = calloc(1, sizeof **ret_reader);
        (*ret_reader)->ops = &reader_ops;
        meta_init(&(*ret_reader)->meta);
    }
    return err;
}

struct fake_writer {
    struct writer writer;
    struct fake_pool *fake;
};

static enum err fake_write(struct writer *writer, struct op *op, const void *bytes, size_t count) {
    (void)op;
    (void)bytes;
    CONTAINER_OF(writer, struct fake_writer, writer)->fake->written_bytes += count;
    return OK;
}

static void watch(struct fake_pool *fake) {
    fake->fence_held_at_commit = fake->fence_to_watch && fence_holds(fake->fence_to_watch);
}

static void raise_wanted_fence(struct fake_pool *fake) {
    struct fence *fence = fake->fence_to_raise;
    fake->fence_to_raise = NULL;
    if (fence) {
        struct op op;
        op_init(&op, 0, 0);
        MUST(fence_raise(&fake->pool.fences, &op, fence, &fake->fence_id) == OK);
    }
}

static enum err fake_commit(struct writer *writer, struct op *op, uint64_t size_bytes,
                            const uint8_t sha256[SHA256_BYTES], struct commit_result *ret_result) {
    struct fake_pool *fake = CONTAINER_OF(writer, struct fake_writer, writer)->fake;
    (void)sha256;
    fake->commits++;
    watch(fake);
    raise_wanted_fence(fake);
    enum err err = answer(fake, op);
    if (err == OK) {
        *ret_result = (struct commit_result){.created = true};
        meta_init(&ret_result->meta);
        ret_result->meta.size_bytes = size_bytes;
    }
    return err;
}

static void fake_close_writer(struct writer *writer) {
    CONTAINER_OF(writer, struct fake_writer, writer)->fake->writer_closes++;
    free(CONTAINER_OF(writer, struct fake_writer, writer));
}

static const struct writer_ops writer_ops = {
    .write = fake_write, .commit = fake_commit, .close = fake_close_writer};

static enum err fake_open_writer(struct pool *pool, struct op *op, const struct id *id,
                                 const struct write_options *options, struct writer **ret_writer) {
    (void)op;
    (void)id;
    (void)options;
    struct fake_writer *self = calloc(1, sizeof *self);
    self->writer.ops = &writer_ops;
    self->fake = fake_of(pool);
    self->fake->writers++;
    *ret_writer = &self->writer;
    return OK;
}

static enum err fake_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    (void)id;
    fake_of(pool)->stats++;
    enum err err = answer(fake_of(pool), op);
    if (err == OK) {
        meta_init(ret_meta);
    }
    return err;
}

static enum err fake_remove(struct pool *pool, struct op *op, const struct id *id,
                            const struct condition *condition, bool *ret_existed) {
    (void)id;
    (void)condition;
    fake_of(pool)->removes++;
    raise_wanted_fence(fake_of(pool));
    *ret_existed = true;
    return answer(fake_of(pool), op);
}

static enum err fake_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor,
                          unsigned limit, struct listing *ret_listing) {
    (void)cursor;
    (void)limit;
    fake_of(pool)->lists++;
    enum err err =
        listing_add(ret_listing, op, prefix, 1); /* also on the way to a failure: the front door frees it */
    return err ? err : answer(fake_of(pool), op);
}

static enum err fake_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    fake_of(pool)->empties++;
    raise_wanted_fence(fake_of(pool));
    *ret_removed = 3;
    return answer(fake_of(pool), op);
}

static void fake_status(struct pool *pool, struct pool_status *ret_status) {
    (void)pool;
    ret_status->state = POOL_LOADING;
}

static void fake_close(struct pool *pool) {
    struct fake_pool *fake = fake_of(pool);
    *fake->closed = true;
    pool_fini(pool);
    free(fake);
}

static enum err fake_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                               const struct condition *condition, const struct fence *fence,
                               struct commit_result *ret_result) {
    (void)id;
    (void)condition;
    (void)fence;
    fake_of(pool)->puts++;
    watch(fake_of(pool));
    raise_wanted_fence(fake_of(pool));
    enum err err = answer(fake_of(pool), op);
    if (err == OK) {
        meta_copy(&ret_result->meta, &entry->meta);
    }
    return err;
}

#define FAKE_REQUIRED                                                                                        \
    .kind = "fake", .open_reader = fake_open_reader, .open_writer = fake_open_writer, .stat = fake_stat,     \
    .remove = fake_remove, .list = fake_list, .empty = fake_empty, .status = fake_status,                    \
    .close = fake_close

static const struct pool_ops required_ops = {FAKE_REQUIRED};
static const struct pool_ops put_entry_ops = {FAKE_REQUIRED, .put_entry = fake_put_entry};

struct fake_pool *fake_new(const struct pool_capabilities *capabilities, bool has_put_entry,
                           bool *ret_closed) {
    struct fake_pool *fake = calloc(1, sizeof *fake);
    fake->closed = ret_closed;
    pool_init(&fake->pool, has_put_entry ? &put_entry_ops : &required_ops, capabilities, "fake-1", NULL);
    return fake;
}
