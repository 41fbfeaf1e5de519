/* test_s3fifo.c - the three queues: who leaves, who moves on, who is remembered. */
#include "tests/unit/pools/memory/memory_suites.h"

#define NODES 2000

static struct s3fifo fifo;
static struct s3fifo_node nodes[NODES];

static void setup(void) {
    ck_assert(s3fifo_init(&fifo, 1024));
    memset(nodes, 0, sizeof nodes);
    for (unsigned i = 0; i < NODES; i++) {
        nodes[i].hash = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        nodes[i].bytes = 10;
    }
}

static void teardown(void) {
    s3fifo_fini(&fifo);
}

static void insert(unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        s3fifo_insert(&fifo, &nodes[i], false);
    }
}

/* Evicts one and says which. */
static unsigned evict(uint64_t small_bytes) {
    struct s3fifo_node *victim = s3fifo_victim(&fifo, small_bytes);
    ck_assert_ptr_nonnull(victim);
    s3fifo_evict(&fifo, victim);
    ck_assert_int_eq(victim->place, S3FIFO_OUT);
    return (unsigned)(victim - nodes);
}

static void hit(unsigned i, unsigned times) {
    while (times-- > 0) {
        s3fifo_hit(&nodes[i]);
    }
}

START_TEST(nobody_to_evict) {
    ck_assert_ptr_null(s3fifo_victim(&fifo, 0));
    s3fifo_remove(&fifo, &nodes[0]); /* out already */
}
END_TEST

START_TEST(without_hits_it_is_first_in_first_out) {
    insert(0, 5);
    ck_assert_uint_eq(fifo.small.bytes, 50);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_uint_eq(evict(0), i);
    }
    ck_assert_uint_eq(fifo.small.count, 0);
    ck_assert_uint_eq(fifo.small.bytes, 0);
    ck_assert_ptr_null(s3fifo_victim(&fifo, 0));
}
END_TEST

START_TEST(two_hits_earn_a_place_in_main) {
    insert(0, 4);
    hit(0, 1); /* one is not enough */
    hit(1, 2);
    ck_assert_uint_eq(evict(0), 0);
    ck_assert_uint_eq(evict(0), 2);
    ck_assert_int_eq(nodes[1].place, S3FIFO_MAIN);
    ck_assert_uint_eq(evict(0), 3);
    ck_assert_uint_eq(evict(0), 1); /* its hits were spent on the move */
}
END_TEST

START_TEST(main_goes_round_once_a_hit) {
    for (unsigned i = 0; i < 3; i++) {
        s3fifo_insert(&fifo, &nodes[i], true);
        ck_assert_int_eq(nodes[i].place, S3FIFO_MAIN);
    }
    hit(0, 2);
    hit(1, 1);
    ck_assert_uint_eq(evict(0), 2);
    ck_assert_uint_eq(evict(0), 1);
    ck_assert_uint_eq(evict(0), 0);
}
END_TEST

START_TEST(hits_are_capped) {
    insert(0, 1);
    hit(0, 1000);
    ck_assert_uint_eq(atomic_load(&nodes[0].hits), S3FIFO_MOST_HITS);
}
END_TEST

START_TEST(who_returns_soon_enters_main) {
    insert(0, 10);
    ck_assert_uint_eq(evict(0), 0);
    insert(0, 1);
    ck_assert_int_eq(nodes[0].place, S3FIFO_MAIN);
    s3fifo_remove(&fifo, &nodes[5]); /* taken out by its owner: not remembered */
    insert(5, 6);
    ck_assert_int_eq(nodes[5].place, S3FIFO_SMALL);
}
END_TEST

START_TEST(who_returns_late_is_forgotten) {
    insert(0, 20);
    ck_assert_uint_eq(evict(0), 0);
    for (unsigned i = 20; i < 100; i++) { /* many more leave than are queued */
        insert(i, i + 1);
        evict(0);
    }
    insert(0, 1);
    ck_assert_int_eq(nodes[0].place, S3FIFO_SMALL);
}
END_TEST

START_TEST(small_gives_first_while_it_is_large) {
    insert(0, 5);
    for (unsigned i = 10; i < 15; i++) {
        s3fifo_insert(&fifo, &nodes[i], true);
    }
    ck_assert_uint_eq(evict(50), 0);
    ck_assert_uint_eq(evict(50), 10); /* 40 bytes are less than 50 */
    ck_assert_uint_eq(evict(40), 1);
}
END_TEST

START_TEST(a_scan_does_not_push_out_what_is_in_use) {
    /* 50 keys read again and again, 1,900 read once; room for 100. */
    const uint64_t room_bytes = 1000;
    unsigned kept = 0;
    for (unsigned next = 0; next < NODES; next++) {
        while (fifo.small.bytes + fifo.main.bytes + 10 > room_bytes) {
            evict(room_bytes / 10);
        }
        insert(next, next + 1);
        for (unsigned i = 0; i < 50 && next >= 50; i++) {
            hit(i, nodes[i].place != S3FIFO_OUT);
        }
    }
    for (unsigned i = 0; i < 50; i++) {
        kept += nodes[i].place != S3FIFO_OUT;
    }
    ck_assert_uint_eq(kept, 50);
}
END_TEST

START_TEST(one_call_does_bounded_work) {
    insert(0, NODES);
    for (unsigned i = 0; i < NODES; i++) {
        hit(i, 3);
    }
    evict(0);
    ck_assert_uint_ge(fifo.small.count, NODES - 300);
}
END_TEST

Suite *s3fifo_suite(void) {
    Suite *suite = suite_create("s3fifo");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, nobody_to_evict);
    tcase_add_test(tcase, without_hits_it_is_first_in_first_out);
    tcase_add_test(tcase, two_hits_earn_a_place_in_main);
    tcase_add_test(tcase, main_goes_round_once_a_hit);
    tcase_add_test(tcase, hits_are_capped);
    tcase_add_test(tcase, who_returns_soon_enters_main);
    tcase_add_test(tcase, who_returns_late_is_forgotten);
    tcase_add_test(tcase, small_gives_first_while_it_is_large);
    tcase_add_test(tcase, a_scan_does_not_push_out_what_is_in_use);
    tcase_add_test(tcase, one_call_does_bounded_work);
    suite_add_tcase(suite, tcase);
    return suite;
}
