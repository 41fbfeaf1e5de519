/* s3_writer.c - bodies on their way: spooled while the front door hashes, sent when they are whole.
 *
 * S3 wants the length and the digest before the body, and a retry wants the body again. So nothing is sent before commit,
 * and close without commit has nothing to undo.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/must.h"

#include <stdlib.h>

struct s3_writer {
    struct writer writer;
    struct s3_pool *s3;
    struct spool *spool;
    struct meta meta;
    const struct condition *condition;
    const struct fence *fence;
    char name[S3_NAME_BYTES];
};

static enum err read_spool(void *context, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                           size_t *ret_count) {
    return spool_read(context, op, offset, ret_bytes, cap, ret_count);
}

static enum err read_blob(void *context, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                          size_t *ret_count) {
    (void)op;
    const struct blob *blob = context;
    size_t left = blob->size - (size_t)offset;
    *ret_count = cap < left ? cap : left;
    memcpy(ret_bytes, blob->data + offset, *ret_count);
    return OK;
}

static enum err too_long(struct op *op, const struct s3_pool *s3) {
    return op_fail(op, REASON_ID_TOO_LONG_FOR_POOL, "the id takes more than %zu bytes when percent-encoded",
                   s3->pool.capabilities.max_key_bytes);
}

static enum err s3_writer_write(struct writer *writer, struct op *op, const void *bytes, size_t count) {
    struct s3_writer *s3_writer = CONTAINER_OF(writer, struct s3_writer, writer);
    return spool_write(s3_writer->spool, op, bytes, count);
}

static enum err s3_writer_commit(struct writer *writer, struct op *op, uint64_t size_bytes,
                                 const uint8_t sha256[SHA256_BYTES], struct commit_result *ret_result) {
    struct s3_writer *s3_writer = CONTAINER_OF(writer, struct s3_writer, writer);
    MUST(spool_size_bytes(s3_writer->spool) == size_bytes);
    struct s3_upload upload = {
        .name = s3_writer->name,
        .meta = s3_writer->meta,
        .body = {.size_bytes = size_bytes, .read = read_spool, .context = s3_writer->spool},
        .condition = s3_writer->condition,
        .fence = s3_writer->fence,
    };
    upload.meta.size_bytes = size_bytes;
    upload.meta.has_sha256 = true;
    memcpy(upload.meta.sha256, sha256, SHA256_BYTES);
    return s3_commit(s3_writer->s3, op, &upload, ret_result);
}

static void s3_writer_close(struct writer *writer) {
    struct s3_writer *s3_writer = CONTAINER_OF(writer, struct s3_writer, writer);
    spool_close(s3_writer->spool);
    meta_fini(&s3_writer->meta);
    free(s3_writer);
}

static const struct writer_ops s3_writer_ops = {
    .write = s3_writer_write, .commit = s3_writer_commit, .close = s3_writer_close};

enum err s3_open_writer(struct pool *pool, struct op *op, const struct id *id,
                        const struct write_options *options, struct writer **ret_writer) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    struct s3_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return op_no_memory(op);
    }
    enum err err = s3_key_from_id(s3->prefix, id, writer->name) ? OK : too_long(op, s3);
    err = err == OK ? s3_meta_check(op, &options->meta) : err; /* before the body comes */
    err = err == OK ? spool_open(op, s3->spool_dir, S3_SPOOL_RAM_BYTES, &writer->spool) : err;
    if (err != OK) {
        free(writer);
        return err;
    }
    writer->writer.ops = &s3_writer_ops;
    writer->s3 = s3;
    writer->condition = options->condition;
    writer->fence = options->fence;
    meta_copy(&writer->meta, &options->meta);
    if (writer->meta.created_ms == 0) {
        writer->meta.created_ms = s3->clock();
    }
    *ret_writer = &writer->writer;
    return OK;
}

enum err s3_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                      const struct condition *condition, const struct fence *fence,
                      struct commit_result *ret_result) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    char name[S3_NAME_BYTES];
    if (!s3_key_from_id(s3->prefix, id, name)) {
        return too_long(op, s3);
    }
    struct s3_upload upload = {
        .name = name,
        .meta = entry->meta,
        .body = {.size_bytes = entry->body->size, .read = read_blob, .context = entry->body},
        .condition = condition,
        .fence = fence,
    };
    return s3_commit(s3, op, &upload, ret_result);
}
