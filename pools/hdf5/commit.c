/* commit.c - see commit.h. */
#include "pools/hdf5/commit.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

/* How soon a waiting caller notices that it was cancelled. */
#define CANCEL_LOOK_NS (100 * NS_PER_MS)

void commit_init(struct commit *commit, const struct commit_ops *ops, void *context) {
    *commit = (struct commit){.ops = ops, .context = context};
    mutex_init(&commit->mutex, RANK_KIND);
    cond_init(&commit->work);
    STAILQ_INIT(&commit->queue);
}

void commit_fini(struct commit *commit) {
    MUST(STAILQ_EMPTY(&commit->queue));
    cond_fini(&commit->work);
    mutex_fini(&commit->mutex);
}

/* Moves what waits (only the urgent ones, if so asked) into a batch. */
static void take_locked(struct commit *commit, bool urgent_only, struct request_batch *batch) {
    struct request_batch left = STAILQ_HEAD_INITIALIZER(left);
    struct request *request;
    while ((request = STAILQ_FIRST(&commit->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&commit->queue, in_batch);
        if (urgent_only && !request->urgent) {
            STAILQ_INSERT_TAIL(&left, request, in_batch);
        } else {
            request->state = REQUEST_TAKEN;
            STAILQ_INSERT_TAIL(batch, request, in_batch);
        }
    }
    STAILQ_CONCAT(&commit->queue, &left);
}

/* Each caller has a semaphore of its own: woken by a condition, all of a batch would queue for the one mutex. Once posted, a request may be
 * gone. */
static void finish(struct commit *commit, struct request_batch *batch) {
    struct request *request = NULL;
    mutex_lock(&commit->mutex);
    STAILQ_FOREACH(request, batch, in_batch) {
        request->state = REQUEST_DONE;
    }
    mutex_unlock(&commit->mutex);
    while ((request = STAILQ_FIRST(batch)) != NULL) {
        STAILQ_REMOVE_HEAD(batch, in_batch);
        MUST(sem_post(&request->done) == 0);
    }
}

/* One turn: a batch, a slice of background work, or a wait until that is due. False when it is time to end. */
static bool turn(struct commit *commit, uint64_t *idle_due_ns) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    mutex_lock(&commit->mutex);
    while (STAILQ_EMPTY(&commit->queue) && !commit->poked && !commit->stopping &&
           *idle_due_ns > clock_now_ns()) {
        cond_wait_until(&commit->work, &commit->mutex, *idle_due_ns == COMMIT_NO_WORK ? 0 : *idle_due_ns);
    }
    bool poked = commit->poked;
    bool stopping = commit->stopping;
    commit->poked = false;
    take_locked(commit, false, &batch);
    mutex_unlock(&commit->mutex);

    if (!STAILQ_EMPTY(&batch) || poked) {
        commit->ops->run_batch(commit->context, &batch);
        finish(commit, &batch);
        commit->ops->run_between(commit->context);
        *idle_due_ns = 0;
        return true;
    }
    if (stopping) {
        return false;
    }
    uint64_t wait_ns = commit->ops->run_idle(commit->context);
    *idle_due_ns = wait_ns == COMMIT_NO_WORK ? COMMIT_NO_WORK : clock_now_ns() + wait_ns;
    return true;
}

static void *run(void *context) {
    struct commit *commit = context;
    commit->ops->begin(commit->context);
    uint64_t idle_due_ns = 0;
    while (turn(commit, &idle_due_ns)) {
    }
    commit->ops->end(commit->context);
    return NULL;
}

enum err commit_start(struct commit *commit, struct op *op) {
    int failed = pthread_create(&commit->thread, NULL, run, commit);
    if (failed) {
        return op_fail_errno(op, failed, "starting a thread");
    }
    commit->started = true;
    return OK;
}

void commit_stop(struct commit *commit) {
    if (!commit->started) {
        return;
    }
    mutex_lock(&commit->mutex);
    commit->stopping = true;
    cond_signal(&commit->work);
    mutex_unlock(&commit->mutex);
    MUST(pthread_join(commit->thread, NULL) == 0);
    commit->started = false;
}

/* How long to wait before the next look; 0 = the request has been taken back. */
static uint64_t look(struct commit *commit, struct op *op, struct request *request) {
    uint64_t wait_ns = CANCEL_LOOK_NS;
    mutex_lock(&commit->mutex);
    if (request->state == REQUEST_QUEUED) {
        enum err err = op_check(op);
        wait_ns = err ? 0 : op_left_ns(op, CANCEL_LOOK_NS) + 1;
        if (err) {
            STAILQ_REMOVE(&commit->queue, request, request, in_batch);
            request->result = err;
        }
    }
    mutex_unlock(&commit->mutex);
    return wait_ns;
}

enum err commit_submit(struct commit *commit, struct op *op, struct request *request) {
    enum err err = op_check(op);
    if (err) {
        return err;
    }
    MUST(sem_init(&request->done, 0, 0) == 0);
    request->op = op;
    request->state = REQUEST_QUEUED;
    uint64_t wait_ns = op_left_ns(op, CANCEL_LOOK_NS) + 1; /* read before the thread has the op */
    mutex_lock(&commit->mutex);
    STAILQ_INSERT_TAIL(&commit->queue, request, in_batch);
    mutex_unlock(&commit->mutex);
    cond_signal(&commit->work);
    while (wait_ns && !mutex_await_post(&request->done, clock_now_ns() + wait_ns)) {
        wait_ns = look(commit, op, request);
    }
    MUST(sem_destroy(&request->done) == 0);
    return request->result;
}

void commit_poke(struct commit *commit) {
    mutex_lock(&commit->mutex);
    commit->poked = true;
    cond_signal(&commit->work);
    mutex_unlock(&commit->mutex);
}

void commit_take_more(struct commit *commit, struct request_batch *batch) {
    mutex_lock(&commit->mutex);
    take_locked(commit, false, batch);
    mutex_unlock(&commit->mutex);
}

void commit_serve_urgent(struct commit *commit) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    mutex_lock(&commit->mutex);
    take_locked(commit, true, &batch);
    mutex_unlock(&commit->mutex);
    if (!STAILQ_EMPTY(&batch)) {
        commit->ops->run_urgent(commit->context, &batch);
        finish(commit, &batch);
    }
}

bool commit_is_stopping(struct commit *commit) {
    mutex_lock(&commit->mutex);
    bool stopping = commit->stopping;
    mutex_unlock(&commit->mutex);
    return stopping;
}
