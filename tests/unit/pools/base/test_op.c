/* test_op.c - faults, deadlines, cancelling; and the lists of err.h, which many tables are made of. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/clock.h"
#include "pools/base/op.h"

#include <errno.h>

START_TEST(a_fault_is_recorded) {
    struct op op;
    op_init(&op, 7, 0);
    ck_assert_int_eq(op.fault.reason, REASON_NONE);
    ck_assert_int_eq(op_fail(&op, REASON_NO_SPACE, "%d of %d", 1, 2), ERR_NO_SPACE);
    ck_assert_int_eq(op.fault.reason, REASON_NO_SPACE);
    ck_assert_str_eq(op.fault.detail, "1 of 2");
    struct op other;
    op_init(&other, 8, 0);
    ck_assert_int_eq(op_adopt(&other, &op.fault), ERR_NO_SPACE);
    ck_assert_str_eq(other.fault.detail, "1 of 2");
    struct fault none = {0};
    ck_assert_int_eq(op_adopt(&other, &none), OK);
}
END_TEST

START_TEST(a_long_detail_is_cut) {
    struct op op;
    op_init(&op, 0, 0);
    op_fail(&op, REASON_INTERNAL, "%01000d", 1);
    ck_assert_uint_eq(strlen(op.fault.detail), OP_DETAIL_BYTES - 1);
}
END_TEST

START_TEST(errno_has_a_kind) {
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(op_fail_errno(&op, ENOSPC, "write"), ERR_NO_SPACE);
    ck_assert_int_eq(op_fail_errno(&op, EDQUOT, "write"), ERR_NO_SPACE);
    ck_assert_int_eq(op_fail_errno(&op, EFBIG, "write"), ERR_NO_SPACE);
    ck_assert_int_eq(op_fail_errno(&op, ENOMEM, "write"), ERR_NO_MEMORY);
    op_fail_errno(&op, EIO, "fsync");
    ck_assert_int_eq(op.fault.reason, REASON_IO);
    ck_assert_str_eq(op.fault.detail, "fsync: Input/output error");
}
END_TEST

START_TEST(a_deadline_that_slides) {
    struct op op;
    op_init(&op, 0, NS_PER_S);
    uint64_t stands = op.deadline_ns;
    op_advance(&op);
    ck_assert_uint_eq(op.deadline_ns, stands);
    op.slide_ns = 3600 * NS_PER_S;
    op_advance(&op);
    ck_assert_uint_gt(op_left_ns(&op, UINT64_MAX), 3000 * NS_PER_S);
    op_step(&op, 0);
    ck_assert_int_eq(op_check(&op), OK);
    ck_assert_uint_eq(op.deadline_ns, 0);
}
END_TEST

START_TEST(deadlines_and_cancelling) {
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(op_check(&op), OK);
    ck_assert_uint_eq(op_left_ns(&op, 55), 55);
    op_init(&op, 0, 3600 * NS_PER_S);
    ck_assert_int_eq(op_check(&op), OK);
    ck_assert_uint_eq(op_left_ns(&op, NS_PER_S), NS_PER_S);
    ck_assert_uint_le(op_left_ns(&op, UINT64_MAX), 3600 * NS_PER_S);
    op.deadline_ns = clock_now_ns();
    ck_assert_uint_eq(op_left_ns(&op, NS_PER_S), 0);
    ck_assert_int_eq(op_check(&op), ERR_TIMEOUT);
    ck_assert_int_eq(op.fault.reason, REASON_TIMEOUT);
    atomic_store(&op.cancelled, true); /* goes before the deadline */
    ck_assert_int_eq(op_check(&op), ERR_CANCELLED);
}
END_TEST

START_TEST(every_kind_has_a_word) {
    for (unsigned kind = 0; kind < ERR_COUNT; kind++) {
        ck_assert_ptr_nonnull(err_word((enum err)kind));
        for (unsigned other = 0; other < kind; other++) {
            ck_assert_str_ne(err_word((enum err)kind), err_word((enum err)other));
        }
    }
    ck_assert(err_retryable(ERR_UNAVAILABLE));
    ck_assert(err_retryable(ERR_THROTTLED));
    ck_assert(!err_retryable(ERR_NOT_FOUND));
    ck_assert(!err_retryable(ERR_DENIED));
    ck_assert(reason_retryable(REASON_UNAVAILABLE));
    ck_assert(reason_retryable(REASON_LOADING));
    ck_assert(!reason_retryable(REASON_POOL_FAILED));
    ck_assert(!reason_retryable(REASON_POOL_POISONED));
    ck_assert(!reason_retryable(REASON_NOT_CACHED));
    ck_assert(!reason_retryable(REASON_DENIED));
}
END_TEST

START_TEST(every_reason_is_a_failure_with_a_name) {
    ck_assert_int_eq(reason_kind(REASON_NONE), OK);
    for (unsigned reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        const char *slug = reason_slug((enum reason)reason);
        ck_assert_int_ne(reason_kind((enum reason)reason), OK);
        ck_assert_uint_eq(strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(slug));
        ck_assert_uint_gt(strlen(reason_title((enum reason)reason)), 5);
        for (unsigned other = 0; other < reason; other++) {
            ck_assert_str_ne(slug, reason_slug((enum reason)other));
        }
    }
}
END_TEST

Suite *op_suite(void) {
    Suite *suite = suite_create("op");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, a_fault_is_recorded);
    tcase_add_test(tcase, a_long_detail_is_cut);
    tcase_add_test(tcase, errno_has_a_kind);
    tcase_add_test(tcase, deadlines_and_cancelling);
    tcase_add_test(tcase, a_deadline_that_slides);
    tcase_add_test(tcase, every_kind_has_a_word);
    tcase_add_test(tcase, every_reason_is_a_failure_with_a_name);
    suite_add_tcase(suite, tcase);
    return suite;
}
