/* test_part.c - reads of which only a part is wanted: where it comes from, what is kept, what a change in between does. */
#include "pools/base/hash.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define LARGE (300 * 1024)
#define OVER (200 * 1024) /* larger ones are not fetched whole for a part */

static struct fixture f;
static struct client client;
static char *body;

static const struct chain_read_options wants_part = {.wants_part = true, .part_over_bytes = OVER};

static void set_up(void) {
    body = make_body(LARGE, 7);
    fixture_start(&f, 3, true, 8 << 20);
}

static void tear_down(void) {
    fixture_stop(&f);
    free(body);
}

static void begin(const struct chain_read_options *options) {
    client_start(&client, &f, f.chain, "k", options);
}

static void expect_part(uint64_t offset, size_t bytes) {
    ck_assert_int_eq(chain_read_take_part(client.read, &client.op, offset, bytes), OK);
    ck_assert_int_eq(client_finish(&client), OK);
    expect_body(&client, body + offset, bytes);
}

START_TEST(a_part_of_what_the_head_has) {
    fake_store(f.pool[0], "k", body, LARGE, HOLD_OWNED);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), OK);
    ck_assert(chain_read_is_placed(client.read));
    ck_assert_uint_eq(chain_read_meta(client.read)->size_bytes, LARGE);
    ck_assert_uint_eq(fake_counts(f.pool[0]).opens, 0);
    expect_part(1000, 2000);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_HIT);
    ck_assert_uint_eq(fake_counts(f.pool[0]).opens, 1);
    client_close(&client);
}
END_TEST

START_TEST(a_part_of_a_large_entry_below_keeps_nothing) {
    fake_store(f.pool[2], "k", body, LARGE, HOLD_OWNED);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), OK);
    ck_assert(chain_read_is_placed(client.read));
    expect_part(LARGE - 10, 10);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_PARTIAL);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_PARTIAL);
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_HIT);
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 1);
    client_close(&client);
    fixture_settle(&f);
    expect_absent(f.pool[0], "k");
    expect_absent(f.pool[1], "k");
}
END_TEST

/* One that comes in memory and one that comes as a stream, of which the part lies ahead of what is there. */
START_TEST(a_part_of_a_smaller_one_brings_the_whole) {
    static const size_t sizes[] = {1000, 150 * 1024};
    fake_store(f.pool[2], "k", body, sizes[_i], HOLD_OWNED);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), OK);
    ck_assert(!chain_read_is_placed(client.read));
    expect_part(sizes[_i] - 100, 50);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_MISS);
    client_close(&client);
    fixture_settle(&f);
    for (unsigned i = 0; i < 2; i++) {
        expect_stored(f.pool[i], "k", body, sizes[_i], HOLD_CACHED);
    }
}
END_TEST

START_TEST(the_whole_after_all) {
    fake_store(f.pool[2], "k", body, LARGE, HOLD_OWNED);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), OK);
    chain_read_take_whole(client.read);
    ck_assert_int_eq(client_finish(&client), OK);
    expect_body(&client, body, LARGE);
    client_close(&client);
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", body, LARGE, HOLD_CACHED);
}
END_TEST

START_TEST(an_entry_that_changes_in_between_is_judged_anew) {
    fake_store(f.pool[1], "k", body, LARGE, HOLD_OWNED);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), OK);
    fake_store(f.pool[1], "k", body, LARGE - 1, HOLD_OWNED);
    ck_assert_int_eq(chain_read_take_part(client.read, &client.op, 5, 5), ERR_AGAIN);
    ck_assert_int_eq(client_wait(&client), OK);
    ck_assert_uint_eq(chain_read_meta(client.read)->size_bytes, LARGE - 1);
    expect_part(5, 5);
    client_close(&client);
}
END_TEST

START_TEST(an_entry_that_goes_in_between_is_absent) {
    fake_store(f.pool[0], "k", body, LARGE, HOLD_OWNED);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), OK);
    empty_pool(f.pool[0]);
    ck_assert_int_eq(chain_read_take_part(client.read, &client.op, 5, 5), ERR_AGAIN);
    ck_assert_int_eq(client_wait(&client), ERR_NOT_FOUND);
    client_close(&client);
}
END_TEST

START_TEST(absence_and_failure_are_told_as_ever) {
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), ERR_NOT_FOUND);
    client_close(&client);
    fake_fail_opens(f.pool[2], REASON_TIMEOUT, UINT_MAX);
    begin(&wants_part);
    ck_assert_int_eq(client_wait(&client), ERR_TIMEOUT);
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_FAILED);
    client_close(&client);
}
END_TEST

START_TEST(local_only_looks_at_the_head) {
    struct chain_read_options options = wants_part;
    options.local_only = true;
    fake_store(f.pool[1], "k", body, LARGE, HOLD_OWNED);
    begin(&options);
    ck_assert_int_eq(client_wait(&client), ERR_NOT_FOUND);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_UNASKED);
    client_close(&client);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("part");
    TCase *tcase = tcase_create("part");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_part_of_what_the_head_has);
    tcase_add_test(tcase, a_part_of_a_large_entry_below_keeps_nothing);
    tcase_add_loop_test(tcase, a_part_of_a_smaller_one_brings_the_whole, 0, 2);
    tcase_add_test(tcase, the_whole_after_all);
    tcase_add_test(tcase, an_entry_that_changes_in_between_is_judged_anew);
    tcase_add_test(tcase, an_entry_that_goes_in_between_is_absent);
    tcase_add_test(tcase, absence_and_failure_are_told_as_ever);
    tcase_add_test(tcase, local_only_looks_at_the_head);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
