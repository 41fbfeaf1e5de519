/* test_refreshes.c - refreshes (Cache-Control: no-cache) of one key and what they share. What one of them does to copies:
 * tests/behaviour/test_refresh.py.
 *
 * The fixture's lane for remote pools has four threads, half of them for one pool: two refreshes stand at the gate of a remote pool, the others
 * queue for their look.
 */
#include "pools/base/hash.h"
#include "pools/chain/flight_table.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <sched.h>
#include <stdlib.h>

#define AT_THE_GATE 2
#define MANY 12

static struct fixture f;
static struct client clients[MANY];
static const struct chain_read_options refresh = {.refresh = true};

/* Whether nothing is under way but looks into this tier. */
static bool all_wait_for(unsigned tier) {
    bool all = true;
    mutex_lock(&f.flights->mutex);
    for (const struct flight *flight = f.flights->unfinished; flight; flight = flight->older) {
        all = all && (flight->state == FLIGHT_FOLLOWING ||
                      (flight->state == FLIGHT_LOOKING && flight->index == tier));
    }
    mutex_unlock(&f.flights->mutex);
    return all;
}

/* AT_THE_GATE of them are looking into the remote tier, the others are queued for it. */
static void gather(struct tiers *tiers, unsigned remote_tier) {
    struct pool *remote = tiers->tier[remote_tier].pool;
    fake_close_gate(remote, FAKE_GATE_OPEN);
    for (unsigned i = 0; i < MANY; i++) {
        client_start(&clients[i], &f, tiers, "k", &refresh);
        if (i < AT_THE_GATE) {
            fake_wait_held(remote, FAKE_GATE_OPEN, i + 1);
        }
    }
    while (!all_wait_for(remote_tier)) {
        sched_yield();
    }
}

static void close_all(void) {
    for (unsigned i = 0; i < MANY; i++) {
        client_close(&clients[i]);
    }
}

START_TEST(those_that_have_not_looked_yet_are_one_fetch) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[0], "k", "old", 3, HOLD_CACHED);
    fake_store(f.pool[1], "k", "old", 3, HOLD_CACHED);
    fake_store(f.pool[2], "k", "older", 5, HOLD_OWNED);
    gather(f.chain, 2);
    fake_store(f.pool[2], "k", "new", 3, HOLD_OWNED);
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
        expect_body(&clients[i], "new", 3);
    }
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, AT_THE_GATE + 1);
    close_all();
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "new", 3, HOLD_CACHED);
    expect_stored(f.pool[1], "k", "new", 3, HOLD_CACHED);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_failure_is_one_readers_and_the_others_refresh_again) {
    /* t1 << t0, where t1 is remote and its failure the answer's; t2 and t3 keep all threads for remote pools busy. */
    enum { BUSY = 2 * AT_THE_GATE };
    fixture_start(&f, 4, true, 0);
    fixture_replace(&f, 1, &fixture_remote);
    fixture_replace(&f, 2, &fixture_remote);
    fake_store(f.pool[1], "k", "old", 3, HOLD_CACHED);
    fake_store(f.pool[0], "k", "new", 3, HOLD_OWNED);
    fake_fail_opens(f.pool[1], REASON_DENIED, 1);
    struct tiers *tiers = fixture_tiers(&f, 1, 2, 1, 0);
    tiers->tier[0].fail_on_error = true;
    struct tiers *busy[] = {fixture_tiers(&f, 1, 2, 2, 0), fixture_tiers(&f, 1, 2, 3, 0)};
    for (unsigned i = 0; i < BUSY; i++) {
        struct pool *pool = busy[i / AT_THE_GATE]->tier[0].pool;
        fake_close_gate(pool, FAKE_GATE_OPEN);
        client_start(&clients[i], &f, busy[i / AT_THE_GATE], i % 2 ? "a" : "b", NULL);
        fake_wait_held(pool, FAKE_GATE_OPEN, i % AT_THE_GATE + 1);
    }
    for (unsigned i = BUSY; i < MANY; i++) {
        client_start(&clients[i], &f, tiers, "k", &refresh);
    }
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    fake_open_gate(f.pool[3], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < BUSY; i++) {
        ck_assert_int_eq(client_wait(&clients[i]), ERR_NOT_FOUND);
    }
    ck_assert_int_eq(client_wait(&clients[BUSY]), ERR_DENIED);
    for (unsigned i = BUSY + 1; i < MANY; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
        expect_body(&clients[i], "new", 3);
    }
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 2);
    close_all();
    tiers_unref(tiers);
    tiers_unref(busy[0]);
    tiers_unref(busy[1]);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_plain_read_joins_none_of_them) {
    /* The copy below it is good enough for a plain read. */
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[1], "k", "old", 3, HOLD_CACHED);
    fake_store(f.pool[2], "k", "new", 3, HOLD_OWNED);
    gather(f.chain, 2);
    expect_read(&f, f.chain, "k", "old", 3);
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
        expect_body(&clients[i], "new", 3);
    }
    close_all();
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "new", 3, HOLD_CACHED);
    fixture_stop(&f);
}
END_TEST

/* The earlier one comes to the tier last, with a copy like the outdated one: what the later one has left there stays. */
START_TEST(one_that_is_overtaken_drops_nothing) {
    for (unsigned round = 0; round < 20; round++) {
        fixture_start(&f, 3, true, 0);
        fake_store(f.pool[1], "k", "same", 4, HOLD_CACHED);
        fake_store(f.pool[2], "k", "same", 4, HOLD_OWNED);
        fake_close_gate(f.pool[1], FAKE_GATE_COMMIT);
        for (unsigned i = 0; i < 2; i++) {
            client_start(&clients[i], &f, f.chain, "k", &refresh);
            ck_assert_int_eq(client_finish(&clients[i]), OK);
            expect_body(&clients[i], "same", 4);
            fake_wait_held(f.pool[1], FAKE_GATE_COMMIT, i + 1);
        }
        fake_open_gate(f.pool[1], FAKE_GATE_COMMIT);
        client_close(&clients[0]);
        client_close(&clients[1]);
        fixture_settle(&f);
        expect_stored(f.pool[1], "k", "same", 4, HOLD_CACHED);
        fixture_stop(&f);
    }
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("refreshes");
    TCase *tcase = tcase_create("refreshes");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, those_that_have_not_looked_yet_are_one_fetch);
    tcase_add_test(tcase, a_failure_is_one_readers_and_the_others_refresh_again);
    tcase_add_test(tcase, a_plain_read_joins_none_of_them);
    tcase_add_test(tcase, one_that_is_overtaken_drops_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
