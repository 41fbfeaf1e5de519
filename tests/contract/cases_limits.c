/* cases_limits.c - a bounded pool says so before it changes anything. Kinds without the option have nothing to show here. */
#include "tests/contract/support.h"

#define MAX_BYTES 1048576
static const struct setting bounded[] = {{"max_bytes", "1048576"}};

static void assert_counts(uint64_t entries, uint64_t bytes) {
    struct pool_status status;
    pool_get_status(the_pool(), &status);
    if (status.counts_known) {
        ck_assert_uint_eq(status.entries, entries);
        ck_assert_uint_eq(status.bytes, bytes);
    }
}

START_TEST(larger_than_the_pool) {
    if (!subject_has_option("max_bytes")) {
        return;
    }
    reopen_with(bounded, ARRAY_COUNT(bounded));
    const struct how hows[] = {{0}, {.unknown_size = true, .piece = 100000}, {.as_entry = true}};
    struct body body = body_make(2 * MAX_BYTES, 1);
    put_text("kept", "old");
    assert_put_fails("kept", &body, &hows[_i], ERR_TOO_LARGE);
    assert_put_fails("new", &body, &hows[_i], ERR_TOO_LARGE);
    assert_holds_text("kept", "old");
    assert_absent("new");
    assert_counts(1, 3);
    body_free(&body);
}
END_TEST

START_TEST(no_room_beside_owned_entries) {
    if (!subject_has_option("max_bytes")) {
        return;
    }
    reopen_with(bounded, ARRAY_COUNT(bounded));
    pool_set_cached_evictable(the_pool(), true); /* owned entries are not for sale */
    const struct how hows[] = {{0}, {.unknown_size = true, .piece = 100000}, {.as_entry = true}};
    struct body first = body_make(600000, 1);
    struct body second = body_make(600000, 2);
    struct body larger = body_make(700000, 3);
    put("first", &first);
    assert_put_fails("second", &second, &hows[_i], ERR_NO_SPACE);
    assert_absent("second");
    assert_holds("first", &first);
    assert_counts(1, first.count);
    /* An overwrite needs room beside the others only, not beside itself. */
    put_how("first", &larger, &hows[_i]);
    assert_holds("first", &larger);
    put_text("small", "x");
    remove_id("first");
    put_how("second", &second, &hows[_i]);
    assert_holds("second", &second);
    assert_holds_text("small", "x");
    body_free(&first);
    body_free(&second);
    body_free(&larger);
}
END_TEST

START_TEST(the_number_of_entries) {
    if (!subject_has_option("max_entries")) {
        return;
    }
    const struct setting three[] = {{"max_entries", "3"}};
    reopen_with(three, ARRAY_COUNT(three));
    put_text("1", "x");
    put_text("2", "x");
    put_text("3", "x");
    struct body body = body_text("y");
    assert_put_fails("4", &body, NULL, ERR_NO_SPACE);
    assert_absent("4");
    put("3", &body);
    remove_id("1");
    put("4", &body);
    assert_holds_text("4", "y");
    assert_counts(3, 3);
    body_free(&body);
}
END_TEST

START_TEST(a_full_pool_takes_no_fill_and_keeps_what_it_has) {
    if (!subject_has_option("max_bytes")) {
        return;
    }
    reopen_with(bounded, ARRAY_COUNT(bounded));
    pool_set_cached_evictable(the_pool(), true);
    struct body body = body_make(1000000, 1);
    put("owned", &body);
    struct fill fill;
    fill_begin(&fill, "copy", "");
    body_free(&fill.body);
    fill.body = body_make(100000, 2);
    ck_assert_err(fill_end(&fill, false), ERR_NO_SPACE);
    assert_absent("copy");
    assert_holds("owned", &body);
    body_free(&body);
}
END_TEST

TCase *cases_limits(void) {
    TCase *tcase = tcase_create("limits");
    tcase_add_loop_test(tcase, larger_than_the_pool, 0, 3);
    tcase_add_loop_test(tcase, no_room_beside_owned_entries, 0, 3);
    tcase_add_test(tcase, the_number_of_entries);
    tcase_add_test(tcase, a_full_pool_takes_no_fill_and_keeps_what_it_has);
    return tcase;
}
