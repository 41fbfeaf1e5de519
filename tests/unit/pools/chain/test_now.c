/* test_now.c - reads that a poll thread begins and answers: what they ask of whom, and what they leave to a lane. */
#include "pools/base/hash.h"
#include "pools/chain/flight_table.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct fixture f;
static struct client client;

static void expect_no_flight(void) {
    mutex_lock(&f.flights->mutex);
    ck_assert_uint_eq(f.flights->alive, 0);
    mutex_unlock(&f.flights->mutex);
}

/* The poll thread leaves the read of f.chain as it is; a lane ends it so. */
static void expect_left_to_a_lane(const struct chain_read_options *options, enum err expected) {
    client_start(&client, &f, f.chain, "k", options);
    ck_assert_int_eq(client_wait_now(&client), ERR_AGAIN);
    expect_no_flight();
    ck_assert_int_eq(client_wait(&client), expected);
    client_close(&client);
    fixture_settle(&f);
}

START_TEST(what_only_a_store_can_have_needs_no_lane) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "body", 4, HOLD_OWNED);
    client_start(&client, &f, f.chain, "k", NULL);
    ck_assert_int_eq(client_wait_now(&client), OK);
    struct entry *entry = chain_read_entry(client.read);
    ck_assert(entry && entry->body->size == 4 && memcmp(entry->body->data, "body", 4) == 0);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_HIT);
    client_close(&client);
    fixture_settle(&f);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_uint_eq(fake_counts(f.pool[i]).opens, 0); /* they told from memory */
        ck_assert_uint_eq(atomic_load(&f.pool[i]->stats.misses), 1);
        expect_stored(f.pool[i], "k", "body", 4, HOLD_CACHED);
    }
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(absence_and_failure_need_none_either) {
    fixture_start(&f, 2, true, 0);
    client_start(&client, &f, f.chain, "k", NULL);
    ck_assert_int_eq(client_wait_now(&client), ERR_NOT_FOUND);
    client_close(&client);
    fake_fail_opens(f.pool[1], REASON_UNAVAILABLE, UINT_MAX);
    client_start(&client, &f, f.chain, "k", NULL);
    ck_assert_int_eq(client_wait_now(&client), ERR_UNAVAILABLE);
    client_close(&client);
    fixture_stop(&f);
}
END_TEST

START_TEST(what_a_local_tier_may_have_is_left_to_a_lane) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[1], "k", "body", 4, HOLD_OWNED);
    expect_left_to_a_lane(NULL, OK);
    fixture_stop(&f);

    fixture_start(&f, 3, true, 0);
    fake_refuse_peeks(f.pool[1], true); /* as while it loads */
    expect_left_to_a_lane(NULL, ERR_NOT_FOUND);
    fixture_stop(&f);

    fixture_start(&f, 2, false, 0);
    expect_left_to_a_lane(NULL, ERR_NOT_FOUND);
    fixture_stop(&f);
}
END_TEST

START_TEST(reads_of_other_kinds_are_left_to_a_lane) {
    fixture_start(&f, 2, true, 0);
    expect_left_to_a_lane(&(struct chain_read_options){.local_only = true}, ERR_NOT_FOUND);
    expect_left_to_a_lane(&(struct chain_read_options){.wants_part = true}, ERR_NOT_FOUND);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_growing_body_is_left_to_a_lane) {
    size_t bytes = 4 * FIXTURE_ENTRY_MOST;
    char *body = make_body(bytes, 1);
    fixture_start(&f, 2, true, 8 << 20);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    client_start(&client, &f, f.chain, "k", NULL);
    ck_assert_int_eq(client_wait_now(&client), ERR_AGAIN);
    ck_assert_int_eq(client_finish(&client), OK);
    expect_body(&client, body, bytes);
    client_close(&client);
    fixture_stop(&f);
    free(body);
}
END_TEST

START_TEST(a_read_that_finds_its_flight_under_way_joins_it) {
    static struct client others[3];
    fixture_start(&f, 2, true, 0);
    fake_store(f.pool[1], "k", "body", 4, HOLD_OWNED);
    fake_close_gate(f.pool[1], FAKE_GATE_OPEN);
    client_begin(&client, &f, f.chain, "k");
    for (unsigned i = 0; i < 3; i++) {
        client_start(&others[i], &f, f.chain, "k", NULL);
    }
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(client_wait_now(&others[i]), OK);
        ck_assert(client_report(&others[i], 0)->collapsed);
        client_close(&others[i]);
    }
    ck_assert_int_eq(client_wait(&client), OK);
    client_close(&client);
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 1);
    fixture_stop(&f);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("now");
    TCase *tcase = tcase_create("now");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, what_only_a_store_can_have_needs_no_lane);
    tcase_add_test(tcase, absence_and_failure_need_none_either);
    tcase_add_test(tcase, what_a_local_tier_may_have_is_left_to_a_lane);
    tcase_add_test(tcase, reads_of_other_kinds_are_left_to_a_lane);
    tcase_add_test(tcase, a_growing_body_is_left_to_a_lane);
    tcase_add_test(tcase, a_read_that_finds_its_flight_under_way_joins_it);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
