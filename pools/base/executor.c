/* executor.c - worker lanes. See executor.h.
 *
 * A lane is a queue, a mutex, a condition and a number of threads. A submit that finds no idle thread
 * and room for one more starts it; a thread that found nothing to do for LANE_IDLE_NS ends, except
 * the last one. A lane counts how many of each share it runs; whoever looks for work takes the first task whose share is not used up.
 * A share that is used up has threads running, and the first of them to end finds what waits: nobody else needs to be told of
 * it. Threads are detached from the caller's point of view and counted: executor_free
 * waits for the count to reach zero.
 */
#include "pools/base/executor.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <signal.h>
#include <stdlib.h>

#define LANE_IDLE_NS (30 * NS_PER_S)

struct share_count {
    const void *share;
    unsigned running; /* > 0 */
};

struct lane_state {
    struct mutex mutex;
    struct cond work;  /* a task was queued, or stopping */
    struct cond ended; /* a thread ended */
    struct task *first;
    struct task *last;
    struct share_count *shares; /* those that run now; most_threads of them at most */
    unsigned share_count;
    unsigned share_most; /* threads of one share */
    unsigned most_threads;
    unsigned threads;
    unsigned idle;
    unsigned woken; /* idle threads that have been signalled and are not yet up */
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

/* Waits for work with the lane locked; NULL when the thread shall end. */
static struct task *wait_for_task(struct lane_state *lane) {
    for (;;) {
        struct task *task = take_first(lane);
        if (task) {
            return task;
        }
        if (lane->stopping) {
            return NULL;
        }
        lane->idle++;
        bool signalled = cond_wait_until(&lane->work, &lane->mutex, clock_now_ns() + LANE_IDLE_NS);
        lane->idle--;
        if (lane->woken) {
            lane->woken--;
        }
        if (!signalled && !lane->first && lane->threads > 1) {
            return NULL;
        }
    }
}

static void *lane_main(void *argument) {
    struct lane_state *lane = argument;
    mutex_lock(&lane->mutex);
    for (;;) {
        struct task *task = wait_for_task(lane);
        if (!task) {
            break;
        }
        const void *share = task->share; /* the run may be the task's end */
        begin_share(lane, share);
        mutex_unlock(&lane->mutex);
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
    cond_init(&lane->work);
    cond_init(&lane->ended);
    return lane->shares != NULL;
}

static void lane_fini(struct lane_state *lane) {
    mutex_lock(&lane->mutex);
    lane->stopping = true;
    cond_broadcast(&lane->work);
    while (lane->threads) {
        cond_wait_until(&lane->ended, &lane->mutex, 0);
    }
    mutex_unlock(&lane->mutex);
    MUST(!lane->first);
    cond_fini(&lane->work);
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

void executor_submit(struct executor *executor, enum lane which, struct task *task) {
    struct lane_state *lane = &executor->lanes[which];
    mutex_lock(&lane->mutex);
    task->next = NULL;
    if (lane->last) {
        lane->last->next = task;
    } else {
        lane->first = task;
    }
    lane->last = task;
    if (!may_run(lane, task->share)) {
        mutex_unlock(&lane->mutex);
        return; /* the next of its share to end makes room */
    }
    if (lane->idle > lane->woken) {
        lane->woken++;
        cond_signal(&lane->work);
        mutex_unlock(&lane->mutex);
        return;
    }
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
