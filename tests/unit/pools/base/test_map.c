/* test_map.c - find, remove, growth, and scans that rise in hash order and survive growth. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/hash.h"
#include "pools/base/map.h"

struct number {
    struct map_node node;
    unsigned value;
};

static bool number_equal(const struct map_node *node, const void *key) {
    return CONTAINER_OF_CONST(node, struct number, node)->value == *(const unsigned *)key;
}

static struct map map;
static struct number numbers[5000];

static void insert(unsigned value, uint64_t hash) {
    numbers[value].value = value;
    ck_assert(map_insert(&map, &numbers[value].node, hash));
}

static void insert_hashed(unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++) {
        insert(i, hash_bytes(&i, sizeof i));
    }
}

static void setup(void) {
    map_init(&map, number_equal);
}

static void teardown(void) {
    map_fini(&map);
}

START_TEST(finds_what_was_inserted) {
    unsigned key = 7;
    ck_assert_ptr_null(map_find(&map, 1, &key));
    insert_hashed(0, 5000);
    ck_assert_uint_eq(map.count, 5000);
    for (unsigned i = 0; i < 5000; i++) {
        ck_assert_ptr_eq(map_find(&map, hash_bytes(&i, sizeof i), &i), &numbers[i].node);
    }
    for (unsigned i = 0; i < 5000; i += 2) {
        map_remove(&map, &numbers[i].node);
    }
    ck_assert_uint_eq(map.count, 2500);
    for (unsigned i = 0; i < 5000; i++) {
        ck_assert(!map_find(&map, hash_bytes(&i, sizeof i), &i) == (i % 2 == 0));
    }
}
END_TEST

START_TEST(room_made_beforehand_is_enough) {
    map_reserve(&map, 5000);
    struct map_node **buckets = map.buckets;
    ck_assert_ptr_nonnull(buckets);
    insert_hashed(0, 4000);
    map_reserve(&map, 100); /* never less */
    insert_hashed(4000, 5000);
    ck_assert_ptr_eq(map.buckets, buckets);
    for (unsigned i = 0; i < 5000; i++) {
        ck_assert_ptr_eq(map_find(&map, hash_bytes(&i, sizeof i), &i), &numbers[i].node);
    }
}
END_TEST

START_TEST(nodes_survive_room_made_later) {
    insert_hashed(0, 100);
    map_reserve(&map, 5000);
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_ptr_eq(map_find(&map, hash_bytes(&i, sizeof i), &i), &numbers[i].node);
    }
}
END_TEST

START_TEST(equal_hashes_live_together) {
    for (unsigned i = 0; i < 40; i++) {
        insert(i, i < 20 ? 5 : UINT64_MAX);
    }
    for (unsigned i = 0; i < 40; i++) {
        ck_assert_ptr_eq(map_find(&map, i < 20 ? 5 : UINT64_MAX, &i), &numbers[i].node);
    }
    map_remove(&map, &numbers[3].node);
    unsigned gone = 3;
    ck_assert_ptr_null(map_find(&map, 5, &gone));
    unsigned there = 19;
    ck_assert_ptr_nonnull(map_find(&map, 5, &there));
}
END_TEST

struct walk {
    uint64_t last;
    unsigned seen;
    unsigned most;
};

static bool walk_on(struct map_node *node, void *context) {
    struct walk *walk = context;
    ck_assert_uint_ge(node->hash, walk->last);
    walk->last = node->hash;
    walk->seen++;
    return walk->seen < walk->most;
}

START_TEST(scans_rise_and_stop) {
    struct walk none = {.most = 1};
    map_scan(&map, 0, walk_on, &none);
    ck_assert_uint_eq(none.seen, 0);
    insert_hashed(0, 1000);
    struct walk all = {.most = 5000};
    map_scan(&map, 0, walk_on, &all);
    ck_assert_uint_eq(all.seen, 1000);
    struct walk some = {.most = 10};
    map_scan(&map, 0, walk_on, &some);
    ck_assert_uint_eq(some.seen, 10);
    struct walk upper = {.most = 5000, .last = UINT64_C(1) << 63};
    map_scan(&map, UINT64_C(1) << 63, walk_on, &upper);
    ck_assert_uint_gt(upper.seen, 400);
    ck_assert_uint_lt(upper.seen, 600);
    struct walk end = {.most = 5000};
    map_scan(&map, UINT64_MAX, walk_on, &end);
    ck_assert_uint_eq(end.seen, 0);
}
END_TEST

START_TEST(a_scan_goes_on_after_growth) {
    insert_hashed(0, 500);
    struct walk first = {.most = 250};
    map_scan(&map, 0, walk_on, &first);
    insert_hashed(500, 5000);
    struct walk rest = {.most = 10000, .last = first.last + 1};
    map_scan(&map, first.last + 1, walk_on, &rest);
    unsigned before = 0;
    for (unsigned i = 0; i < 5000; i++) {
        before += hash_bytes(&i, sizeof i) <= first.last;
    }
    ck_assert_uint_eq(rest.seen, 5000 - before);
}
END_TEST

static void remove_and_count(struct map_node *node, void *context) {
    map_remove(&map, node);
    memset(node, 0xff, sizeof *node); /* as if it had been freed */
    (*(unsigned *)context)++;
}

START_TEST(each_may_remove) {
    insert_hashed(0, 777);
    unsigned count = 0;
    map_each(&map, remove_and_count, &count);
    ck_assert_uint_eq(count, 777);
    ck_assert_uint_eq(map.count, 0);
}
END_TEST

Suite *map_suite(void) {
    Suite *suite = suite_create("map");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, finds_what_was_inserted);
    tcase_add_test(tcase, room_made_beforehand_is_enough);
    tcase_add_test(tcase, nodes_survive_room_made_later);
    tcase_add_test(tcase, equal_hashes_live_together);
    tcase_add_test(tcase, scans_rise_and_stop);
    tcase_add_test(tcase, a_scan_goes_on_after_growth);
    tcase_add_test(tcase, each_may_remove);
    suite_add_tcase(suite, tcase);
    return suite;
}
