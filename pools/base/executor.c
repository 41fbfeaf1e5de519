/* executor.c - worker lanes. See executor.h.
 *
 * A lane is a queue, a mutex and a number of threads. A thread without work waits on a semaphore of its own. A submit hands the task to the
 * thread that has waited least, whose stack and caches are warm, and wakes that one alone, outside the lock: it runs the
 * task without taking the lock. A submit that finds no idle thread and room for one more starts it; a thread that found nothing to do
 * for LANE_IDLE_NS ends, except the last one.
 *
 * Invariant under the lock: while a thread is idle, no queued task may run. A lane counts how many of each share it runs; whoever
 * looks for work takes the first task whose share is not used up. A share that is used up has threads running, and the first of them to
 * end finds what waits: nobody else needs to be told of it. Threads are detached from the caller's point of view and counted:
 * executor_free waits for the count to reach zero.
 */
#include "pools/base/executor.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>

#define LANE_IDLE_NS (30 * NS_PER_S)

struct share_count {
    const void *share;
    unsigned running; /* > 0 */
};

/* A thread that waits, on its own stack. Whoever unlinks it wakes it. */
struct idler {
    struct idler *next;
    struct task *task; /* handed to it, its share begun; NULL = look for yourself */
    sem_t wake;
};

struct lane_state {
    struct mutex mutex;
    struct idler *idlers; /* the one that came last first */
    struct cond ended;    /* a thread ended */
    struct task *first;
    struct task *last;
    struct share_count *shares; /* those that run now; most_threads of them at most */
    unsigned share_count;
    unsigned share_most; /* threads of one share */
    unsigned most_threads;
    unsigned threads;
    bool stopping;
};

struct executor {
    struct lane_state lanes[LANE_COUNT];
};

/* ---- shares ---- */

static struct share_count *find_share(struct lane_state *lane, const void *share) {
    for (unsigned i = 0; i < lane->share_count; i++) {
        if (lane->shares[i].share == share) {
            return &lane->shares[i];
        }
    }
    return NULL;
}

static bool may_run(struct lane_state *lane, const void *share) {
    const struct share_count *count = share ? find_share(lane, share) : NULL;
    return !count || count->running < lane->share_most;
}

static void begin_share(struct lane_state *lane, const void *share) {
    struct share_count *count = share ? find_share(lane, share) : NULL;
    if (count) {
        count->running++;
    } else if (share) {
        MUST(lane->share_count < lane->most_threads);
        lane->shares[lane->share_count++] = (struct share_count){.share = share, .running = 1};
    }
}

static void end_share(struct lane_state *lane, const void *share) {
    struct share_count *count = share ? find_share(lane, share) : NULL;
    if (count && --count->running == 0) {
        *count = lane->shares[--lane->share_count];
    }
}

/* ---- the queue ---- */

static struct task *take_first(struct lane_state *lane) {
    struct task *before = NULL;
    struct task *task = lane->first;
    while (task && !may_run(lane, task->share)) {
        before = task;
        task = task->next;
    }
    if (task) {
        *(before ? &before->next : &lane->first) = task->next;
        if (!task->next) {
            lane->last = before;
        }
        task->next = NULL;
    }
    return task;
}

static bool unlink_idler(struct lane_state *lane, const struct idler *idler) {
    for (struct idler **place = &lane->idlers; *place; place = &(*place)->next) {
        if (*place == idler) {
            *place = idler->next;
            return true;
        }
    }
    return false;
}

/* Idle until there is a task for this thread, NULL: look again. *ret_may_end: nothing came for long. The lane is locked before, and not
 * afterwards. */
static struct task *stand_by(struct lane_state *lane, struct idler *idler, bool *ret_may_end) {
    *idler = (struct idler){.next = lane->idlers};
    MUST(sem_init(&idler->wake, 0, 0) == 0);
    lane->idlers = idler;
    mutex_unlock(&lane->mutex);
    *ret_may_end = false;
    if (!mutex_await_post(&idler->wake, clock_now_ns() + LANE_IDLE_NS)) {
        mutex_lock(&lane->mutex);
        *ret_may_end = unlink_idler(lane, idler);
        mutex_unlock(&lane->mutex);
        while (!*ret_may_end && sem_wait(&idler->wake) != 0) { /* somebody was just about to wake it */
            MUST(errno == EINTR);
        }
    }
    MUST(sem_destroy(&idler->wake) == 0);
    return idler->task;
}

/* The next task, its share begun; NULL when the thread shall end. The lane is locked before; afterwards only with NULL. */
static struct task *next_task(struct lane_state *lane, struct idler *idler) {
    bool may_end = false;
    for (;;) {
        struct task *task = take_first(lane);
        if (task) {
            begin_share(lane, task->share);
            mutex_unlock(&lane->mutex);
            return task;
        }
        if (lane->stopping || (may_end && lane->threads > 1)) {
            return NULL;
        }
        task = stand_by(lane, idler, &may_end);
        if (task) {
            return task;
        }
        mutex_lock(&lane->mutex);
    }
}

static void *lane_main(void *argument) {
    struct lane_state *lane = argument;
    struct idler idler;
    struct task *task = NULL;
    mutex_lock(&lane->mutex);
    while ((task = next_task(lane, &idler)) != NULL) {
        const void *share = task->share; /* the run may be the task's end */
        task->run(task);
        mutex_lock(&lane->mutex);
        end_share(lane, share);
    }
    lane->threads--;
    cond_broadcast(&lane->ended);
    mutex_unlock(&lane->mutex);
    return NULL;
}

/* Signals belong to main: worker threads block them all. */
static bool start_thread(struct lane_state *lane) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attributes;
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    pthread_t thread;
    bool started = pthread_create(&thread, &attributes, lane_main, lane) == 0;
    MUST(pthread_attr_destroy(&attributes) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static bool lane_init(struct lane_state *lane, unsigned most_threads) {
    *lane = (struct lane_state){.most_threads = most_threads ? most_threads : 1};
    lane->share_most = lane->most_threads > 1 ? lane->most_threads / 2 : 1;
    lane->shares = calloc(lane->most_threads, sizeof *lane->shares);
    mutex_init(&lane->mutex, RANK_EXECUTOR);
    cond_init(&lane->ended);
    return lane->shares != NULL;
}

static void lane_stop(struct lane_state *lane) {
    mutex_lock(&lane->mutex);
    lane->stopping = true;
    while (lane->idlers) {
        struct idler *idler = lane->idlers;
        lane->idlers = idler->next; /* before it is woken: then it is gone */
        MUST(sem_post(&idler->wake) == 0);
    }
    while (lane->threads) {
        cond_wait_until(&lane->ended, &lane->mutex, 0);
    }
    mutex_unlock(&lane->mutex);
}

static void lane_fini(struct lane_state *lane) {
    lane_stop(lane);
    MUST(!lane->first);
    cond_fini(&lane->ended);
    mutex_fini(&lane->mutex);
    free(lane->shares);
}

struct executor *executor_new(const unsigned most_threads[LANE_COUNT]) {
    struct executor *executor = calloc(1, sizeof *executor);
    if (!executor) {
        return NULL;
    }
    unsigned made = 0;
    for (; made < LANE_COUNT; made++) {
        struct lane_state *lane = &executor->lanes[made];
        bool is_ready = lane_init(lane, most_threads[made]);
        /* The one thread a lane always keeps: afterwards a submit cannot fail. */
        lane->threads = 1;
        if (!is_ready || !start_thread(lane)) {
            lane->threads = 0;
            goto fail;
        }
    }
    return executor;
fail:
    for (unsigned i = 0; i <= made; i++) {
        lane_fini(&executor->lanes[i]);
    }
    free(executor);
    return NULL;
}

static void append(struct lane_state *lane, struct task *task) {
    task->next = NULL;
    if (lane->last) {
        lane->last->next = task;
    } else {
        lane->first = task;
    }
    lane->last = task;
}

void executor_submit(struct executor *executor, enum lane which, struct task *task) {
    struct lane_state *lane = &executor->lanes[which];
    mutex_lock(&lane->mutex);
    if (!may_run(lane, task->share)) {
        append(lane, task);
        mutex_unlock(&lane->mutex);
        return; /* the next of its share to end makes room */
    }
    struct idler *idler = lane->idlers;
    if (idler) {
        lane->idlers = idler->next;
        begin_share(lane, task->share);
        idler->task = task;
        mutex_unlock(&lane->mutex);
        mutex_post_after(&idler->wake); /* no look at the lane afterwards: the task may be its end */
        return;
    }
    append(lane, task);
    bool grow = lane->threads < lane->most_threads;
    if (grow) {
        lane->threads++;
    }
    mutex_unlock(&lane->mutex);
    if (grow && !start_thread(lane)) {
        /* The task stays queued for the threads there are. */
        mutex_lock(&lane->mutex);
        lane->threads--;
        cond_broadcast(&lane->ended);
        mutex_unlock(&lane->mutex);
    }
}

void executor_free(struct executor *executor) {
    if (!executor) {
        return;
    }
    for (unsigned i = 0; i < LANE_COUNT; i++) {
        lane_fini(&executor->lanes[i]);
    }
    free(executor);
}
