/* memory_writer.c - gathers a body into a blob, then publishes it as an entry.
 *
 * A body of known size gets its blob at once; one of unknown size grows by doubling and is cut to size at the end. Nobody
 * else sees anything before commit. What all writers of a pool hold together is bounded by the pool's own max_bytes, so a
 * pool never takes more than twice that.
 *
 * States: 1 GATHERING until commit; 2 COMMITTED or failed, only close is left.
 */
#include "pools/memory/memory_instance.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_GROWTH_BYTES 4096u

struct memory_writer {
    struct writer writer;
    struct memory_pool *memory;
    struct meta meta;
    const struct condition *condition; /* borrowed */
    const struct fence *fence;         /* borrowed; not NULL = a fill */
    struct blob *body;                 /* with room to grow; nobody else's before commit */
    size_t filled;
    struct id id; /* over id_text */
    char id_text[];
};

enum err memory_check_fill_size(const struct memory_pool *memory, struct op *op, uint64_t bytes) {
    if (bytes > memory->max_fill_bytes) {
        return op_fail(op, REASON_TOO_LARGE, "the copy is larger than max_fill_bytes");
    }
    return OK;
}

static enum err check_size(const struct memory_writer *self, struct op *op, uint64_t bytes) {
    if (bytes > self->memory->max_bytes) {
        return op_fail(op, REASON_TOO_LARGE, "the entry is larger than the whole pool may be");
    }
    return self->fence ? memory_check_fill_size(self->memory, op, bytes) : OK;
}

/* Counts bytes on their way in, or refuses them. */
static enum err take_incoming(struct memory_writer *self, struct op *op, size_t count) {
    uint64_t before = atomic_fetch_add(&self->memory->incoming_bytes, count);
    if (before + count > self->memory->max_bytes) {
        atomic_fetch_sub(&self->memory->incoming_bytes, count);
        return op_fail(op, REASON_BUSY, "too many large bodies are being written to the pool at once");
    }
    return OK;
}

/* Moves the body into a blob of `capacity` bytes. */
static enum err resize_body(struct memory_writer *self, struct op *op, size_t capacity) {
    struct blob *body = blob_new(capacity);
    if (!body) {
        return op_no_memory(op);
    }
    if (self->body) {
        memcpy(body->data, self->body->data, self->filled);
    }
    blob_unref(self->body);
    self->body = body;
    return OK;
}

static enum err memory_writer_write(struct writer *writer, struct op *op, const void *bytes, size_t count) {
    struct memory_writer *self = CONTAINER_OF(writer, struct memory_writer, writer);
    enum err err = check_size(self, op, (uint64_t)self->filled + count);
    if (err == OK && count > self->body->size - self->filled) {
        size_t doubled = self->body->size * 2;
        size_t needed = self->filled + count;
        err = resize_body(self, op, doubled > needed ? doubled : needed);
    }
    if (err == OK) {
        err = take_incoming(self, op, count);
    }
    if (err == OK && count > 0) {
        memcpy(self->body->data + self->filled, bytes, count);
        self->filled += count;
    }
    return err;
}

static enum err memory_writer_commit(struct writer *writer, struct op *op, uint64_t size_bytes,
                                     const uint8_t sha256[SHA256_BYTES], struct commit_result *ret_result) {
    struct memory_writer *self = CONTAINER_OF(writer, struct memory_writer, writer);
    MUST(size_bytes == self->filled);
    if (self->body->size != self->filled) {
        enum err err = resize_body(self, op, self->filled);
        if (err != OK) {
            return err;
        }
    }
    self->meta.stored_ms = clock_wall_ms();
    if (self->meta.created_ms == 0) {
        self->meta.created_ms = self->meta.stored_ms;
    }
    self->meta.has_sha256 = true;
    memcpy(self->meta.sha256, sha256, SHA256_BYTES);
    AUTO(entry_unref) struct entry *entry = entry_new(&self->meta, self->body);
    if (!entry) {
        return op_no_memory(op);
    }
    bool created = false;
    enum err err =
        memory_store_put(&self->memory->store, op, &self->id, entry, self->condition, self->fence, &created);
    if (err == OK) {
        meta_copy(&ret_result->meta, &entry->meta);
        ret_result->created = created;
    }
    return err;
}

static void memory_writer_close(struct writer *writer) {
    struct memory_writer *self = CONTAINER_OF(writer, struct memory_writer, writer);
    atomic_fetch_sub(&self->memory->incoming_bytes, self->filled);
    meta_fini(&self->meta);
    blob_unref(self->body);
    free(self);
}

static const struct writer_ops writer_ops = {
    .write = memory_writer_write, .commit = memory_writer_commit, .close = memory_writer_close};

enum err memory_writer_open(struct memory_pool *memory, struct op *op, const struct id *id,
                            const struct write_options *options, struct writer **ret_writer) {
    struct memory_writer *self = calloc(1, sizeof *self + id->bytes + 1);
    if (!self) {
        return op_no_memory(op);
    }
    self->writer.ops = &writer_ops;
    self->memory = memory;
    self->condition = options->condition;
    self->fence = options->fence;
    meta_copy(&self->meta, &options->meta);
    memcpy(self->id_text, id->text, id->bytes);
    self->id = (struct id){.text = self->id_text, .bytes = id->bytes, .hash = id->hash};
    bool is_known = options->meta.size_bytes != SIZE_UNKNOWN;
    enum err err = is_known ? check_size(self, op, options->meta.size_bytes) : OK;
    if (err == OK) {
        err = resize_body(self, op, is_known ? (size_t)options->meta.size_bytes : FIRST_GROWTH_BYTES);
    }
    if (err != OK) {
        memory_writer_close(&self->writer);
        return err;
    }
    *ret_writer = &self->writer;
    return OK;
}
