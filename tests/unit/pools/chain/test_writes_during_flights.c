/* test_writes_during_flights.c - a read that begins after a write was acknowledged gets what was written, whatever was under way.
 *
 * The dangerous moment is the write itself: its fences are broken before the backend is entered, so a flight that begins while
 * the backend is at work has a whole fence and has seen the pool as it was before. The gates make that order certain. See also test_flight.c.
 */
#include "pools/base/hash.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct fixture f;
static struct tiers *tiers;

/* t0 << t1 << t2, and the origin t2 has the old body. */
static void setup(void) {
    fixture_start(&f, 3, true, 0);
    fake_store(f.pool[2], "k", "old", 3, HOLD_OWNED);
    tiers = fixture_tiers(&f, 1, 3, 0, 1, 2);
}

static void teardown(void) {
    tiers_unref(tiers);
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

static void *put_main(void *argument) {
    struct put *put = argument;
    put->err = put_new(put->pool);
    return NULL;
}

static void expect_body(struct client *client, const char *body) {
    ck_assert_int_eq(client_finish(client), OK);
    ck_assert_uint_eq(client->body_bytes, strlen(body));
    ck_assert_mem_eq(client->body, body, strlen(body));
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
    client_start(&early, &f, tiers, "k", NULL);
    ck_assert_int_eq(client_poll(&early), ERR_AGAIN);
    fake_wait_held(f.pool[2], FAKE_GATE_OPEN, 1); /* it has missed in both tiers */
    fake_open_gate(written, FAKE_GATE_COMMIT);
    pthread_join(putter, NULL);
    ck_assert_int_eq(put.err, OK);

    client_start(&late, &f, tiers, "k", NULL);
    enum err err = client_poll(&late);
    ck_assert(err == OK || err == ERR_AGAIN);
    fake_open_gate(f.pool[2], FAKE_GATE_OPEN);
    expect_body(&early, "old"); /* it began before */
    expect_body(&late, "new");
    client_close(&early);
    client_close(&late);
    fixture_settle(&f);
    for (int i = 0; i <= _i; i++) {
        struct entry *entry = fake_stored(f.pool[i], "k");
        ck_assert_msg(!entry || memcmp(entry->body->data, "new", 3) == 0, "t%d got the old body", i);
        entry_unref(entry);
    }
    expect_stored(written, "k", "new", 3, HOLD_OWNED);
    expect_read(&f, tiers, "k", "new", 3);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("writes during flights");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(
        tcase, a_read_after_an_acknowledged_write_does_not_join_a_flight_that_looked_before_it, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
