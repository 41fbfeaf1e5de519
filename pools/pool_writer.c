/* pool_writer.c - the write half of the front door: declared lengths and digests, hashing, fences, then the backend.
 *
 * A writer's life: 1 OPEN bytes are accepted and hashed; 2 COMMITTED what was declared holds, the key's fences are
 * broken (unless this is a fill itself) and the backend has published; 3 closed. Closing in state 1 is an abort and
 * leaves no trace. Used by one thread at a time. See pool.h; fence.h says why fences break before the commit.
 */
#include "pools/pool.h"

#include "pools/base/must.h"
#include "pools/pool_checks.h"

#include <stdlib.h>
#include <string.h>

struct pool_writer {
    struct pool *pool;     /* referenced */
    struct writer *writer; /* the backend's */
    struct digest *digest;
    struct id id;        /* id_text */
    uint64_t size_bytes; /* written so far */
    uint64_t declared_bytes;
    bool sha256_declared;
    uint8_t declared_sha256[SHA256_BYTES];
    bool is_fill;
    char id_text[ID_MOST_BYTES + 1];
};

static enum err too_large(struct pool *pool, struct op *op) {
    enum err err = op_fail(op, REASON_TOO_LARGE, "the pool holds bodies of at most %llu bytes",
                           (unsigned long long)pool->capabilities.max_object_bytes);
    (void)pool_sign(pool, op, err);
    return err;
}

enum err pool_check_write(struct pool *pool, struct op *op, const struct id *id,
                          const struct write_options *options) {
    enum err err = pool_check_writable(pool, op, id, options->condition);
    if (err) {
        return err;
    }
    uint64_t most_bytes = pool->capabilities.max_object_bytes;
    bool fits =
        !most_bytes || options->meta.size_bytes == SIZE_UNKNOWN || options->meta.size_bytes <= most_bytes;
    return fits ? OK : too_large(pool, op);
}

enum err pool_open_writer(struct pool *pool, struct op *op, const struct id *id,
                          const struct write_options *options, struct pool_writer **ret_writer) {
    enum err err = pool_check_write(pool, op, id, options);
    if (err) {
        return err;
    }
    struct pool_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return op_no_memory(op);
    }
    memcpy(writer->id_text, id->text, id->bytes);
    writer->id = (struct id){.text = writer->id_text, .bytes = id->bytes, .hash = id->hash};
    writer->pool = pool_ref(pool);
    writer->declared_bytes = options->meta.size_bytes;
    writer->sha256_declared = options->meta.has_sha256;
    memcpy(writer->declared_sha256, options->meta.sha256, SHA256_BYTES);
    writer->is_fill = options->fence != NULL;
    writer->digest = digest_new();
    err = writer->digest ? pool->ops->open_writer(pool, op, &writer->id, options, &writer->writer)
                         : op_no_memory(op);
    if (err) {
        goto fail;
    }
    *ret_writer = writer;
    return OK;
fail:
    pool_writer_close(writer);
    (void)pool_sign(pool, op, err);
    return err;
}

enum err pool_writer_write(struct pool_writer *writer, struct op *op, const void *bytes, size_t count) {
    enum err err = op_check(op);
    if (err) {
        return err;
    }
    uint64_t most_bytes = writer->pool->capabilities.max_object_bytes;
    if (most_bytes && (count > most_bytes || writer->size_bytes > most_bytes - count)) {
        return too_large(writer->pool, op);
    }
    if (writer->declared_bytes != SIZE_UNKNOWN && writer->size_bytes + count > writer->declared_bytes) {
        return op_fail(op, REASON_BODY_INCOMPLETE, "the body is longer than its declared length");
    }
    digest_update(writer->digest, bytes, count);
    err = writer->writer->ops->write(writer->writer, op, bytes, count);
    if (!err) {
        writer->size_bytes += count;
    }
    return pool_sign(writer->pool, op, err);
}

enum err pool_writer_expect_sha256(struct pool_writer *writer, struct op *op,
                                   const uint8_t sha256[SHA256_BYTES]) {
    if (writer->sha256_declared && memcmp(writer->declared_sha256, sha256, SHA256_BYTES) != 0) {
        return op_fail(op, REASON_DIGEST_MISMATCH, "two digests were declared, and they differ");
    }
    writer->sha256_declared = true;
    memcpy(writer->declared_sha256, sha256, SHA256_BYTES);
    return OK;
}

enum err pool_writer_commit(struct pool_writer *writer, struct op *op, struct commit_result *ret_result) {
    struct pool *pool = writer->pool;
    if (writer->declared_bytes != SIZE_UNKNOWN && writer->size_bytes != writer->declared_bytes) {
        return op_fail(op, REASON_BODY_INCOMPLETE, "the body ended after %llu of %llu bytes",
                       (unsigned long long)writer->size_bytes, (unsigned long long)writer->declared_bytes);
    }
    uint8_t sha256[SHA256_BYTES];
    digest_final(writer->digest, sha256);
    if (writer->sha256_declared && memcmp(sha256, writer->declared_sha256, SHA256_BYTES) != 0) {
        return op_fail(op, REASON_DIGEST_MISMATCH, "the body's sha-256 is not the declared one");
    }
    enum err err = writer->is_fill ? OK : pool_clear_way(pool, op, &writer->id);
    if (err) {
        return pool_sign(pool, op, err);
    }
    err = writer->writer->ops->commit(writer->writer, op, writer->size_bytes, sha256, ret_result);
    if (!writer->is_fill) {
        fence_break(&pool->fences, &writer->id);
    }
    if (!err && writer->is_fill) {
        POOL_COUNT(pool, fills);
    } else if (!err) {
        POOL_COUNT(pool, writes);
    }
    return pool_sign(pool, op, err);
}

void pool_writer_close(struct pool_writer *writer) {
    if (!writer) {
        return;
    }
    if (writer->writer) {
        writer->writer->ops->close(writer->writer);
    }
    digest_free(writer->digest);
    pool_unref(writer->pool);
    free(writer);
}

static enum err put_through_writer(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                                   const struct condition *condition, const struct fence *fence,
                                   struct commit_result *ret_result) {
    struct write_options options = {.meta = entry->meta, .condition = condition, .fence = fence};
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    enum err err = pool_open_writer(pool, op, id, &options, &writer);
    if (err) {
        return err;
    }
    err = pool_writer_write(writer, op, entry->body->data, entry->body->size);
    return err ? err : pool_writer_commit(writer, op, ret_result);
}

enum err pool_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                        const struct condition *condition, const struct fence *fence,
                        struct commit_result *ret_result) {
    MUST(entry->meta.has_sha256);
    if (!pool->ops->put_entry) {
        return put_through_writer(pool, op, id, entry, condition, fence, ret_result);
    }
    enum err err = pool_check_writable(pool, op, id, condition);
    if (err) {
        return err;
    }
    uint64_t most_bytes = pool->capabilities.max_object_bytes;
    if (most_bytes && entry->body->size > most_bytes) {
        return too_large(pool, op);
    }
    err = fence ? OK : pool_clear_way(pool, op, id);
    if (err) {
        return pool_sign(pool, op, err);
    }
    err = pool->ops->put_entry(pool, op, id, entry, condition, fence, ret_result);
    if (!fence) {
        fence_break(&pool->fences, id);
    }
    if (!err && fence) {
        POOL_COUNT(pool, fills);
    } else if (!err) {
        POOL_COUNT(pool, writes);
    }
    return pool_sign(pool, op, err);
}
