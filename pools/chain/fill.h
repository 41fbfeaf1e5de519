/* fill.h - one copy of one stream into one pool.
 *
 * Life
 *   1 OFFERED  fill_init: knows its pool, id and fence; nothing has been asked of the pool.
 *   2 OPEN     fill_open got a writer; the pool is willing. (Bodies that will be an entry skip this state.)
 *   3 COPYING  fill_start: follows the stream piece by piece on its pool's lane; no thread waits for the next piece.
 *   4 ENDED    committed, refused or given up; `ended` is called once. Its owner lowers the fence.
 *
 * A fill commits only what the stream has completed and verified, as a *cached* copy, and only while its fence holds. Whatever goes
 * wrong is counted and logged and is nobody else's failure (design.md section 2): "the pool will not take it" at debug level,
 * everything else as a warning.
 * Local pools see to fence and commit in one step. For a pool that others write too, the copy is create-only where
 * the backend can; where it cannot, the pool is asked first (stat, then put).
 *
 * A fill that `replaces` may not leave the old copy behind: when the new one is not taken after all, the old one is removed. The pool is
 * asked to remove a *cached* copy, judged in the same step, so an entry of its own that came meanwhile stays. A removal that fails is
 * a warning and no failed fill.
 *
 * Threads: fill_open by one thread before fill_start; afterwards its strand alone. See strand.h.
 */
#ifndef POOLS_CHAIN_FILL_H
#define POOLS_CHAIN_FILL_H

#include "pools/chain/strand.h"
#include "pools/chain/stream.h"

struct fill;

struct fill_owner_ops {
    /* Asked before the commit: false = something below the pool changed, give up. */
    bool (*still_wanted)(struct fill *fill);
    void (*ended)(struct fill *fill); /* once, as the fill's last act */
    void (*hold)(struct fill *fill);
    void (*let_go)(struct fill *fill);
};

struct fill {
    struct strand strand;
    const struct fill_owner_ops *owner;
    struct pool *pool; /* borrowed, as id and fence: the owner outlives the fill */
    const struct id *id;
    struct fence *fence;
    struct op op;
    struct condition condition;
    struct stream *stream; /* a reference from fill_start on */
    struct stream_listener listener;
    struct stream_fence stream_fence; /* local pools: SETTLING before the end shows */
    struct pool_writer *writer;
    uint64_t offset;
    bool refused;              /* fill_open: the pool does not want it; already counted */
    bool replaces;             /* the pool has a cached copy that is outdated: it goes in any case */
    char outdated[ETAG_BYTES]; /* its entity tag, "" = not known */
    bool drops;                /* and nothing comes in its place */
};

/* The lane of whatever touches this pool: a look, a producer, a copy. */
enum lane fill_lane(const struct pool *pool);
/* And its share of that lane: what is behind a network may hang, and must not hold all of it. */
const void *fill_share(const struct pool *pool);
void fill_init(struct fill *fill, struct executor *executor, const struct fill_owner_ops *owner,
               struct pool *pool, const struct id *id, struct fence *fence);
/* Asks the pool for a writer; false = it will not take the body. May block. Not needed before fill_start. */
bool fill_open(struct fill *fill, const struct meta *meta);
/* Binds it to the stream (takes a reference) and, for a local pool, ties its fence to the stream's end. Never blocks. */
void fill_bind(struct fill *fill, struct stream *stream);
/* Instead of fill_bind, when nothing is to take the outdated copy's place: fill_start removes it. Never blocks. */
void fill_bind_drop(struct fill *fill);
/* After fill_bind: copies what is there now and goes on as the stream grows. Called on a fetch lane: a complete body goes into a
 * local pool before this returns. */
void fill_start(struct fill *fill);
/* For any thread: gives up at the next piece. */
void fill_cancel(struct fill *fill);

#endif
