/* strand.h - a task that may be woken at any time, by anybody, and never runs twice at once.
 *
 * The executor wants a task queued at most once; wakers fire whenever they like. A strand stands between:
 *   1 IDLE     a wake queues it
 *   2 QUEUED   further wakes change nothing
 *   3 RUNNING  a wake leads to 4
 *   4 AGAIN    it will run once more when this run is over
 * While it is not idle it holds a reference to its owner (`hold` at 1 -> 2, `let_go` at -> 1), so an owner is
 * never freed under a running strand. The waker must only know the owner to be alive at the moment of the wake.
 *
 * Threads: any for strand_wake; the steps run on the strand's lane, one at a time.
 */
#ifndef POOLS_CHAIN_STRAND_H
#define POOLS_CHAIN_STRAND_H

#include "pools/base/executor.h"
#include "pools/base/waker.h"

#include <stdatomic.h>

struct strand;

struct strand_ops {
    void (*step)(struct strand *strand);   /* may block */
    void (*hold)(struct strand *strand);   /* must not lock */
    void (*let_go)(struct strand *strand); /* no lock is held; may free the strand */
};

struct strand {
    struct task task;
    atomic_uint state;
    struct executor *executor;
    enum lane lane;
    const struct strand_ops *ops;
};

/* share: executor.h. */
void strand_init(struct strand *strand, struct executor *executor, enum lane lane, const void *share,
                 const struct strand_ops *ops);
void strand_wake(struct strand *strand);
struct waker strand_waker(struct strand *strand);

#endif
