/* fill.c - see fill.h. */
#include "pools/chain/fill.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)256 * 1024)

static void step(struct strand *strand);

static void hold(struct strand *strand) {
    struct fill *fill = CONTAINER_OF(strand, struct fill, strand);
    fill->owner->hold(fill);
}

static void let_go(struct strand *strand) {
    struct fill *fill = CONTAINER_OF(strand, struct fill, strand);
    fill->owner->let_go(fill);
}

static const struct strand_ops strand_ops = {.step = step, .hold = hold, .let_go = let_go};

enum lane fill_lane(const struct pool *pool) {
    return pool->capabilities.remote ? LANE_FETCH_REMOTE : LANE_FETCH;
}

const void *fill_share(const struct pool *pool) {
    return pool->capabilities.remote ? pool : NULL;
}

void fill_init(struct fill *fill, struct executor *executor, const struct fill_owner_ops *owner,
               struct pool *pool, const struct id *id, struct fence *fence) {
    *fill = (struct fill){.owner = owner, .pool = pool, .id = id, .fence = fence};
    strand_init(&fill->strand, executor, fill_lane(pool), fill_share(pool), &strand_ops);
    op_init(&fill->op, 0, 0);
}

void fill_cancel(struct fill *fill) {
    atomic_store(&fill->op.cancelled, true);
}

/* Whether later operations on the pool must see the copy once a reader has seen the body's end. */
static bool settles(const struct fill *fill) {
    return !fill->pool->capabilities.remote;
}

/* ---- what the pool is told ---- */

static void copied_meta(const struct meta *from, struct meta *ret_meta) {
    meta_copy(ret_meta, from);
    ret_meta->hold = HOLD_CACHED;
    ret_meta->stored_ms = clock_wall_ms();
}

/* A pool that others write too may have got the entry from them since we looked. */
static enum err ask_shared_pool(struct fill *fill) {
    const struct pool_capabilities *can = &fill->pool->capabilities;
    if (can->fill_fence || !can->remote) {
        return OK;
    }
    if (can->create_only && !fill->replaces) {
        fill->condition.kind = CONDITION_ABSENT;
        return OK;
    }
    struct meta meta;
    enum err err = pool_stat(fill->pool, &fill->op, fill->id, &meta);
    if (!err) {
        bool gives_way = fill->replaces && meta.hold == HOLD_CACHED;
        meta_fini(&meta);
        return gives_way ? OK : ERR_SUPERSEDED;
    }
    return err == ERR_NOT_FOUND ? OK : err;
}

static const struct condition *condition_of(const struct fill *fill) {
    return fill->condition.kind == CONDITION_NONE ? NULL : &fill->condition;
}

static enum err open_writer(struct fill *fill, const struct meta *meta) {
    enum err err = ask_shared_pool(fill);
    if (err) {
        return err;
    }
    struct write_options options = {.condition = condition_of(fill), .fence = fill->fence};
    copied_meta(meta, &options.meta);
    err = pool_open_writer(fill->pool, &fill->op, fill->id, &options, &fill->writer);
    meta_fini(&options.meta);
    return err;
}

/* Before the last look at the fence: whoever breaks it afterwards finds it settling, and waits. */
static enum err may_commit(struct fill *fill) {
    if (!settles(fill)) {
        fence_settling(&fill->pool->fences, fill->fence);
    }
    return fence_holds(fill->fence) && fill->owner->still_wanted(fill) ? OK : ERR_SUPERSEDED;
}

/* ---- copying ---- */

static enum err put_entry(struct fill *fill, const struct entry *whole) {
    enum err err = ask_shared_pool(fill);
    if (err) {
        return err;
    }
    struct meta meta;
    copied_meta(&whole->meta, &meta);
    AUTO(entry_unref) struct entry *copy = entry_new(&meta, whole->body);
    meta_fini(&meta);
    if (!copy) {
        return op_no_memory(&fill->op);
    }
    err = may_commit(fill);
    if (err) {
        return err;
    }
    struct commit_result result;
    err = pool_put_entry(fill->pool, &fill->op, fill->id, copy, condition_of(fill), fill->fence, &result);
    if (!err) {
        meta_fini(&result.meta);
    }
    return err;
}

static enum err commit(struct fill *fill) {
    enum err err = may_commit(fill);
    if (err) {
        return err;
    }
    struct commit_result result;
    err = pool_writer_commit(fill->writer, &fill->op, &result);
    if (!err) {
        meta_fini(&result.meta);
    }
    return err;
}

/* ERR_AGAIN: the stream has no more yet. */
static enum err follow(struct fill *fill) {
    if (!fill->writer) {
        struct meta meta;
        stream_meta(fill->stream, &meta);
        enum err err = open_writer(fill, &meta);
        meta_fini(&meta);
        if (err) {
            return err;
        }
    }
    void *piece = malloc(PIECE_BYTES);
    if (!piece) {
        return op_no_memory(&fill->op);
    }
    enum err err = OK;
    size_t count = 1;
    while (!err && count) {
        err = stream_read(fill->stream, &fill->op, fill->offset, piece, PIECE_BYTES, &count);
        if (!err && count) {
            err = pool_writer_write(fill->writer, &fill->op, piece, count);
            fill->offset += count;
        }
    }
    free(piece);
    return err ? err : commit(fill);
}

/* ---- the end ---- */

/* How a refusal is told from a failure: the pool is well, it only does not take this body. */
static bool is_refusal(enum err err) {
    return err == ERR_TOO_LARGE || err == ERR_NO_SPACE || err == ERR_CONFLICT || err == ERR_UNSUPPORTED ||
           err == ERR_INVALID;
}

/* Neither done, nor overtaken, nor given up because the service is ending. */
static bool is_failure(enum err err) {
    return err && err != ERR_SUPERSEDED && err != ERR_PRECONDITION && err != ERR_CANCELLED;
}

static void count_outcome(struct fill *fill, enum err err) {
    if (!is_failure(err)) {
        return;
    }
    if (fill->op.fault.reason == REASON_ID_TOO_LONG_FOR_POOL) {
        return; /* such a tier is a miss and gets no copy, by definition */
    }
    atomic_fetch_add_explicit(&fill->pool->stats.fill_failures, 1, memory_order_relaxed);
    log_line(is_refusal(err) ? LOG_DEBUG : LOG_WARNING, "fill", "no copy in '%s': %s: %s",
             fill->pool->nickname, err_word(err), fill->op.fault.detail);
}

static void finish(struct fill *fill) {
    pool_writer_close(STEAL(fill->writer));
    stream_unlisten(fill->stream, &fill->listener);
    if (settles(fill)) {
        stream_detach_fence(fill->stream, &fill->stream_fence);
    }
    stream_unref(STEAL(fill->stream));
    fill->owner->ended(fill);
}

/* Nothing newer is in the outdated copy's place: better no copy than that one. No copy was to be made, so none counts as failed. */
static void drop(struct fill *fill) {
    if (!settles(fill)) {
        fence_settling(&fill->pool->fences, fill->fence);
    }
    if (fence_is_overtaken(fill->fence) || (!fill->outdated[0] && !fence_holds(fill->fence))) {
        return; /* what is there now may be newer, and nothing would tell them apart: the tag may be the same again */
    }
    enum err err = pool_drop_copy(fill->pool, &fill->op, fill->id, fill->outdated);
    if (is_failure(err)) {
        log_line(LOG_WARNING, "fill", "the outdated copy in '%s' stays: %s: %s", fill->pool->nickname,
                 err_word(err), fill->op.fault.detail);
    }
}

/* Whether a copy that could not be made, or was overtaken by something in a tier below, leaves an outdated one behind. */
static bool must_drop(const struct fill *fill, enum err err) {
    return fill->replaces && err && err != ERR_CANCELLED;
}

static void step(struct strand *strand) {
    struct fill *fill = CONTAINER_OF(strand, struct fill, strand);
    if (fill->drops) {
        fill->drops = false; /* a wake may come while it ends */
        drop(fill);
        fill->owner->ended(fill);
        return;
    }
    if (!fill->stream) {
        return; /* a wake that came while it ended */
    }
    AUTO(entry_unref) struct entry *whole = fill->writer ? NULL : stream_entry(fill->stream);
    enum err err = op_check(&fill->op);
    if (!err) {
        err = whole ? put_entry(fill, whole) : follow(fill);
    }
    if (err == ERR_AGAIN) {
        return;
    }
    struct op unused;
    op_init(&unused, 0, 0);
    bool source_failed = stream_ready(fill->stream, &unused) != OK && err;
    count_outcome(fill, source_failed ? ERR_CANCELLED : err);
    if (!source_failed && must_drop(fill, err)) {
        pool_writer_close(STEAL(fill->writer));
        drop(fill);
    }
    finish(fill);
}

bool fill_open(struct fill *fill, const struct meta *meta) {
    enum err err = open_writer(fill, meta);
    if (err) {
        fill->refused = true;
        count_outcome(fill, err);
    }
    return !err;
}

void fill_bind(struct fill *fill, struct stream *stream) {
    fill->stream = stream_ref(stream);
    if (settles(fill)) {
        fill->stream_fence = (struct stream_fence){.table = &fill->pool->fences, .fence = fill->fence};
        stream_attach_fence(stream, &fill->stream_fence);
    }
}

void fill_bind_drop(struct fill *fill) {
    fill->drops = true;
    if (settles(fill)) {
        fence_settling(&fill->pool->fences, fill->fence);
    }
}

void fill_start(struct fill *fill) {
    if (fill->drops) {
        if (settles(fill)) {
            step(&fill->strand);
        } else {
            strand_wake(&fill->strand);
        }
        return;
    }
    if (settles(fill) && stream_ended(fill->stream)) {
        step(&fill->strand); /* operations may be waiting for it: no detour through a queue */
        return;
    }
    fill->listener = (struct stream_listener){.waker = strand_waker(&fill->strand)};
    stream_listen(fill->stream, &fill->listener);
    strand_wake(&fill->strand);
}
