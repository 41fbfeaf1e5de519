/* test_cascade.c - what one read does: hits, misses, copies on the way back, failing tiers, refusals. */
#include "pools/base/hash.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static struct fixture f;

START_TEST(every_tier_that_missed_gets_a_copy) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "hello", 5, HOLD_OWNED);
    struct client client;
    client_start(&client, &f, f.chain, "k", NULL);
    ck_assert_int_eq(client_wait(&client), OK);
    /* Before the body is even taken: later operations wait for the copies. */
    expect_stat(f.pool[0], "k", OK);
    expect_stat(f.pool[1], "k", OK);
    expect_stored(f.pool[0], "k", "hello", 5, HOLD_CACHED);
    expect_stored(f.pool[1], "k", "hello", 5, HOLD_CACHED);
    expect_stored(f.pool[2], "k", "hello", 5, HOLD_OWNED);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_HIT);
    ck_assert(client_report(&client, 0)->stored && client_report(&client, 1)->stored &&
              !client_report(&client, 2)->stored);
    ck_assert_str_eq(client_report(&client, 2)->nickname, "t2");
    ck_assert_ptr_nonnull(chain_read_entry(client.read));
    client_close(&client);

    /* The next read is a local hit. */
    fixture_settle(&f);
    expect_read(&f, f.chain, "k", "hello", 5);
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 1);
    fixture_stop(&f);
}
END_TEST

static void expect_looks(struct pool *pool, unsigned hits, unsigned misses) {
    ck_assert_uint_eq(atomic_load(&pool->stats.hits), hits);
    ck_assert_uint_eq(atomic_load(&pool->stats.misses), misses);
}

/* The head is looked at twice, by the reader and then behind the fence by its flight. */
START_TEST(a_cold_read_is_one_miss_a_tier) {
    bool refuses = _i;
    fixture_start(&f, 3, true, 0);
    fake_refuse_peeks(f.pool[0], refuses);
    fake_store(f.pool[2], "k", "hello", 5, HOLD_OWNED);
    expect_read(&f, f.chain, "k", "hello", 5);
    expect_looks(f.pool[0], 0, 1);
    expect_looks(f.pool[1], 0, 1);
    expect_looks(f.pool[2], 1, 0);
    fixture_settle(&f);
    expect_read(&f, f.chain, "k", "hello", 5);
    expect_looks(f.pool[0], 1, 1);
    expect_looks(f.pool[1], 0, 1);
    struct tiers *alone = fixture_tiers(&f, 1, 1, 1);
    struct client client;
    client_start(&client, &f, alone, "nowhere", NULL);
    ck_assert_int_eq(client_finish(&client), ERR_NOT_FOUND);
    client_close(&client);
    expect_looks(f.pool[1], 0, 2);
    tiers_unref(alone);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_hit_stops_the_walk) {
    fixture_start(&f, 3, false, 0);
    fake_store(f.pool[1], "k", "x", 1, HOLD_OWNED);
    fake_store(f.pool[2], "k", "y", 1, HOLD_OWNED);
    struct client client;
    client_read(&client, &f, "k", NULL, OK);
    expect_body(&client, "x", 1);
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_UNASKED);
    client_close(&client);
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(empty_bodies_are_values) {
    fixture_start(&f, 2, true, 0);
    fake_store(f.pool[1], "k", "", 0, HOLD_OWNED);
    expect_read(&f, f.chain, "k", "", 0);
    expect_stat(f.pool[0], "k", OK);
    expect_stored(f.pool[0], "k", "", 0, HOLD_CACHED);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_miss_everywhere_is_absent) {
    fixture_start(&f, 3, false, 0);
    struct client client;
    client_read(&client, &f, "k", NULL, ERR_NOT_FOUND);
    ck_assert_int_eq(client.op.fault.reason, REASON_ENTRY_NOT_FOUND);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(client_report(&client, i)->result, TIER_MISS);
    }
    client_close(&client);
    fixture_stop(&f);
}
END_TEST

START_TEST(local_only_asks_nobody_else) {
    fixture_start(&f, 2, false, 0);
    fake_store(f.pool[1], "k", "x", 1, HOLD_OWNED);
    const struct chain_read_options local = {.local_only = true};
    struct client client;
    client_read(&client, &f, "k", &local, ERR_NOT_FOUND);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_MISS);
    client_close(&client);
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(no_store_fills_nothing) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "x", 1, HOLD_OWNED);
    const struct chain_read_options no_store = {.no_store = true};
    struct client client;
    client_read(&client, &f, "k", &no_store, OK);
    ck_assert(!client_report(&client, 0)->stored);
    client_close(&client);
    fixture_settle(&f);
    expect_absent(f.pool[0], "k");
    expect_absent(f.pool[1], "k");
    fixture_stop(&f);
}
END_TEST

START_TEST(a_filling_reader_joins_a_no_store_flight) {
    fixture_start(&f, 2, true, 0);
    fake_store(f.pool[1], "k", "x", 1, HOLD_OWNED);
    fake_close_gate(f.pool[1], FAKE_GATE_OPEN);
    const struct chain_read_options no_store = {.no_store = true};
    struct client first, second;
    client_start(&first, &f, f.chain, "k", &no_store);
    ck_assert_int_eq(client_poll(&first), ERR_AGAIN);
    fake_wait_held(f.pool[1], FAKE_GATE_OPEN, 1);
    client_start(&second, &f, f.chain, "k", NULL);
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    ck_assert_int_eq(client_finish(&first), OK);
    ck_assert_int_eq(client_finish(&second), OK);
    ck_assert(client_report(&second, 0)->collapsed && !client_report(&first, 0)->collapsed);
    expect_stat(f.pool[0], "k", OK);
    client_close(&first);
    client_close(&second);
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_failing_tier_is_skipped_and_spoils_what_is_above) {
    fixture_start(&f, 4, true, 0);
    fake_store(f.pool[3], "k", "x", 1, HOLD_OWNED);
    fake_fail_opens(f.pool[1], REASON_UNAVAILABLE, UINT_MAX);
    struct client client;
    client_read(&client, &f, "k", NULL, OK);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_FAILED);
    ck_assert_int_eq(client_report(&client, 1)->kind, ERR_UNAVAILABLE);
    ck_assert_int_eq(client_report(&client, 3)->result, TIER_HIT);
    ck_assert(client_report(&client, 2)->stored);
    ck_assert(!client_report(&client, 1)->stored && !client_report(&client, 0)->stored);
    client_close(&client);
    fixture_settle(&f);
    expect_absent(f.pool[0], "k");
    expect_absent(f.pool[1], "k");
    expect_stored(f.pool[2], "k", "x", 1, HOLD_CACHED);
    ck_assert_uint_eq(atomic_load(&f.pool[1]->stats.skips), 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(proof_of_no_owned_entry_lifts_the_ban) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "x", 1, HOLD_OWNED);
    fake_fail_opens(f.pool[1], REASON_CORRUPT, UINT_MAX);
    fake_prove_not_owned(f.pool[1], true);
    expect_read(&f, f.chain, "k", "x", 1);
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "x", 1, HOLD_CACHED);
    expect_stored(f.pool[1], "k", "x", 1, HOLD_CACHED);
    fixture_stop(&f);
}
END_TEST

START_TEST(fail_on_error_ends_the_walk) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "x", 1, HOLD_OWNED);
    fake_fail_opens(f.pool[1], REASON_TIMEOUT, UINT_MAX);
    f.chain->tier[1].fail_on_error = true;
    struct client client;
    client_read(&client, &f, "k", NULL, ERR_TIMEOUT);
    ck_assert_str_eq(client.op.fault.pool, "t1");
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_UNASKED);
    ck_assert_int_eq(client_poll(&client), ERR_TIMEOUT);
    client_close(&client);
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(not_found_below_a_failed_tier_is_its_failure) {
    fixture_start(&f, 4, true, 0);
    fake_fail_opens(f.pool[0], REASON_IO, UINT_MAX);
    fake_fail_opens(f.pool[2], REASON_THROTTLED, UINT_MAX);
    struct client client;
    client_read(&client, &f, "k", NULL, ERR_THROTTLED);
    ck_assert_str_eq(client.op.fault.pool, "t2");
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_FAILED);
    ck_assert_int_eq(client_report(&client, 0)->kind, ERR_UNAVAILABLE);
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_MISS);
    ck_assert_int_eq(client_report(&client, 2)->result, TIER_FAILED);
    ck_assert_int_eq(client_report(&client, 3)->result, TIER_MISS);
    client_close(&client);
    fixture_stop(&f);
}
END_TEST

START_TEST(every_kind_of_failure_at_the_only_origin_keeps_its_name) {
    static const enum reason reasons[] = {REASON_UNAVAILABLE,   REASON_TIMEOUT, REASON_THROTTLED,
                                          REASON_DENIED,        REASON_CORRUPT, REASON_BUSY,
                                          REASON_NO_SUCH_BUCKET};
    fixture_start(&f, 2, true, 0);
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        fake_fail_opens(f.pool[1], reasons[i], UINT_MAX);
        struct client client;
        client_read(&client, &f, "k", NULL, reason_kind(reasons[i]));
        ck_assert_int_eq(client.op.fault.reason, reasons[i]);
        client_close(&client);
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(an_id_too_long_for_a_tier_is_a_miss_without_a_copy) {
    const struct pool_capabilities narrow = {.fill_fence = true, .create_only = true, .max_key_bytes = 4};
    fixture_start(&f, 3, true, 0);
    fixture_replace(&f, 1, &narrow);
    fake_store(f.pool[2], "long-id", "x", 1, HOLD_OWNED);
    expect_read(&f, f.chain, "long-id", "x", 1);
    fixture_settle(&f);
    expect_stored(f.pool[0], "long-id", "x", 1, HOLD_CACHED);
    expect_absent(f.pool[1], "long-id");
    ck_assert_uint_eq(atomic_load(&f.pool[1]->stats.fill_failures), 0);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_fill_that_fails_never_fails_the_read) {
    static const enum reason reasons[] = {REASON_NO_SPACE, REASON_TOO_LARGE, REASON_POOL_READ_ONLY,
                                          REASON_IO};
    const size_t sizes[] = {10, 300 * 1024};
    fixture_start(&f, 3, true, 8 << 20);
    unsigned failures = 0;
    for (size_t i = 0; i < ARRAY_COUNT(reasons); i++) {
        for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
            char *body = make_body(sizes[s], (unsigned)i);
            fake_store(f.pool[2], "k", body, sizes[s], HOLD_OWNED);
            fake_fail_fills(f.pool[1], reasons[i]);
            expect_read(&f, f.chain, "k", body, sizes[s]);
            fixture_settle(&f);
            expect_absent(f.pool[1], "k");
            expect_stored(f.pool[0], "k", body, sizes[s], HOLD_CACHED);
            ck_assert_uint_eq(atomic_load(&f.pool[1]->stats.fill_failures), ++failures);
            empty_pool(f.pool[0]);
            free(body);
        }
    }
    fixture_stop(&f);
}
END_TEST

START_TEST(a_large_local_body_nobody_above_takes_is_read_directly) {
    fixture_start(&f, 2, false, 8 << 20);
    size_t bytes = 500 * 1024;
    char *body = make_body(bytes, 3);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    fake_fail_fills(f.pool[0], REASON_TOO_LARGE);
    struct client client;
    client_read(&client, &f, "k", NULL, OK);
    expect_body(&client, body, bytes);
    ck_assert_ptr_null(chain_read_entry(client.read));
    ck_assert_int_eq(client_report(&client, 1)->result, TIER_HIT);
    ck_assert(!client_report(&client, 0)->stored);
    client_close(&client);
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 2); /* the flight's, then the reader's own */
    expect_absent(f.pool[0], "k");
    free(body);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_damaged_cached_copy_is_replaced_and_an_owned_one_is_not) {
    fixture_start(&f, 2, true, 0);
    fake_store(f.pool[0], "k", "bad", 3, HOLD_CACHED);
    fake_store(f.pool[1], "k", "good", 4, HOLD_OWNED);
    fake_wrong_digest(f.pool[0], true);
    expect_read(&f, f.chain, "k", "good", 4);
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "good", 4, HOLD_CACHED);

    fake_store(f.pool[0], "k", "mine", 4, HOLD_OWNED);
    expect_read(&f, f.chain, "k", "good", 4); /* skipped, on_tier_error = skip */
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "mine", 4, HOLD_OWNED);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_shared_tier_is_filled_create_only) {
    /* A remote tier in the middle: create-only, in the background. */
    const struct pool_capabilities bare = {.remote = true, .stores_hold = true};
    for (int i = 0; i < 2; i++) {
        fixture_start(&f, 3, true, 0);
        fixture_replace(&f, 1, i ? &bare : &fixture_remote);
        fake_store(f.pool[2], "k", "old", 3, HOLD_OWNED);
        fake_close_gate(f.pool[2], FAKE_GATE_READ);
        struct client client;
        client_start(&client, &f, f.chain, "k", NULL);
        ck_assert_int_eq(client_poll(&client), ERR_AGAIN);
        fake_wait_held(f.pool[2], FAKE_GATE_READ, 1);
        /* Somebody else writes to the shared store meanwhile: no fence of ours tells. */
        fake_store(f.pool[1], "k", "theirs", 6, HOLD_CACHED);
        fake_open_gate(f.pool[2], FAKE_GATE_READ);
        ck_assert_int_eq(client_finish(&client), OK);
        client_close(&client);
        fixture_settle(&f);
        expect_stored(f.pool[1], "k", "theirs", 6, HOLD_CACHED);
        expect_stored(f.pool[0], "k", "old", 3, HOLD_CACHED);
        ck_assert_uint_eq(fake_counts(f.pool[1]).stats, i ? 1 : 0);
        fixture_stop(&f);
    }
}
END_TEST

START_TEST(sixty_four_tiers) {
    fixture_start(&f, 64, false, 0);
    fake_store(f.pool[63], "k", "deep", 4, HOLD_OWNED);
    struct client client;
    client_read(&client, &f, "k", NULL, OK);
    expect_body(&client, "deep", 4);
    for (unsigned i = 0; i < 63; i++) {
        expect_stat(f.pool[i], "k", OK);
        ck_assert(client_report(&client, i)->stored);
    }
    ck_assert_int_eq(client_report(&client, 63)->result, TIER_HIT);
    client_close(&client);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_remote_head_is_read_once_by_its_flight) {
    fixture_start(&f, 2, true, 0);
    fixture_replace(&f, 0, &fixture_remote);
    fake_store(f.pool[0], "k", "x", 1, HOLD_OWNED);
    struct client client;
    client_read(&client, &f, "k", NULL, OK);
    ck_assert_int_eq(client_report(&client, 0)->result, TIER_HIT);
    client_close(&client);
    ck_assert_uint_eq(fake_counts(f.pool[0]).opens, 1);
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 0);
    fixture_stop(&f);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("cascade");
    TCase *tcase = tcase_create("cascade");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, every_tier_that_missed_gets_a_copy);
    tcase_add_loop_test(tcase, a_cold_read_is_one_miss_a_tier, 0, 2);
    tcase_add_test(tcase, a_hit_stops_the_walk);
    tcase_add_test(tcase, empty_bodies_are_values);
    tcase_add_test(tcase, a_miss_everywhere_is_absent);
    tcase_add_test(tcase, local_only_asks_nobody_else);
    tcase_add_test(tcase, no_store_fills_nothing);
    tcase_add_test(tcase, a_filling_reader_joins_a_no_store_flight);
    tcase_add_test(tcase, a_failing_tier_is_skipped_and_spoils_what_is_above);
    tcase_add_test(tcase, proof_of_no_owned_entry_lifts_the_ban);
    tcase_add_test(tcase, fail_on_error_ends_the_walk);
    tcase_add_test(tcase, not_found_below_a_failed_tier_is_its_failure);
    tcase_add_test(tcase, every_kind_of_failure_at_the_only_origin_keeps_its_name);
    tcase_add_test(tcase, an_id_too_long_for_a_tier_is_a_miss_without_a_copy);
    tcase_add_test(tcase, a_fill_that_fails_never_fails_the_read);
    tcase_add_test(tcase, a_large_local_body_nobody_above_takes_is_read_directly);
    tcase_add_test(tcase, a_damaged_cached_copy_is_replaced_and_an_owned_one_is_not);
    tcase_add_test(tcase, a_shared_tier_is_filled_create_only);
    tcase_add_test(tcase, sixty_four_tiers);
    tcase_add_test(tcase, a_remote_head_is_read_once_by_its_flight);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
