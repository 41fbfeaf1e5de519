/* core_fence.c - what breaks a fence, who waits for one, and how long. */
#include "tests/unit/pools/core_suites.h"

#include "pools/base/clock.h"
#include "pools/fence.h"

#include <pthread.h>
#include <sched.h>

static struct fence_table table;
static struct op op;
static struct id one, two;

static void setup(void) {
    op_init(&op, 0, 0);
    one = id_trusted("one", 3);
    two = id_trusted("two", 3);
    fence_table_init(&table);
}

static void teardown(void) {
    fence_table_fini(&table);
}

static void raise_fence(struct fence *fence, const struct id *id) {
    ck_assert_int_eq(fence_raise(&table, &op, fence, id), OK);
    ck_assert(fence_holds(fence));
}

START_TEST(a_write_breaks_its_own_key_only) {
    struct fence a, b, c;
    raise_fence(&a, &one);
    raise_fence(&b, &one); /* several fills of one key */
    raise_fence(&c, &two);
    fence_break(&table, &one);
    ck_assert(!fence_holds(&a));
    ck_assert(!fence_holds(&b));
    ck_assert(fence_holds(&c));
    struct fence later;
    raise_fence(&later, &one); /* began after the write */
    fence_break_all(&table);
    ck_assert(!fence_holds(&c));
    ck_assert(!fence_holds(&later));
    fence_lower(&table, &a);
    fence_lower(&table, &b);
    fence_lower(&table, &c);
    fence_lower(&table, &later);
    ck_assert(!fence_holds(&a)); /* never mended */
}
END_TEST

START_TEST(a_copy_breaks_what_was_raised_before_it) {
    struct fence older, other_key, own, younger;
    raise_fence(&older, &one);
    raise_fence(&other_key, &two);
    raise_fence(&own, &one);
    raise_fence(&younger, &one);
    fence_break_older(&table, &own);
    ck_assert(!fence_holds(&older));
    ck_assert(fence_holds(&other_key));
    ck_assert(fence_holds(&own));
    ck_assert(fence_holds(&younger));
    fence_lower(&table, &older);
    fence_lower(&table, &other_key);
    fence_lower(&table, &own);
    fence_lower(&table, &younger);
}
END_TEST

START_TEST(a_refresh_breaks_plain_copies_whenever_raised) {
    struct fence older, first, second, younger;
    raise_fence(&older, &one);
    raise_fence(&first, &one);
    fence_favour(&table, &first);
    raise_fence(&second, &one);
    fence_favour(&table, &second);
    raise_fence(&younger, &one);
    fence_break_older(&table, &younger);
    ck_assert(!fence_holds(&older));
    ck_assert(fence_holds(&first)); /* a plain copy does not stop a refresh */
    ck_assert(fence_holds(&second));
    fence_break_older(&table, &first);
    ck_assert(!fence_holds(&younger));
    ck_assert(fence_holds(&second)); /* among themselves the later one counts */
    fence_break_older(&table, &second);
    ck_assert(!fence_holds(&first));
    fence_break(&table, &one);
    ck_assert(!fence_holds(&second)); /* a local write stops everything */
    fence_lower(&table, &older);
    fence_lower(&table, &first);
    fence_lower(&table, &second);
    fence_lower(&table, &younger);
}
END_TEST

START_TEST(lowering_is_safe_any_number_of_times) {
    struct fence never = {0};
    fence_lower(&table, &never);
    struct fence fence;
    raise_fence(&fence, &one);
    fence_settling(&table, &fence);
    fence_lower(&table, &fence);
    fence_lower(&table, &fence);
    fence_settling(&table, &fence); /* too late: no effect */
    ck_assert(!fence_is_settling(&table, &one));
    ck_assert_uint_eq(atomic_load(&table.raised), 0);
    ck_assert_uint_eq(atomic_load(&table.settling), 0);
}
END_TEST

START_TEST(settling_is_per_key) {
    struct fence fence;
    raise_fence(&fence, &one);
    ck_assert(!fence_is_settling(&table, &one)); /* a growing body keeps nobody waiting */
    fence_wait_settled(&table, &op, &one);
    fence_settling(&table, &fence);
    ck_assert(fence_is_settling(&table, &one));
    ck_assert(!fence_is_settling(&table, &two));
    fence_wait_settled(&table, &op, &two); /* returns at once */
    fence_lower(&table, &fence);
    ck_assert(!fence_is_settling(&table, &one));
}
END_TEST

START_TEST(a_wait_ends_with_the_op) {
    struct fence fence;
    raise_fence(&fence, &one);
    fence_settling(&table, &fence);
    op_init(&op, 0, 2 * NS_PER_MS);
    uint64_t before_ns = clock_now_ns();
    fence_wait_settled(&table, &op, &one);
    fence_wait_all_settled(&table, &op);
    ck_assert_uint_lt(clock_now_ns() - before_ns, FENCE_WAIT_MOST_NS / 2);
    ck_assert_uint_ge(clock_now_ns(), op.deadline_ns);
    fence_lower(&table, &fence);
}
END_TEST

struct waiting {
    pthread_barrier_t *start;
    const struct id *id; /* NULL = all */
    atomic_bool *lowered;
    bool too_early;
};

static void *wait_main(void *argument) {
    struct waiting *waiting = argument;
    struct op own_op;
    op_init(&own_op, 0, 60 * NS_PER_S);
    pthread_barrier_wait(waiting->start);
    if (waiting->id) {
        fence_wait_settled(&table, &own_op, waiting->id);
    } else {
        fence_wait_all_settled(&table, &own_op);
    }
    waiting->too_early = !atomic_load(waiting->lowered);
    return NULL;
}

START_TEST(waiters_wake_when_it_is_lowered) {
    enum { WAITERS = 3 };
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, WAITERS + 1);
    atomic_bool lowered = false;
    struct fence fence;
    raise_fence(&fence, &one);
    fence_settling(&table, &fence);
    struct waiting waiting[WAITERS];
    pthread_t threads[WAITERS];
    for (unsigned i = 0; i < WAITERS; i++) {
        waiting[i] = (struct waiting){.start = &start, .id = i ? &one : NULL, .lowered = &lowered};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_main, &waiting[i]), 0);
    }
    pthread_barrier_wait(&start);
    atomic_store(&lowered, true);
    fence_lower(&table, &fence);
    for (unsigned i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert(!waiting[i].too_early);
    }
    pthread_barrier_destroy(&start);
}
END_TEST

struct listing_wait {
    atomic_bool over;
    struct op op;
    bool in_time;
};

static void *wait_for_all(void *argument) {
    struct listing_wait *listing = argument;
    fence_wait_all_settled(&table, &listing->op);
    listing->in_time = clock_now_ns() < listing->op.deadline_ns;
    atomic_store(&listing->over, true);
    return NULL;
}

/* A pool into which copies come without a pause can be listed: at every moment of this test one of two fills is settling. */
START_TEST(waiting_for_all_is_waiting_for_those_that_settle_now) {
    struct fence fences[2];
    raise_fence(&fences[0], &one);
    fence_settling(&table, &fences[0]);
    struct listing_wait listing = {.over = false};
    op_init(&listing.op, 0, 3 * NS_PER_S);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_all, &listing), 0);
    unsigned settling = 0;
    while (!atomic_load(&listing.over)) {
        struct fence *next = &fences[!settling];
        raise_fence(next, settling ? &one : &two);
        fence_settling(&table, next);
        fence_lower(&table, &fences[settling]);
        settling = !settling;
        sched_yield();
    }
    pthread_join(thread, NULL);
    ck_assert(listing.in_time);
    ck_assert_uint_eq(atomic_load(&table.settling), 1);
    fence_lower(&table, &fences[settling]);
}
END_TEST

Suite *fence_suite(void) {
    Suite *suite = suite_create("fence");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_write_breaks_its_own_key_only);
    tcase_add_test(tcase, a_copy_breaks_what_was_raised_before_it);
    tcase_add_test(tcase, a_refresh_breaks_plain_copies_whenever_raised);
    tcase_add_test(tcase, lowering_is_safe_any_number_of_times);
    tcase_add_test(tcase, settling_is_per_key);
    tcase_add_test(tcase, a_wait_ends_with_the_op);
    tcase_add_test(tcase, waiters_wake_when_it_is_lowered);
    tcase_add_test(tcase, waiting_for_all_is_waiting_for_those_that_settle_now);
    suite_add_tcase(suite, tcase);
    return suite;
}
