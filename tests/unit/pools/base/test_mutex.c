/* test_mutex.c - ranks are checked in every build; conditions wake and time out. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/clock.h"
#include "pools/base/mutex.h"

#include <signal.h>

static struct mutex low, high, twin;

static void setup(void) {
    mutex_init(&low, RANK_STATE);
    mutex_init(&high, RANK_LOG);
    mutex_init(&twin, RANK_LOG);
}

static void teardown(void) {
    mutex_fini(&low);
    mutex_fini(&high);
    mutex_fini(&twin);
}

START_TEST(rising_order_is_fine) {
    for (unsigned i = 0; i < 3; i++) {
        mutex_lock(&low);
        mutex_lock(&high);
        mutex_unlock(&low); /* not the last taken: fine too */
        mutex_unlock(&high);
        mutex_lock(&high);
        mutex_unlock(&high);
    }
}
END_TEST

START_TEST(falling_order_aborts) {
    mutex_lock(&high);
    mutex_lock(&low);
}
END_TEST

START_TEST(two_of_one_rank_abort) {
    mutex_lock(&high);
    mutex_lock(&twin);
}
END_TEST

START_TEST(taking_it_twice_aborts) {
    mutex_lock(&low);
    mutex_lock(&low);
}
END_TEST

START_TEST(unlocking_what_is_not_held_aborts) {
    mutex_lock(&low);
    mutex_unlock(&low);
    mutex_unlock(&low);
}
END_TEST

struct signalled {
    struct mutex mutex;
    struct cond cond;
    bool ready;
    bool answered;
};

static void *answer_main(void *argument) {
    struct signalled *signalled = argument;
    mutex_lock(&signalled->mutex);
    while (!signalled->ready) {
        cond_wait_until(&signalled->cond, &signalled->mutex, 0);
    }
    signalled->answered = true;
    cond_broadcast(&signalled->cond);
    mutex_unlock(&signalled->mutex);
    return NULL;
}

START_TEST(conditions_wake) {
    struct signalled signalled = {0};
    mutex_init(&signalled.mutex, RANK_KIND);
    cond_init(&signalled.cond);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, answer_main, &signalled), 0);
    mutex_lock(&signalled.mutex);
    signalled.ready = true;
    cond_signal(&signalled.cond);
    uint64_t deadline_ns = clock_now_ns() + 30 * NS_PER_S;
    while (!signalled.answered) {
        ck_assert(cond_wait_until(&signalled.cond, &signalled.mutex, deadline_ns));
    }
    mutex_unlock(&signalled.mutex);
    pthread_join(thread, NULL);
    cond_fini(&signalled.cond);
    mutex_fini(&signalled.mutex);
}
END_TEST

START_TEST(a_wait_times_out) {
    struct cond cond;
    cond_init(&cond);
    mutex_lock(&low);
    uint64_t deadline_ns = clock_now_ns() + NS_PER_MS;
    while (cond_wait_until(&cond, &low, deadline_ns)) { /* woken for nothing: legal */
    }
    ck_assert_uint_ge(clock_now_ns(), deadline_ns);
    mutex_unlock(&low);
    cond_fini(&cond);
}
END_TEST

static int value_of(sem_t *semaphore) {
    int value = -1;
    ck_assert_int_eq(sem_getvalue(semaphore, &value), 0);
    return value;
}

START_TEST(a_post_waits_for_the_last_unlock) {
    sem_t semaphore;
    ck_assert_int_eq(sem_init(&semaphore, 0, 0), 0);
    mutex_post_after(&semaphore);
    ck_assert_int_eq(value_of(&semaphore), 1); /* no lock is held */
    mutex_lock(&low);
    mutex_post_after(&semaphore);
    mutex_lock(&high);
    mutex_post_after(&semaphore);
    mutex_unlock(&low);
    ck_assert_int_eq(value_of(&semaphore), 1);
    mutex_unlock(&high);
    ck_assert_int_eq(value_of(&semaphore), 3);
    mutex_lock(&low);
    mutex_unlock(&low);
    ck_assert_int_eq(value_of(&semaphore), 3);
    ck_assert_int_eq(sem_destroy(&semaphore), 0);
}
END_TEST

START_TEST(posts_are_neither_lost_nor_held_over_a_wait) {
    enum { POSTS = 100 };
    struct cond cond;
    cond_init(&cond);
    sem_t semaphore;
    ck_assert_int_eq(sem_init(&semaphore, 0, 0), 0);
    mutex_lock(&low);
    for (int i = 0; i < POSTS; i++) { /* more than are noted */
        mutex_post_after(&semaphore);
    }
    ck_assert_int_lt(value_of(&semaphore), POSTS);
    (void)cond_wait_until(&cond, &low, clock_now_ns() + NS_PER_MS);
    ck_assert_int_eq(value_of(&semaphore), POSTS);
    mutex_unlock(&low);
    ck_assert_int_eq(value_of(&semaphore), POSTS);
    cond_fini(&cond);
    ck_assert_int_eq(sem_destroy(&semaphore), 0);
}
END_TEST

/* ---- a wall clock that is wrong ---- */
static time_t wall_ahead_s;

int __real_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time) {
    int result = __real_clock_gettime(clock, ret_time);
    if (clock == CLOCK_REALTIME) {
        ret_time->tv_sec += wall_ahead_s;
    }
    return result;
}

static void await_post(time_t ahead_s) {
    sem_t semaphore;
    ck_assert_int_eq(sem_init(&semaphore, 0, 0), 0);
    wall_ahead_s = ahead_s;
    uint64_t deadline_ns = clock_now_ns() + 20 * NS_PER_MS;
    ck_assert(!mutex_await_post(&semaphore, deadline_ns));
    wall_ahead_s = 0;
    ck_assert_uint_ge(clock_now_ns(), deadline_ns);
    ck_assert_uint_lt(clock_now_ns(), deadline_ns + 60 * NS_PER_S);
    ck_assert_int_eq(sem_post(&semaphore), 0);
    ck_assert(mutex_await_post(&semaphore, 0)); /* a post counts, however late it is */
    ck_assert_int_eq(sem_destroy(&semaphore), 0);
}

START_TEST(a_wait_for_a_post_does_not_ask_the_wall_clock) {
    await_post(-3600);
    await_post(3600);
}
END_TEST

Suite *mutex_suite(void) {
    Suite *suite = suite_create("mutex");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, rising_order_is_fine);
    tcase_add_test(tcase, conditions_wake);
    tcase_add_test(tcase, a_wait_times_out);
    tcase_add_test(tcase, a_post_waits_for_the_last_unlock);
    tcase_add_test(tcase, posts_are_neither_lost_nor_held_over_a_wait);
    tcase_add_test(tcase, a_wait_for_a_post_does_not_ask_the_wall_clock);
    if (tests_fork()) {
        tcase_add_test_raise_signal(tcase, falling_order_aborts, SIGABRT);
        tcase_add_test_raise_signal(tcase, two_of_one_rank_abort, SIGABRT);
        tcase_add_test_raise_signal(tcase, taking_it_twice_aborts, SIGABRT);
        tcase_add_test_raise_signal(tcase, unlocking_what_is_not_held_aborts, SIGABRT);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}
