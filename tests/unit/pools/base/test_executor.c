/* test_executor.c - lanes: every submit runs once, a lane is as wide as it says, lanes do not wait for each other. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/attrs.h"
#include "pools/base/executor.h"
#include "pools/base/mutex.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct counted {
    struct task task;
    atomic_uint *runs;
};

static void count_run(struct task *task) {
    struct counted *counted = CONTAINER_OF(task, struct counted, task);
    atomic_fetch_add(counted->runs, 1);
}

START_TEST(every_task_runs_once) {
    enum { TASKS = 2000 };
    const unsigned widths[LANE_COUNT] = {3, 1, 2, 1};
    struct executor *executor = executor_new(widths);
    atomic_uint runs = 0;
    struct counted *tasks = calloc(TASKS, sizeof *tasks);
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = (struct counted){.task = {.run = count_run}, .runs = &runs};
        executor_submit(executor, (enum lane)(i % LANE_COUNT), &tasks[i].task);
    }
    executor_free(executor); /* waits for what is queued */
    ck_assert_uint_eq(atomic_load(&runs), TASKS);
    free(tasks);
    executor_free(NULL);
}
END_TEST

struct meeting {
    struct task task;
    pthread_barrier_t *all_here;
};

static void meet(struct task *task) {
    pthread_barrier_wait(CONTAINER_OF(task, struct meeting, task)->all_here);
}

START_TEST(a_lane_is_as_wide_as_it_says) {
    /* Ends only when three tasks of one lane, and one of another, run at the same time. */
    const unsigned widths[LANE_COUNT] = {3, 1, 1, 1};
    struct executor *executor = executor_new(widths);
    pthread_barrier_t all_here;
    pthread_barrier_init(&all_here, NULL, 4);
    struct meeting meetings[4];
    for (unsigned i = 0; i < 4; i++) {
        meetings[i] = (struct meeting){.task = {.run = meet}, .all_here = &all_here};
        executor_submit(executor, i < 3 ? LANE_LOCAL : LANE_FETCH, &meetings[i].task);
    }
    executor_free(executor);
    pthread_barrier_destroy(&all_here);
}
END_TEST

struct narrow {
    struct task task;
    atomic_uint *inside;
    atomic_uint *most;
};

static void enter_and_leave(struct task *task) {
    struct narrow *narrow = CONTAINER_OF(task, struct narrow, task);
    unsigned inside = atomic_fetch_add(narrow->inside, 1) + 1;
    if (inside > atomic_load(narrow->most)) {
        atomic_store(narrow->most, inside);
    }
    atomic_fetch_sub(narrow->inside, 1);
}

START_TEST(a_lane_of_one_runs_one_at_a_time) {
    enum { TASKS = 500 };
    const unsigned widths[LANE_COUNT] = {1, 1, 1, 1};
    struct executor *executor = executor_new(widths);
    atomic_uint inside = 0;
    atomic_uint most = 0;
    struct narrow *tasks = calloc(TASKS, sizeof *tasks);
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = (struct narrow){.task = {.run = enter_and_leave}, .inside = &inside, .most = &most};
        executor_submit(executor, LANE_LOCAL, &tasks[i].task);
    }
    executor_free(executor);
    ck_assert_uint_eq(atomic_load(&most), 1);
    free(tasks);
}
END_TEST

/* Threads that were idle in between are handed their tasks one by one; submits that come under a lock wake after it. */
START_TEST(idle_threads_are_handed_tasks) {
    enum { ROUNDS = 400 };
    const unsigned widths[LANE_COUNT] = {3, 1, 1, 1};
    struct executor *executor = executor_new(widths);
    struct mutex mutex;
    mutex_init(&mutex, RANK_KIND);
    for (unsigned round = 0; round < ROUNDS; round++) {
        atomic_uint runs = 0;
        struct counted tasks[3];
        mutex_lock(&mutex);
        for (unsigned i = 0; i < 3; i++) {
            tasks[i] = (struct counted){.task = {.run = count_run}, .runs = &runs};
            executor_submit(executor, LANE_LOCAL, &tasks[i].task);
        }
        mutex_unlock(&mutex);
        while (atomic_load(&runs) < 3) {
            sched_yield();
        }
    }
    executor_free(executor);
    mutex_fini(&mutex);
}
END_TEST

struct held {
    struct task task;
    atomic_uint *inside;
    atomic_bool *is_over;
};

static void stay(struct task *task) {
    struct held *held = CONTAINER_OF(task, struct held, task);
    atomic_fetch_add(held->inside, 1);
    while (!atomic_load(held->is_over)) {
        sched_yield();
    }
}

/* One share hangs with many tasks: it has half of the lane, and the tasks behind it run. */
START_TEST(a_share_has_half_of_a_lane) {
    enum { HELD = 50, OTHERS = 200 };
    const unsigned widths[LANE_COUNT] = {1, 6, 1, 1};
    struct executor *executor = executor_new(widths);
    static const char hanging, other;
    atomic_uint inside = 0;
    atomic_bool is_over = false;
    struct held held[HELD];
    for (unsigned i = 0; i < HELD; i++) {
        held[i] =
            (struct held){.task = {.run = stay, .share = &hanging}, .inside = &inside, .is_over = &is_over};
        executor_submit(executor, LANE_REMOTE, &held[i].task);
    }
    atomic_uint runs = 0;
    struct counted counted[OTHERS];
    for (unsigned i = 0; i < OTHERS; i++) {
        counted[i] =
            (struct counted){.task = {.run = count_run, .share = i % 2 ? &other : NULL}, .runs = &runs};
        executor_submit(executor, LANE_REMOTE, &counted[i].task);
    }
    while (atomic_load(&runs) < OTHERS || atomic_load(&inside) < 3) {
        sched_yield();
    }
    ck_assert_uint_eq(atomic_load(&inside), 3);
    atomic_store(&is_over, true);
    executor_free(executor); /* waits for those that waited for their turn */
    ck_assert_uint_eq(atomic_load(&inside), HELD);
}
END_TEST

struct chained {
    struct task task;
    struct executor *executor;
    unsigned left;
    atomic_bool done;
};

static void submit_again(struct task *task) {
    struct chained *chained = CONTAINER_OF(task, struct chained, task);
    if (--chained->left > 0) {
        executor_submit(chained->executor, LANE_REMOTE, task);
    } else {
        atomic_store(&chained->done, true);
    }
}

START_TEST(a_task_may_submit_itself) {
    const unsigned widths[LANE_COUNT] = {1, 2, 1, 1};
    struct chained chained = {.task = {.run = submit_again}, .executor = executor_new(widths), .left = 1000};
    executor_submit(chained.executor, LANE_REMOTE, &chained.task);
    while (!atomic_load(&chained.done)) {
    }
    executor_free(chained.executor);
    ck_assert_uint_eq(chained.left, 0);
}
END_TEST

Suite *executor_suite(void) {
    Suite *suite = suite_create("executor");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_task_runs_once);
    tcase_add_test(tcase, a_lane_is_as_wide_as_it_says);
    tcase_add_test(tcase, a_share_has_half_of_a_lane);
    tcase_add_test(tcase, idle_threads_are_handed_tasks);
    tcase_add_test(tcase, a_lane_of_one_runs_one_at_a_time);
    tcase_add_test(tcase, a_task_may_submit_itself);
    suite_add_tcase(suite, tcase);
    return suite;
}
