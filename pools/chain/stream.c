/* stream.c - one growing body. See stream.h for its states.
 *
 * Where the bytes are: a body whose length is known and at most entry_most_bytes grows in one blob that becomes the entry's;
 * any other in a spool (memory up to flight_max_bytes, then an unlinked file). Bytes below size_now never
 * change, so readers copy them without the lock; size_now, state, meta and the lists are read and written under it.
 *
 * When the spool's budget is exhausted the stream FAILS with NO_SPACE, like a source that broke off: readers are cut, no copy is
 * left. Slowing the source to its slowest reader instead would let one client stop all others.
 */
#include "pools/chain/stream.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)256 * 1024)

enum stream_state { STREAM_GROWING, STREAM_COMPLETE, STREAM_FAILED };

struct stream {
    atomic_uint refs;
    struct stream_limits limits;
    struct task producer;
    struct op op; /* the producer's; no client's deadline */
    struct reader *reader;
    struct digest *digest;
    /* One of the two holds the body. */
    struct blob *blob;
    struct spool *spool;

    struct mutex mutex;
    enum stream_state state;
    uint64_t size_now;
    struct meta meta;
    struct fault fault;  /* state 3 */
    struct entry *entry; /* state 2, when the body is small enough */
    struct stream_listener *listeners;
    struct stream_fence *fences;
};

struct stream *stream_ref(struct stream *stream) {
    unsigned before = atomic_fetch_add_explicit(&stream->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    return stream;
}

void stream_unref(struct stream *stream) {
    if (!stream) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&stream->refs, 1, memory_order_acq_rel);
    MUST(before > 0);
    if (before > 1) {
        return;
    }
    MUST(!stream->listeners && !stream->fences);
    reader_close(stream->reader);
    digest_free(stream->digest);
    entry_unref(stream->entry);
    blob_unref(stream->blob);
    spool_close(stream->spool);
    meta_fini(&stream->meta);
    mutex_fini(&stream->mutex);
    free(stream);
}

unsigned stream_refs(struct stream *stream) {
    return atomic_load(&stream->refs);
}

void stream_cancel(struct stream *stream) {
    atomic_store(&stream->op.cancelled, true);
}

/* ---- the producer ---- */

static void wake_listeners_locked(struct stream *stream) {
    for (struct stream_listener *listener = stream->listeners; listener; listener = listener->next) {
        waker_wake(listener->waker);
    }
}

static void grow(struct stream *stream, size_t count) {
    mutex_lock(&stream->mutex);
    stream->size_now += count;
    wake_listeners_locked(stream);
    mutex_unlock(&stream->mutex);
}

static enum err promise_broken(struct stream *stream, const char *what) {
    return op_fail(&stream->op, REASON_BAD_ANSWER, "the body %s", what);
}

/* The next piece of a body that grows in a blob goes straight to its place. */
static enum err take_into_blob(struct stream *stream, size_t *ret_count) {
    size_t at = (size_t)stream->size_now;
    size_t left = stream->blob->size - at;
    if (!left) {
        uint8_t beyond;
        enum err err = reader_read(stream->reader, &stream->op, &beyond, 1, ret_count);
        return err || !*ret_count ? err : promise_broken(stream, "is longer than its length says");
    }
    size_t cap = left < PIECE_BYTES ? left : PIECE_BYTES;
    enum err err = reader_read(stream->reader, &stream->op, stream->blob->data + at, cap, ret_count);
    if (!err) {
        digest_update(stream->digest, stream->blob->data + at, *ret_count);
    }
    return err;
}

static enum err take_into_spool(struct stream *stream, void *piece, size_t *ret_count) {
    enum err err = reader_read(stream->reader, &stream->op, piece, PIECE_BYTES, ret_count);
    if (err || !*ret_count) {
        return err;
    }
    if (stream->meta.size_bytes != SIZE_UNKNOWN && stream->size_now + *ret_count > stream->meta.size_bytes) {
        return promise_broken(stream, "is longer than its length says");
    }
    digest_update(stream->digest, piece, *ret_count);
    return spool_write(stream->spool, &stream->op, piece, *ret_count);
}

/* A body of unknown length that turned out small. */
static enum err blob_from_spool(struct stream *stream, struct blob **ret_blob) {
    *ret_blob = NULL;
    if (stream->size_now > stream->limits.entry_most_bytes) {
        return OK;
    }
    AUTO(blob_unref) struct blob *blob = blob_new((size_t)stream->size_now);
    if (!blob) {
        return op_no_memory(&stream->op);
    }
    size_t at = 0;
    while (at < blob->size) {
        size_t count = 0;
        enum err err = spool_read(stream->spool, &stream->op, at, blob->data + at, blob->size - at, &count);
        if (err) {
            return err;
        }
        MUST(count > 0);
        at += count;
    }
    *ret_blob = STEAL(blob);
    return OK;
}

static enum err verify(struct stream *stream, struct meta *meta) {
    if (meta->size_bytes != SIZE_UNKNOWN && meta->size_bytes != stream->size_now) {
        return promise_broken(stream, "ended before its length");
    }
    uint8_t sha256[SHA256_BYTES];
    digest_final(stream->digest, sha256);
    if (meta->has_sha256 && memcmp(meta->sha256, sha256, SHA256_BYTES) != 0) {
        return op_fail(&stream->op, REASON_CORRUPT, "the body does not match the digest stored with it");
    }
    meta->size_bytes = stream->size_now;
    meta->has_sha256 = true;
    memcpy(meta->sha256, sha256, SHA256_BYTES);
    return OK;
}

static enum err finish_entry(struct stream *stream, const struct meta *meta, struct entry **ret_entry) {
    AUTO(blob_unref) struct blob *blob = NULL;
    enum err err = OK;
    if (stream->blob) {
        blob = blob_ref(stream->blob);
    } else {
        err = blob_from_spool(stream, &blob);
    }
    if (err || !blob) {
        return err;
    }
    *ret_entry = entry_new(meta, blob);
    return *ret_entry ? OK : op_no_memory(&stream->op);
}

static void end(struct stream *stream, enum err err) {
    struct entry *entry = NULL;
    struct meta meta = stream->meta; /* only the producer changes it; the extension's reference stays */
    if (!err) {
        err = verify(stream, &meta);
    }
    if (!err) {
        err = finish_entry(stream, &meta, &entry);
    }
    mutex_lock(&stream->mutex);
    if (err) {
        stream->fault = stream->op.fault;
        stream->state = STREAM_FAILED;
    } else {
        for (struct stream_fence *fence = stream->fences; fence; fence = fence->next) {
            fence_settling(fence->table, fence->fence);
        }
        stream->meta = meta;
        stream->entry = entry;
        stream->state = STREAM_COMPLETE;
    }
    wake_listeners_locked(stream);
    mutex_unlock(&stream->mutex);
}

static void produce(struct task *task) {
    struct stream *stream = CONTAINER_OF(task, struct stream, producer);
    void *piece = stream->spool ? malloc(PIECE_BYTES) : NULL;
    enum err err = stream->spool && !piece ? op_no_memory(&stream->op) : OK;
    size_t count = 1;
    while (!err && count) {
        op_step(&stream->op, stream->limits.step_timeout_ns);
        err = stream->blob ? take_into_blob(stream, &count) : take_into_spool(stream, piece, &count);
        if (!err && count) {
            grow(stream, count);
        }
    }
    free(piece);
    /* Before the end shows: whoever sees it may let go of the pool that the reader belongs to. */
    reader_close(stream->reader);
    stream->reader = NULL;
    end(stream, err);
    stream_unref(stream);
}

enum err stream_open(struct op *op, struct executor *executor, enum lane lane, const void *share,
                     struct spool_dir *spool_dir, const struct stream_limits *limits,
                     struct reader *take_reader, struct stream **ret_stream) {
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        reader_close(take_reader);
        return op_no_memory(op);
    }
    atomic_init(&stream->refs, 1);
    mutex_init(&stream->mutex, RANK_STREAM);
    op_init(&stream->op, op->request_id, 0);
    stream->limits = *limits;
    stream->reader = take_reader;
    meta_copy(&stream->meta, &take_reader->meta);
    uint64_t size = stream->meta.size_bytes;
    enum err err = OK;
    if (size <= limits->entry_most_bytes) {
        stream->blob = blob_new((size_t)size);
        err = stream->blob ? OK : op_no_memory(op);
    } else {
        size_t ram_bytes = limits->flight_max_bytes < SIZE_MAX ? (size_t)limits->flight_max_bytes : SIZE_MAX;
        err = spool_open(op, spool_dir, ram_bytes, &stream->spool);
    }
    stream->digest = digest_new();
    if (!err && !stream->digest) {
        err = op_no_memory(op);
    }
    if (err) {
        stream_unref(stream);
        return err;
    }
    stream->producer = (struct task){.run = produce, .share = share};
    *ret_stream = stream_ref(stream); /* the other reference is the producer's */
    if (executor) {
        executor_submit(executor, lane, &stream->producer);
    } else {
        produce(&stream->producer);
    }
    return OK;
}

/* ---- readers ---- */

void stream_meta(struct stream *stream, struct meta *ret_meta) {
    mutex_lock(&stream->mutex);
    meta_copy(ret_meta, &stream->meta);
    mutex_unlock(&stream->mutex);
}

enum err stream_ready(struct stream *stream, struct op *op) {
    mutex_lock(&stream->mutex);
    enum err err = ERR_AGAIN;
    if (stream->state == STREAM_FAILED) {
        err = op_adopt(op, &stream->fault);
    } else if (stream->state == STREAM_COMPLETE) {
        err = OK;
    } else if (!stream->blob) {
        bool is_large =
            stream->meta.size_bytes != SIZE_UNKNOWN || stream->size_now > stream->limits.entry_most_bytes;
        err = is_large ? OK : ERR_AGAIN;
    }
    mutex_unlock(&stream->mutex);
    return err;
}

bool stream_ended(struct stream *stream) {
    mutex_lock(&stream->mutex);
    bool ended = stream->state != STREAM_GROWING;
    mutex_unlock(&stream->mutex);
    return ended;
}

bool stream_failed(struct stream *stream) {
    mutex_lock(&stream->mutex);
    bool failed = stream->state == STREAM_FAILED;
    mutex_unlock(&stream->mutex);
    return failed;
}

struct entry *stream_entry(struct stream *stream) {
    mutex_lock(&stream->mutex);
    struct entry *entry = stream->entry ? entry_ref(stream->entry) : NULL;
    mutex_unlock(&stream->mutex);
    return entry;
}

enum err stream_read(struct stream *stream, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                     size_t *ret_count) {
    mutex_lock(&stream->mutex);
    uint64_t size_now = stream->size_now;
    enum stream_state state = stream->state;
    if (state == STREAM_FAILED) {
        enum err err = op_adopt(op, &stream->fault);
        mutex_unlock(&stream->mutex);
        return err;
    }
    if (state == STREAM_GROWING && size_now && size_now == stream->meta.size_bytes) {
        /* Whoever has the last byte has the answer: not before it is verified and the copies are settling. */
        size_now--;
    }
    mutex_unlock(&stream->mutex);
    MUST(offset <= size_now || state == STREAM_GROWING);
    uint64_t left = offset < size_now ? size_now - offset : 0; /* the reader of a part may be ahead */
    if (!left) {
        *ret_count = 0;
        return state == STREAM_COMPLETE ? OK : ERR_AGAIN;
    }
    size_t count = left < cap ? (size_t)left : cap;
    if (stream->blob) {
        memcpy(ret_bytes, stream->blob->data + offset, count);
        *ret_count = count;
        return OK;
    }
    return spool_read(stream->spool, op, offset, ret_bytes, count, ret_count);
}

/* ---- lists ---- */

void stream_listen(struct stream *stream, struct stream_listener *listener) {
    mutex_lock(&stream->mutex);
    listener->next = stream->listeners;
    stream->listeners = listener;
    mutex_unlock(&stream->mutex);
}

void stream_unlisten(struct stream *stream, struct stream_listener *listener) {
    mutex_lock(&stream->mutex);
    struct stream_listener **at = &stream->listeners;
    while (*at && *at != listener) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = listener->next;
    }
    mutex_unlock(&stream->mutex);
}

void stream_attach_fence(struct stream *stream, struct stream_fence *fence) {
    mutex_lock(&stream->mutex);
    if (stream->state == STREAM_COMPLETE) {
        fence_settling(fence->table, fence->fence);
    }
    fence->next = stream->fences;
    stream->fences = fence;
    mutex_unlock(&stream->mutex);
}

void stream_detach_fence(struct stream *stream, struct stream_fence *fence) {
    mutex_lock(&stream->mutex);
    struct stream_fence **at = &stream->fences;
    while (*at && *at != fence) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = fence->next;
    }
    mutex_unlock(&stream->mutex);
}
