/* executor.h - worker lanes: bounded sets of threads with a queue each.
 *
 * LANE_LOCAL   request work on local storage; never waits for a network or for a fetch.
 * LANE_REMOTE  request work on pools that are behind a network.
 * LANE_FETCH   flights and fills on local storage; never waits for a network.
 * LANE_FETCH_REMOTE  the same on pools behind a network, a thread for the length of each body: slow downloads keep
 *              each other waiting, nothing local.
 * A fetch never waits for another fetch nor for a request lane.
 *
 * A task may name whom it works for (`share`). Those of one share run on half of the lane's threads at most, so that a store that
 * hangs leaves the other half to the others; what is too many waits in the queue, without a thread, and is overtaken.
 *
 * Threads start on demand up to the lane's limit and end when idle. A task is embedded in its owner's
 * object, is queued at most once at a time, and runs once per submit. The queue is not bounded by
 * itself: the number of exchanges and flights bounds it.
 */
#ifndef POOLS_BASE_EXECUTOR_H
#define POOLS_BASE_EXECUTOR_H

#include "pools/base/attrs.h"

#include <stdbool.h>

enum lane { LANE_LOCAL, LANE_REMOTE, LANE_FETCH, LANE_FETCH_REMOTE, LANE_COUNT };

struct task;
typedef void task_fn(struct task *task);

struct task {
    struct task *next; /* the executor's */
    task_fn *run;
    /* only compared, never followed; NULL = nobody's. Fixed while the task is queued or runs */
    const void *share;
};

struct executor;

/* most_threads[lane] >= 1. NULL when out of memory. */
struct executor *executor_new(const unsigned most_threads[LANE_COUNT]);
/* Queues the task. The task must not be queued already; it may be submitted again from its own run. Never blocks, never fails:
 * a lane always keeps one thread. */
void executor_submit(struct executor *executor, enum lane lane, struct task *task);
/* Waits until every queued task has run, then ends all threads. Nothing may be submitted from outside meanwhile. */
void executor_free(struct executor *executor);
DEFINE_AUTO(struct executor, executor_free)

#endif
