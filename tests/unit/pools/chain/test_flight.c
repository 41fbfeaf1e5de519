/* test_flight.c - what many reads of one key do to each other. Writes in between: test_writes_during_flights.c.
 *
 * Concurrency is ordered by the fake pools' gates: while a gate is closed the fetch stands still at a known place.
 */
#include "pools/base/hash.h"
#include "pools/chain/flight_table.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 200

static struct fixture f;
static struct client clients[MANY];

static void start_many(struct tiers *tiers, unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        client_begin(&clients[i], &f, tiers, "k");
    }
}

/* So many readers of the whole chain have begun, and their fetch stands at the origin's gate. */
static void gather(unsigned count) {
    struct pool *origin = f.pool[f.pool_count - 1];
    fake_close_gate(origin, FAKE_GATE_OPEN);
    start_many(f.chain, 0, count);
    fake_wait_held(origin, FAKE_GATE_OPEN, 1);
}

static void close_many(unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        client_close(&clients[i]);
    }
}

START_TEST(two_hundred_readers_of_a_cold_key_are_one_fetch) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "hello", 5, HOLD_OWNED);
    gather(MANY);
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
        expect_body(&clients[i], "hello", 5);
    }
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 1);
    close_many(0, MANY);
    expect_stat(f.pool[0], "k", OK);
    expect_stat(f.pool[1], "k", OK);
    ck_assert_uint_eq(fake_counts(f.pool[0]).commits, 1);
    ck_assert_uint_eq(fake_counts(f.pool[1]).commits, 1);
    fixture_stop(&f);
}
END_TEST

START_TEST(two_walks_that_meet_share_the_fetch_below) {
    /* t0 << t2 << t3 and t1 << t2 << t3. */
    fixture_start(&f, 4, true, 0);
    fake_store(f.pool[3], "k", "x", 1, HOLD_OWNED);
    fake_close_gate(f.pool[3], FAKE_GATE_OPEN);
    fake_close_gate(f.pool[2],
                    FAKE_GATE_COMMIT); /* however late the second walk comes down, it meets the first */
    struct tiers *left = fixture_tiers(&f, 1, 3, 0, 2, 3);
    struct tiers *right = fixture_tiers(&f, 1, 3, 1, 2, 3);
    start_many(left, 0, 1);
    fake_wait_held(f.pool[3], FAKE_GATE_OPEN, 1);
    start_many(right, 1, 2);
    fake_open_gate(f.pool[3], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
    }
    ck_assert(!client_report(&clients[1], 0)->collapsed);
    ck_assert(client_report(&clients[1], 1)->collapsed);
    fake_open_gate(f.pool[2], FAKE_GATE_COMMIT);
    close_many(0, 2);
    fixture_settle(&f);
    ck_assert_uint_eq(fake_counts(f.pool[3]).opens, 1);
    for (unsigned i = 0; i < 3; i++) {
        expect_stored(f.pool[i], "k", "x", 1, HOLD_CACHED);
    }
    tiers_unref(left);
    tiers_unref(right);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_failure_costs_one_reader_and_begins_anew_for_the_others) {
    fixture_start(&f, 2, true, 0);
    fake_store(f.pool[1], "k", "x", 1, HOLD_OWNED);
    fake_fail_opens(f.pool[1], REASON_UNAVAILABLE, 1);
    gather(MANY);
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    ck_assert_int_eq(client_wait(&clients[0]), ERR_UNAVAILABLE);
    for (unsigned i = 1; i < MANY; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
    }
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 2);
    close_many(0, MANY);
    expect_stat(f.pool[0], "k", OK);
    fixture_stop(&f);
}
END_TEST

START_TEST(a_dead_origin_costs_two_fetches) {
    fixture_start(&f, 3, true, 0);
    fake_fail_opens(f.pool[2], REASON_TIMEOUT, UINT_MAX);
    gather(MANY);
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(client_wait(&clients[i]), ERR_TIMEOUT);
        ck_assert_str_eq(clients[i].op.fault.pool, "t2");
    }
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 2);
    close_many(0, MANY);
    fixture_stop(&f);
}
END_TEST

static void say(void *context) {
    atomic_store_explicit((atomic_bool *)context, true, memory_order_relaxed);
}

static void say_nothing(void *context) {
    (void)context;
}

/* The second waiter leaves while the table's lock is held by who moves it to another flight. That its flight is read under that lock only
 * ThreadSanitizer sees; so nothing here may order the two threads: the word that the move has begun is a relaxed one, and is waited for
 * by looking. */
START_TEST(a_waiter_may_leave_while_it_is_moved) {
    for (int round = 0; round < 20; round++) {
        atomic_bool is_moving;
        atomic_init(&is_moving, false);
        fixture_start(&f, 2, true, 0);
        fake_fail_opens(f.pool[1], REASON_UNAVAILABLE, 1);
        fake_close_gate(f.pool[1], FAKE_GATE_OPEN);
        struct op op;
        op_init(&op, 0, 0);
        struct id id = make_id("k");
        const struct flight_ask ask = {.wants_copy = true, .create = true};
        struct flight_ticket first = {.waker = {.wake = say, .context = &is_moving}};
        struct flight_ticket second = {.waker = {.wake = say_nothing}};
        ck_assert_int_eq(flight_enter(f.flights, &op, f.chain, &id, &ask, &first), OK);
        ck_assert_int_eq(flight_enter(f.flights, &op, f.chain, &id, &ask, &second), OK);
        ck_assert(second.collapsed);
        fake_wait_held(f.pool[1], FAKE_GATE_OPEN, 1);
        fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
        while (!atomic_load_explicit(&is_moving, memory_order_relaxed)) {
            sched_yield();
        }
        flight_leave(f.flights, &second);
        flight_leave(f.flights, &first);
        fixture_stop(&f); /* every flight has gone */
    }
}
END_TEST

START_TEST(not_found_is_shared) {
    fixture_start(&f, 2, true, 0);
    gather(MANY);
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_int_eq(client_wait(&clients[i]), ERR_NOT_FOUND);
    }
    ck_assert_uint_eq(fake_counts(f.pool[1]).opens, 1);
    close_many(0, MANY);
    fixture_stop(&f);
}
END_TEST

START_TEST(readers_that_leave_do_not_end_the_flight) {
    fixture_start(&f, 2, true, 0);
    fake_store(f.pool[1], "k", "x", 1, HOLD_OWNED);
    gather(3);
    close_many(0, 3);
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "x", 1, HOLD_CACHED);
    fixture_stop(&f);
}
END_TEST

START_TEST(an_operation_after_the_answer_waits_for_the_copy) {
    const size_t sizes[] = {10, 300 * 1024};
    for (int s = 0; s < 2; s++) {
        char *body = make_body(sizes[s], 1);
        fixture_start(&f, 3, true, 8 << 20);
        fake_store(f.pool[2], "k", body, sizes[s], HOLD_OWNED);
        fake_close_gate(f.pool[1], FAKE_GATE_COMMIT);
        start_many(f.chain, 0, 1);
        ck_assert_int_eq(client_finish(&clients[0]), OK); /* answered while the copy is being committed */
        struct id id = make_id("k");
        ck_assert(fence_is_settling(&f.pool[1]->fences, &id));
        struct entry *entry = NULL;
        ck_assert_int_eq(pool_peek(f.pool[1], &id, &entry), ERR_AGAIN);
        fake_open_gate(f.pool[1], FAKE_GATE_COMMIT);
        expect_stat(f.pool[1], "k", OK);
        expect_stat(f.pool[0], "k", OK);
        close_many(0, 1);
        fixture_stop(&f);
        free(body);
    }
}
END_TEST

START_TEST(readers_tail_a_growing_stream) {
    /* Larger than memory is allowed to hold: the tail is in the spool. */
    size_t bytes = 3 * FIXTURE_FLIGHT_MOST;
    char *body = make_body(bytes, 7);
    fixture_start(&f, 3, true, 64 << 20);
    fake_store(f.pool[2], "k", body, bytes, HOLD_OWNED);
    fake_close_read_gate_at(f.pool[2], bytes / 2);
    start_many(f.chain, 0, 2);
    ck_assert_int_eq(client_wait(&clients[0]), OK); /* the head is known before the body is there */
    ck_assert_uint_eq(chain_read_meta(clients[0].read)->size_bytes, bytes);
    ck_assert_ptr_null(chain_read_entry(clients[0].read));
    char *got = malloc(bytes);
    size_t at = 0;
    while (at < bytes / 2) {
        size_t count = 0;
        ck_assert_int_eq(client_next(&clients[0], got + at, bytes - at, &count), OK);
        at += count;
    }
    ck_assert_uint_eq(at, bytes / 2);
    size_t count = 0;
    ck_assert_int_eq(chain_read_next(clients[0].read, &clients[0].op, got + at, bytes - at, &count),
                     ERR_AGAIN);
    /* A late reader joins in the middle and gets everything; a slow one (1) has taken nothing yet. */
    start_many(f.chain, 2, 3);
    fake_open_gate(f.pool[2], FAKE_GATE_READ);
    do {
        ck_assert_int_eq(client_next(&clients[0], got + at, bytes - at + 1, &count), OK);
        at += count;
    } while (count);
    ck_assert_uint_eq(at, bytes);
    ck_assert(memcmp(got, body, bytes) == 0);
    expect_stat(f.pool[0], "k", OK);
    expect_stat(f.pool[1], "k", OK);
    for (unsigned i = 1; i < 3; i++) {
        ck_assert_int_eq(client_finish(&clients[i]), OK);
        expect_body(&clients[i], body, bytes);
    }
    ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 1);
    close_many(0, 3);
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", body, bytes, HOLD_CACHED);
    expect_stored(f.pool[1], "k", body, bytes, HOLD_CACHED);
    fixture_stop(&f);
    free(got);
    free(body);
}
END_TEST

START_TEST(a_body_of_unknown_length_is_an_entry_when_small) {
    const size_t sizes[] = {0, 1000, FIXTURE_ENTRY_MOST, FIXTURE_ENTRY_MOST + 1, 700 * 1024};
    for (size_t s = 0; s < ARRAY_COUNT(sizes); s++) {
        char *body = make_body(sizes[s], 7);
        fixture_start(&f, 2, true, 8 << 20);
        fake_store(f.pool[1], "k", body, sizes[s], HOLD_OWNED);
        fake_hide_length(f.pool[1], true);
        start_many(f.chain, 0, 1);
        ck_assert_int_eq(client_finish(&clients[0]), OK);
        expect_body(&clients[0], body, sizes[s]);
        ck_assert(sizes[s] > FIXTURE_ENTRY_MOST || chain_read_entry(clients[0].read));
        expect_stat(f.pool[0], "k", OK);
        expect_stored(f.pool[0], "k", body, sizes[s], HOLD_CACHED);
        close_many(0, 1);
        fixture_stop(&f);
        free(body);
    }
}
END_TEST

START_TEST(a_source_that_breaks_off_cuts_readers_and_leaves_no_copy) {
    size_t bytes = 500 * 1024;
    char *body = make_body(bytes, 9);
    for (int lying = 0; lying < 3; lying++) {
        fixture_start(&f, 3, true, 8 << 20);
        fake_store(f.pool[2], "k", body, bytes, HOLD_OWNED);
        if (lying == 2) {
            fake_wrong_digest(f.pool[2], true);
        } else {
            fake_cut_bodies(f.pool[2], 200 * 1024, lying);
        }
        client_read(&clients[0], &f, "k", NULL, ERR_CORRUPT);
        ck_assert_uint_le(clients[0].body_bytes, lying == 2 ? bytes : 200 * 1024);
        close_many(0, 1);
        fixture_settle(&f);
        expect_absent(f.pool[0], "k");
        expect_absent(f.pool[1], "k");
        ck_assert_uint_eq(atomic_load(&f.pool[0]->stats.fill_failures), 0);
        fixture_stop(&f);
    }
    free(body);
}
END_TEST

START_TEST(a_small_body_that_breaks_off_is_a_failed_tier) {
    fixture_start(&f, 4, true, 0);
    fake_store(f.pool[2], "k", "broken", 6, HOLD_OWNED);
    fake_store(f.pool[3], "k", "origin", 6, HOLD_OWNED);
    fake_cut_bodies(f.pool[2], 3, true);
    expect_read(&f, f.chain, "k", "origin", 6); /* nobody was answered yet: the walk goes on */
    fixture_settle(&f);
    expect_absent(f.pool[0], "k"); /* and what it found is no copy for those above */
    expect_absent(f.pool[1], "k");
    fixture_stop(&f);
}
END_TEST

START_TEST(a_full_spool_cuts_readers_and_leaves_no_copy) {
    size_t bytes = 3 * FIXTURE_FLIGHT_MOST;
    char *body = make_body(bytes, 9);
    fixture_start(&f, 2, true, FIXTURE_FLIGHT_MOST * 2);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    client_read(&clients[0], &f, "k", NULL, ERR_NO_SPACE);
    close_many(0, 1);
    fixture_settle(&f);
    expect_absent(f.pool[0], "k");
    fixture_stop(&f);
    free(body);
}
END_TEST

START_TEST(rewiring_in_the_middle_of_a_flight) {
    /* t0 << t1 << t2 becomes t0 << t3 while a read is under way. */
    fixture_start(&f, 4, false, 0);
    fake_store(f.pool[2], "k", "old", 3, HOLD_OWNED);
    fake_store(f.pool[3], "k", "new", 3, HOLD_OWNED);
    fake_close_gate(f.pool[2], FAKE_GATE_OPEN);
    struct tiers *before = fixture_tiers(&f, 1, 3, 0, 1, 2);
    struct tiers *after = fixture_tiers(&f, 2, 2, 0, 3);
    start_many(before, 0, 1);
    fake_wait_held(f.pool[2], FAKE_GATE_OPEN, 1);
    client_start(&clients[1], &f, after, "k", NULL);
    ck_assert_int_eq(client_finish(&clients[1]), OK); /* does not wait for the old chain */
    expect_body(&clients[1], "new", 3);
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    ck_assert_int_eq(client_finish(&clients[0]), OK);
    expect_body(&clients[0], "old", 3); /* finishes on the chain it began with */
    close_many(0, 2);
    fixture_settle(&f);
    expect_stored(f.pool[1], "k", "old", 3, HOLD_CACHED);
    tiers_unref(before);
    tiers_unref(after);
    fixture_stop(&f);
}
END_TEST

START_TEST(draining_with_cancel_ends_what_is_under_way) {
    size_t bytes = 700 * 1024;
    char *body = make_body(bytes, 9);
    fixture_start(&f, 2, true, 8 << 20);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    fake_close_read_gate_at(f.pool[1], 300 * 1024);
    start_many(f.chain, 0, 1);
    fake_wait_held(f.pool[1], FAKE_GATE_READ, 1);
    close_many(0, 1);
    fake_open_gate(f.pool[1], FAKE_GATE_READ);
    flights_drain(f.flights, true);
    struct entry *entry = fake_stored(f.pool[0], "k"); /* whole, or not at all */
    ck_assert(!entry || entry->body->size == bytes);
    entry_unref(entry);
    fixture_stop(&f);
    free(body);
}
END_TEST

static bool is_table_empty(void) {
    mutex_lock(&f.flights->mutex);
    bool empty = f.flights->open.count == 0;
    mutex_unlock(&f.flights->mutex);
    return empty;
}

/* A body is asked whether anybody wants it whenever it has grown, and the copy that no tier takes may be late to end: so let through
 * one byte after the other, `from` bytes having been. */
static void grow_until_table_is_empty(struct pool *origin, uint64_t from) {
    uint64_t let_through = from;
    while (!is_table_empty()) {
        if (fake_counts(origin).read_bytes == let_through) {
            fake_close_read_gate_at(origin, ++let_through);
        }
        sched_yield();
    }
}

START_TEST(a_large_body_that_nobody_takes_any_more_is_not_fetched_to_its_end) {
    size_t bytes = 8 << 20;
    char *body = make_body(bytes, 9);
    fixture_start(&f, 2, true, 64 << 20);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    fake_fail_fills(f.pool[0], REASON_TOO_LARGE);
    fake_close_read_gate_at(f.pool[1], 100 * 1024);
    start_many(f.chain, 0, 1);
    ck_assert_int_eq(client_wait(&clients[0]), OK);
    fake_wait_held(f.pool[1], FAKE_GATE_READ, 1);
    close_many(0, 1);
    grow_until_table_is_empty(f.pool[1], 100 * 1024);
    fake_open_gate(f.pool[1], FAKE_GATE_READ);
    fixture_settle(&f);
    ck_assert_uint_lt(fake_counts(f.pool[1]).read_bytes, bytes / 2);
    fixture_stop(&f);
    free(body);
}
END_TEST

static size_t flights_alive(void) {
    mutex_lock(&f.flights->mutex);
    size_t alive = f.flights->alive;
    mutex_unlock(&f.flights->mutex);
    return alive;
}

START_TEST(a_reader_of_local_tiers_does_not_wait_behind_a_network) {
    /* t0 << t3 << t1 and t2 << t1, where t3 is remote and stuck: the walk that passed it found a body in t1. */
    enum { STUCK = 8 };
    size_t bytes = 300 * 1024;
    char *body = make_body(bytes, 4);
    fixture_start(&f, 4, true, 8 << 20);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    fake_close_gate(f.pool[1], FAKE_GATE_OPEN);
    struct tiers *through = fixture_tiers(&f, 1, 3, 0, 3, 1);
    struct tiers *local = fixture_tiers(&f, 1, 2, 2, 1);
    struct tiers *remote = fixture_tiers(&f, 1, 2, 0, 3);
    start_many(through, 0, 1);
    fake_wait_held(f.pool[1], FAKE_GATE_OPEN, 1);
    fake_close_gate(f.pool[3], FAKE_GATE_OPEN);
    for (unsigned i = 2; i < 2 + STUCK; i++) {
        char id[8];
        snprintf(id, sizeof id, "id-%u", i);
        client_begin(&clients[i], &f, remote, id);
    }
    while (flights_alive() < 3 + 2 * STUCK) { /* more of them than the remote lane has threads */
        sched_yield();
    }
    start_many(local, 1, 2);
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    ck_assert_int_eq(client_finish(&clients[1]), OK);
    ck_assert_uint_eq(clients[1].body_bytes, bytes);
    ck_assert_mem_eq(clients[1].body, body, bytes);
    fake_open_gate(f.pool[3], FAKE_GATE_OPEN);
    ck_assert_int_eq(client_finish(&clients[0]), OK);
    for (unsigned i = 2; i < 2 + STUCK; i++) {
        ck_assert_int_eq(client_wait(&clients[i]), ERR_NOT_FOUND);
    }
    close_many(0, 2 + STUCK);
    tiers_unref(through);
    tiers_unref(local);
    tiers_unref(remote);
    fixture_stop(&f);
    free(body);
}
END_TEST

START_TEST(a_waiter_keeps_its_own_deadline) {
    fixture_start(&f, 2, true, 0);
    gather(1);
    clients[0].op.deadline_ns = 1;
    ck_assert_int_eq(client_poll(&clients[0]), ERR_TIMEOUT);
    close_many(0, 1);
    fake_open_gate(f.pool[1], FAKE_GATE_OPEN);
    fixture_stop(&f);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("flight");
    TCase *tcase = tcase_create("flight");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, two_hundred_readers_of_a_cold_key_are_one_fetch);
    tcase_add_test(tcase, two_walks_that_meet_share_the_fetch_below);
    tcase_add_test(tcase, a_failure_costs_one_reader_and_begins_anew_for_the_others);
    tcase_add_test(tcase, a_dead_origin_costs_two_fetches);
    tcase_add_test(tcase, a_waiter_may_leave_while_it_is_moved);
    tcase_add_test(tcase, not_found_is_shared);
    tcase_add_test(tcase, readers_that_leave_do_not_end_the_flight);
    tcase_add_test(tcase, an_operation_after_the_answer_waits_for_the_copy);
    tcase_add_test(tcase, readers_tail_a_growing_stream);
    tcase_add_test(tcase, a_body_of_unknown_length_is_an_entry_when_small);
    tcase_add_test(tcase, a_source_that_breaks_off_cuts_readers_and_leaves_no_copy);
    tcase_add_test(tcase, a_small_body_that_breaks_off_is_a_failed_tier);
    tcase_add_test(tcase, a_full_spool_cuts_readers_and_leaves_no_copy);
    tcase_add_test(tcase, rewiring_in_the_middle_of_a_flight);
    tcase_add_test(tcase, draining_with_cancel_ends_what_is_under_way);
    tcase_add_test(tcase, a_large_body_that_nobody_takes_any_more_is_not_fetched_to_its_end);
    tcase_add_test(tcase, a_reader_of_local_tiers_does_not_wait_behind_a_network);
    tcase_add_test(tcase, a_waiter_keeps_its_own_deadline);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
