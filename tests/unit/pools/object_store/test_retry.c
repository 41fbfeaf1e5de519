/* test_retry.c - the schedule as arithmetic: no clock, no sleeping but where sleeping itself is tested. */
#include "object_store_suites.h"

#include "pools/base/clock.h"
#include "pools/object_store/retry.h"

#include <check.h>

static const struct retry_policy policy = {.most_attempts = 5,
                                           .base_ns = 100,
                                           .most_wait_ns = 300,
                                           .connect_budget_ns = 1000,
                                           .budget_ns = 100 * NS_PER_S};

static struct retry begun(void) {
    struct retry retry;
    retry_start(&retry, &policy, 5000);
    return retry;
}

START_TEST(waits_double_up_to_the_most) {
    struct retry retry = begun();
    const uint64_t bound[] = {100, 200, 300, 300};
    for (size_t i = 0; i < ARRAY_COUNT(bound); i++) {
        uint64_t wait = 0;
        /* A random number of k * (bound + 1) + bound gives the longest wait. */
        uint64_t random = 7 * (bound[i] + 1) + bound[i];
        ck_assert(retry_again(&retry, RETRY_TRANSIENT, 0, random, 5000, 0, &wait));
        ck_assert_uint_eq(wait, bound[i]);
    }
    uint64_t wait = 0;
    ck_assert(!retry_again(&retry, RETRY_TRANSIENT, 0, 0, 5000, 0, &wait));
}
END_TEST

START_TEST(jitter_is_full) {
    struct retry retry = begun();
    uint64_t wait = 1;
    ck_assert(retry_again(&retry, RETRY_THROTTLED, 0, 0, 5000, 0, &wait));
    ck_assert_uint_eq(wait, 0);
    ck_assert(retry_again(&retry, RETRY_THROTTLED, 0, 57, 5000, 0, &wait));
    ck_assert_uint_eq(wait, 57);
}
END_TEST

START_TEST(refusals_are_final) {
    struct retry retry = begun();
    uint64_t wait;
    ck_assert(!retry_again(&retry, RETRY_NEVER, 0, 0, 5000, 0, &wait));
}
END_TEST

START_TEST(connections_have_a_smaller_budget) {
    struct retry retry = begun();
    uint64_t wait;
    ck_assert(retry_again(&retry, RETRY_CONNECT, 0, 0, 6000, 0, &wait));
    ck_assert(!retry_again(&retry, RETRY_CONNECT, 0, 0, 6001, 0, &wait));
    ck_assert(retry_again(&retry, RETRY_TRANSIENT, 0, 0, 6001, 0, &wait));
}
END_TEST

START_TEST(advice_is_followed_within_the_budget) {
    struct retry retry = begun();
    uint64_t wait;
    ck_assert(retry_again(&retry, RETRY_THROTTLED, 3, 0, 5000, 0, &wait));
    ck_assert_uint_eq(wait, 3 * NS_PER_S);
    ck_assert(!retry_again(&retry, RETRY_THROTTLED, 101, 0, 5000, 0, &wait));
}
END_TEST

START_TEST(the_deadline_is_never_passed) {
    struct retry retry = begun();
    uint64_t wait;
    ck_assert(retry_again(&retry, RETRY_TRANSIENT, 0, 49, 5000, 5050, &wait));
    ck_assert(!retry_again(&retry, RETRY_TRANSIENT, 0, 60, 5000, 5050, &wait));
}
END_TEST

START_TEST(a_dead_endpoint_costs_seconds) {
    /* The default schedule at its longest, attempts taking no time. */
    struct retry retry;
    retry_start(&retry, &retry_default_policy, 0);
    uint64_t now = 0, wait = 0, bound = retry_default_policy.base_ns;
    while (retry_again(&retry, RETRY_CONNECT, 0, bound, now, 0, &wait)) {
        now += wait;
        bound *= 2;
    }
    ck_assert_uint_le(now, 2500 * NS_PER_MS);
}
END_TEST

START_TEST(waiting_ends_when_cancelled) {
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(retry_wait(&op, 1, NULL), OK);
    atomic_store(&op.cancelled, true);
    uint64_t before = clock_now_ns();
    ck_assert_int_eq(retry_wait(&op, 60 * NS_PER_S, NULL), ERR_CANCELLED);
    ck_assert_uint_lt(clock_now_ns() - before, 10 * NS_PER_S);
    op_init(&op, 0, 1);
    ck_assert_int_eq(retry_wait(&op, 60 * NS_PER_S, NULL), ERR_TIMEOUT);
}
END_TEST

TCase *retry_case(void) {
    TCase *tcase = tcase_create("retry");
    tcase_add_test(tcase, waits_double_up_to_the_most);
    tcase_add_test(tcase, jitter_is_full);
    tcase_add_test(tcase, refusals_are_final);
    tcase_add_test(tcase, connections_have_a_smaller_budget);
    tcase_add_test(tcase, advice_is_followed_within_the_budget);
    tcase_add_test(tcase, the_deadline_is_never_passed);
    tcase_add_test(tcase, a_dead_endpoint_costs_seconds);
    tcase_add_test(tcase, waiting_ends_when_cancelled);
    return tcase;
}
