/* test_writes_during_flights.c - what a local write does to flights under way: it wins, their copies do not
 * undo it, and a read that begins after it was acknowledged gets what was written.
 *
 * The dangerous moment is the write itself: its fences are broken before the backend is entered, so a flight that begins while
 * the backend is at work has a whole fence and has seen the pool as it was before. The gates make that order certain. See also test_flight.c.
 */
#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/chain/flight_table.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static struct fixture f;
static struct client clients[2];

/* t0 << t1 << t2, and the origin t2 has the old body. */
static void setup(void) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "old", 3, HOLD_OWNED);
}

static void teardown(void) {
    fixture_stop(&f);
}

struct put {
    struct pool *pool;
    enum err err;
};

static enum err put_new(struct pool *pool) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = make_id("k");
    struct write_options options = {.condition = NULL};
    meta_init(&options.meta);
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    enum err err = pool_open_writer(pool, &op, &id, &options, &writer);
    if (!err) {
        err = pool_writer_write(writer, &op, "new", 3);
    }
    struct commit_result result;
    if (!err) {
        err = pool_writer_commit(writer, &op, &result);
    }
    if (!err) {
        meta_fini(&result.meta);
    }
    return err;
}

static void delete_from(struct pool *pool) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = make_id("k");
    bool existed;
    ck_assert_int_eq(pool_remove(pool, &op, &id, NULL, &existed), OK);
}

static void *put_main(void *argument) {
    struct put *put = argument;
    put->err = put_new(put->pool);
    return NULL;
}

/* Looped over the tier that is written. */
START_TEST(a_read_after_an_acknowledged_write_does_not_join_a_flight_that_looked_before_it) {
    struct pool *written = f.pool[_i];
    struct client early, late;
    struct put put = {.pool = written};
    pthread_t putter;
    fake_close_gate(written, FAKE_GATE_COMMIT);
    fake_close_gate(f.pool[2], FAKE_GATE_OPEN);
    ck_assert_int_eq(pthread_create(&putter, NULL, put_main, &put), 0);
    fake_wait_held(written, FAKE_GATE_COMMIT, 1); /* fences are broken, nothing is to be seen yet */
    client_start(&early, &f, f.chain, "k", NULL);
    ck_assert_int_eq(client_poll(&early), ERR_AGAIN);
    fake_wait_held(f.pool[2], FAKE_GATE_OPEN, 1); /* it has missed in both tiers */
    fake_open_gate(written, FAKE_GATE_COMMIT);
    pthread_join(putter, NULL);
    ck_assert_int_eq(put.err, OK);

    client_begin(&late, &f, f.chain, "k");
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    ck_assert_int_eq(client_finish(&early), OK);
    expect_body(&early, "old", 3); /* it began before */
    ck_assert_int_eq(client_finish(&late), OK);
    expect_body(&late, "new", 3);
    client_close(&early);
    client_close(&late);
    fixture_settle(&f);
    for (int i = 0; i <= _i; i++) {
        struct entry *entry = fake_stored(f.pool[i], "k");
        ck_assert_msg(!entry || memcmp(entry->body->data, "new", 3) == 0, "t%d got the old body", i);
        entry_unref(entry);
    }
    expect_stored(written, "k", "new", 3, HOLD_OWNED);
    expect_read(&f, f.chain, "k", "new", 3);
}
END_TEST

/* The newest flight of tier 0 and those below it, down to tier `index`, wait for the same answer. */
static bool walk_has_come_down_to(unsigned index) {
    mutex_lock(&f.flights->mutex);
    const struct flight *flight = f.flights->unfinished;
    while (flight && !(flight->index == 0 && flight->in_table)) {
        flight = flight->older;
    }
    for (unsigned i = 0; flight && i < index; i++) {
        flight = flight->lower;
    }
    mutex_unlock(&f.flights->mutex);
    return flight;
}

static void wait_for_walk_down_to(unsigned index) {
    uint64_t deadline_ns = clock_now_ns() + 10 * NS_PER_S;
    while (!walk_has_come_down_to(index)) {
        ck_assert_msg(clock_now_ns() < deadline_ns, "the walk did not come down to tier %u", index);
        sched_yield();
    }
}

/* A fill that is about to commit (or a body still coming, `at_read`) when somebody writes locally. */
static void write_during_flight(unsigned written_tier, bool remove, bool at_read, size_t bytes) {
    char *body = make_body(bytes, 1);
    fixture_start(&f, 3, true, 8 << 20);
    fake_store(f.pool[2], "k", body, bytes, HOLD_OWNED);
    if (at_read) {
        fake_close_read_gate_at(f.pool[2], 0);
    } else {
        fake_close_gate(f.pool[2], FAKE_GATE_OPEN);
    }
    client_begin(&clients[0], &f, f.chain, "k");
    fake_wait_held(f.pool[2], at_read ? FAKE_GATE_READ : FAKE_GATE_OPEN, 1);
    if (remove) {
        delete_from(f.pool[written_tier]);
    } else {
        ck_assert_int_eq(put_new(f.pool[written_tier]), OK);
    }

    /* A reader that comes now does not join what began before the write. */
    client_start(&clients[1], &f, f.chain, "k", NULL);
    enum err second = client_poll(&clients[1]);
    if (remove) {
        wait_for_walk_down_to(2); /* before the first flight may be over */
    }
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    fake_open_gate(f.pool[2], FAKE_GATE_READ);
    ck_assert_int_eq(client_finish(&clients[0]), OK);
    ck_assert_uint_eq(clients[0].body_bytes, bytes);
    ck_assert_int_eq(client_finish(&clients[1]), OK);
    if (remove) {
        ck_assert_int_eq(second, ERR_AGAIN);
        ck_assert_uint_eq(clients[1].body_bytes, bytes);
        ck_assert_uint_eq(fake_counts(f.pool[2]).opens, 1); /* below the tier written to, walks still meet */
    } else {
        expect_body(&clients[1], "new", 3);
    }
    client_close(&clients[0]);
    client_close(&clients[1]);
    fixture_settle(&f);
    if (!remove) {
        expect_stored(f.pool[written_tier], "k", "new", 3, HOLD_OWNED);
        if (written_tier == 1) {
            expect_stored(f.pool[0], "k", "new", 3, HOLD_CACHED);
        }
    }
    teardown();
    free(body);
}

START_TEST(a_put_during_a_flight_wins) {
    const size_t sizes[] = {10, 300 * 1024};
    for (int s = 0; s < 2; s++) {
        for (unsigned tier = 0; tier < 2; tier++) {
            write_during_flight(tier, false, false, sizes[s]);
            write_during_flight(tier, false, true, sizes[s]);
        }
    }
}
END_TEST

START_TEST(a_delete_during_a_flight_closes_it_to_new_readers) {
    write_during_flight(0, true, false, 10);
    write_during_flight(1, true, false, 10);
}
END_TEST

START_TEST(a_delete_during_a_flight_is_not_undone) {
    const size_t sizes[] = {10, 300 * 1024};
    for (int s = 0; s < 2; s++) {
        char *body = make_body(sizes[s], 1);
        fixture_start(&f, 3, true, 8 << 20);
        fake_store(f.pool[2], "k", body, sizes[s], HOLD_OWNED);
        fake_close_read_gate_at(f.pool[2], 0);
        client_begin(&clients[0], &f, f.chain, "k");
        fake_wait_held(f.pool[2], FAKE_GATE_READ, 1);
        delete_from(f.pool[1]);
        empty_pool(f.pool[0]);
        fake_open_gate(f.pool[2], FAKE_GATE_READ);
        ck_assert_int_eq(client_finish(&clients[0]), OK);
        client_close(&clients[0]);
        fixture_settle(&f);
        expect_absent(f.pool[0], "k");
        expect_absent(f.pool[1], "k");
        ck_assert_uint_eq(atomic_load(&f.pool[0]->stats.fill_failures), 0);
        teardown();
        free(body);
    }
}
END_TEST

START_TEST(a_write_at_the_source_closes_the_flight) {
    size_t bytes = 300 * 1024;
    char *body = make_body(bytes, 1);
    fixture_start(&f, 2, true, 8 << 20);
    fake_store(f.pool[1], "k", body, bytes, HOLD_OWNED);
    fake_close_read_gate_at(f.pool[1], 1000);
    client_begin(&clients[0], &f, f.chain, "k");
    fake_wait_held(f.pool[1], FAKE_GATE_READ, 1);
    ck_assert_int_eq(client_wait(&clients[0]), OK);
    ck_assert_int_eq(put_new(f.pool[1]), OK);
    client_start(&clients[1], &f, f.chain, "k", NULL);
    (void)client_poll(&clients[1]);
    fake_open_gate(f.pool[1], FAKE_GATE_READ);
    ck_assert_int_eq(client_finish(&clients[1]), OK);
    ck_assert_uint_eq(clients[1].body_bytes, 3);
    ck_assert_int_eq(client_finish(&clients[0]), OK);
    expect_body(&clients[0], body, bytes); /* it finishes on what it began with */
    client_close(&clients[0]);
    client_close(&clients[1]);
    fixture_settle(&f);
    expect_stored(f.pool[0], "k", "new", 3, HOLD_CACHED); /* never the old one after the new one */
    teardown();
    free(body);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("writes during flights");
    TCase *tcase = tcase_create("a write under way");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(
        tcase, a_read_after_an_acknowledged_write_does_not_join_a_flight_that_looked_before_it, 0, 2);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("a flight under way");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_put_during_a_flight_wins);
    tcase_add_test(tcase, a_delete_during_a_flight_closes_it_to_new_readers);
    tcase_add_test(tcase, a_delete_during_a_flight_is_not_undone);
    tcase_add_test(tcase, a_write_at_the_source_closes_the_flight);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
