/* commit.h - group commit: callers queue requests, one thread carries them out in batches, one flush for all.
 *
 * Who comes while a batch is carried out joins it (commit_take_more), who comes while it is being written is in the next one. So
 * the cost of the flush is shared by however many callers there are, and nobody waits for a timer. The module knows threads and queues
 * only; what a batch does is the owner's (commit_ops), and so is all of the library: every call that changes the file happens on this
 * one thread.
 *
 * Life of a request (in its caller's frame)
 *   1 QUEUED   the caller waits; past its deadline, or cancelled, it takes the request back
 *   2 TAKEN    part of a batch: from here the outcome is awaited whatever the deadline says
 *   3 DONE     result and outputs are set, the batch is flushed where its owner promises that, the caller is woken
 *
 * Locks: one mutex (RANK_KIND) around the queue, not held while a batch runs.
 */
#ifndef POOLS_HDF5_COMMIT_H
#define POOLS_HDF5_COMMIT_H

#include "pools/base/mutex.h"
#include "pools/base/op.h"

#include <semaphore.h>
#include <stdbool.h>
#include <sys/queue.h>

#define COMMIT_NO_WORK UINT64_MAX

enum request_state { REQUEST_QUEUED, REQUEST_TAKEN, REQUEST_DONE };

/* The part every request begins with. */
struct request {
    STAILQ_ENTRY(request) in_batch;
    sem_t done;    /* posted with state 3 */
    struct op *op; /* the caller's; the thread's from TAKEN to DONE */
    enum request_state state;
    bool urgent; /* only looks: may be served in the middle of long background work */
    enum err result;
};
STAILQ_HEAD(request_batch, request);

struct commit_ops {
    /* First on the thread: may take long and call commit_serve_urgent now and then. */
    void (*begin)(void *context);
    /* Sets every request's result. The batch may be empty: then somebody poked. */
    void (*run_batch)(void *context, struct request_batch *batch);
    /* After each batch, its callers are awake: a short piece of work that must go on under any traffic. */
    void (*run_between)(void *context);
    /* The same as run_batch, for urgent requests only, from within one of the other functions. */
    void (*run_urgent)(void *context, struct request_batch *batch);
    /* A slice of background work while nobody waits. Returns in how many ns it wants to be called again unless a request comes
     * first: 0 = at once, COMMIT_NO_WORK = there is none left. */
    uint64_t (*run_idle)(void *context);
    /* Last on the thread. */
    void (*end)(void *context);
};

struct commit {
    struct mutex mutex;
    struct cond work;
    struct request_batch queue;
    bool poked;
    bool stopping;
    bool started;
    const struct commit_ops *ops;
    void *context;
    pthread_t thread;
};

void commit_init(struct commit *commit, const struct commit_ops *ops, void *context);
enum err commit_start(struct commit *commit, struct op *op) MUST_USE;
/* Carries out what is queued, ends the thread. Nobody may submit any more. Legal when it never started. */
void commit_stop(struct commit *commit);
void commit_fini(struct commit *commit);

/* Queues and waits. Returns the request's result, or ERR_TIMEOUT / ERR_CANCELLED when it was still queued. */
enum err commit_submit(struct commit *commit, struct op *op, struct request *request) MUST_USE;
/* There is something to do that is no request (an empty batch will run). Any thread; never blocks for long. */
void commit_poke(struct commit *commit);
/* The thread, within run_batch: what was queued meanwhile joins the batch. As a caller waits for its answer, a batch ends when all callers
 * are in it. */
void commit_take_more(struct commit *commit, struct request_batch *batch);
/* The thread, within begin or run_batch: carries out the urgent requests that wait. */
void commit_serve_urgent(struct commit *commit);
bool commit_is_stopping(struct commit *commit);

#endif
