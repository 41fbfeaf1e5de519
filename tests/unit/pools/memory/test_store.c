/* test_store.c - the budget is exact at every moment, whatever many threads put, overwrite, remove, evict and empty. */
#include "tests/unit/pools/memory/memory_suites.h"

#include "pools/base/hash.h"

#include <pthread.h>

#define MAX_BYTES 200000
#define MAX_ENTRIES 150

static struct memory_store store;

static void setup(void) {
    ck_assert(memory_store_init(&store, MAX_BYTES, MAX_ENTRIES));
}

static void teardown(void) {
    memory_store_fini(&store); /* MUSTs that nothing is left in the budget */
}

static struct memory_counts counts(void) {
    struct memory_counts now;
    memory_room_count(&store.room, &now);
    return now;
}

START_TEST(everything_is_counted) {
    ck_assert_int_eq(store_put(&store, "a", 1, 1000, HOLD_OWNED), OK);
    struct memory_counts one = counts();
    ck_assert_uint_eq(one.entries, 1);
    ck_assert_uint_eq(one.body_bytes, 1000);
    ck_assert_uint_gt(one.bytes,
                      1000 + sizeof(struct entry)); /* what an entry costs beside its body counts */
    ck_assert_int_eq(store_put(&store, "a", 1, 10, HOLD_CACHED), OK);
    ck_assert_uint_eq(counts().bytes, one.bytes - 990);
    ck_assert_int_eq(store_put(&store, "a-longer-name-", 1, 10, HOLD_CACHED), OK);
    ck_assert_uint_gt(counts().bytes - (one.bytes - 990), one.bytes - 990);
    ck_assert_uint_eq(memory_store_empty(&store), 2);
    ck_assert_uint_eq(counts().bytes, 0);
}
END_TEST

START_TEST(the_limit_is_exact) {
    ck_assert_int_eq(store_put(&store, "a", 1, 0, HOLD_OWNED), OK);
    size_t overhead = (size_t)counts().bytes;
    size_t most = MAX_BYTES - 2 * overhead;
    ck_assert_int_eq(store_put(&store, "a", 2, most + 1, HOLD_OWNED), ERR_NO_SPACE);
    ck_assert_int_eq(store_put(&store, "a", 2, most, HOLD_OWNED), OK);
    ck_assert_uint_eq(counts().bytes, MAX_BYTES);
    ck_assert_int_eq(store_put(&store, "a", 3, 0, HOLD_OWNED), ERR_NO_SPACE);
    ck_assert_int_eq(store_put(&store, "a", 2, most + 1, HOLD_OWNED), ERR_NO_SPACE);
    ck_assert_int_eq(store_put(&store, "a", 2, MAX_BYTES, HOLD_OWNED), ERR_TOO_LARGE);
    ck_assert_uint_eq(counts().bytes, MAX_BYTES);
    ck_assert_int_eq(store_put(&store, "a", 1, 0, HOLD_CACHED), OK); /* in its own place */
}
END_TEST

START_TEST(a_write_that_cannot_fit_evicts_nobody) {
    memory_room_set_evictable(&store.room, true);
    ck_assert_int_eq(store_put(&store, "owned", 0, 100000, HOLD_OWNED), OK);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(store_put(&store, "cached", i, 5000, HOLD_CACHED), OK);
    }
    ck_assert_int_eq(store_put(&store, "large", 0, 120000, HOLD_OWNED), ERR_NO_SPACE);
    ck_assert_uint_eq(counts().entries, 11);
    ck_assert_int_eq(store_put(&store, "large", 0, 90000, HOLD_OWNED), OK); /* beside the owned one it fits */
    ck_assert(store_has(&store, "owned", 0));
    ck_assert(store_has(&store, "large", 0));
    ck_assert_uint_le(counts().bytes, MAX_BYTES);
}
END_TEST

START_TEST(what_was_made_owned_is_not_evicted) {
    memory_room_set_evictable(&store.room, true);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(store_put(&store, "k", i, 1000, HOLD_CACHED), OK);
    }
    for (unsigned i = 0; i < 20; i += 2) {
        ck_assert_int_eq(store_put(&store, "k", i, 1000, HOLD_OWNED), OK);
    }
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(store_put(&store, "flood", i, 5000, HOLD_CACHED), OK);
    }
    for (unsigned i = 0; i < 20; i++) {
        ck_assert(store_has(&store, "k", i) == (i % 2 == 0));
    }
}
END_TEST

START_TEST(the_number_of_entries_evicts_too) {
    memory_room_set_evictable(&store.room, true);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(store_put(&store, "k", i, 1, HOLD_CACHED), OK);
        ck_assert_uint_le(counts().entries, MAX_ENTRIES);
    }
    ck_assert_uint_eq(counts().entries, MAX_ENTRIES);
    memory_room_set_evictable(&store.room, false);
    ck_assert_int_eq(store_put(&store, "k", 5000, 1, HOLD_CACHED), ERR_NO_SPACE);
    ck_assert_int_eq(store_put(&store, "k", 5000, 1, HOLD_OWNED), ERR_NO_SPACE);
}
END_TEST

START_TEST(what_is_hit_stays) {
    memory_room_set_evictable(&store.room, true);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(store_put(&store, "k", i, 3000, HOLD_CACHED), OK);
        for (unsigned hot = 0; hot < 10; hot++) {
            ck_assert(store_has(&store, "k", hot) || hot > i);
        }
    }
}
END_TEST

struct crowd {
    atomic_bool stop;
    atomic_uint overruns;
    atomic_uint surprises;
};

static void *watch_main(void *argument) {
    struct crowd *crowd = argument;
    while (!atomic_load(&crowd->stop)) {
        struct memory_counts now = counts();
        atomic_fetch_add(&crowd->overruns,
                         now.bytes > MAX_BYTES || now.entries > MAX_ENTRIES || now.body_bytes > now.bytes);
    }
    return NULL;
}

static void *crowd_main(void *argument) {
    struct crowd *crowd = argument;
    unsigned state = (unsigned)hash_bytes(&argument, sizeof argument);
    for (unsigned i = 0; i < 4000; i++) {
        state = state * 1103515245 + 12345;
        unsigned number = state >> 16 & 255;
        unsigned what = state >> 24 & 31;
        if (what == 0) {
            memory_store_empty(&store);
        } else if (what < 6) {
            char text[16];
            struct id id = id_trusted(text, (size_t)snprintf(text, sizeof text, "k%u", number));
            struct op op;
            op_init(&op, 0, 0);
            bool existed = false;
            atomic_fetch_add(&crowd->surprises, memory_store_remove(&store, &op, &id, NULL, &existed) != OK);
        } else if (what < 12) {
            store_has(&store, "k", number);
        } else {
            /* Owned ones are few and small: everything must always find its room by eviction. */
            enum hold hold = number < 20 ? HOLD_OWNED : HOLD_CACHED;
            enum err err =
                store_put(&store, "k", number, hold == HOLD_OWNED ? 500 : (state >> 8 & 8191), hold);
            atomic_fetch_add(&crowd->surprises, err != OK);
        }
    }
    return NULL;
}

START_TEST(never_past_the_limit_and_never_full_for_nothing) {
    enum { WORKERS = 4 };
    memory_room_set_evictable(&store.room, true);
    struct crowd crowd = {0};
    pthread_t watcher;
    pthread_t workers[WORKERS];
    ck_assert_int_eq(pthread_create(&watcher, NULL, watch_main, &crowd), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        ck_assert_int_eq(pthread_create(&workers[i], NULL, crowd_main, &crowd), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(workers[i], NULL);
    }
    atomic_store(&crowd.stop, true);
    pthread_join(watcher, NULL);
    ck_assert_uint_eq(atomic_load(&crowd.overruns), 0);
    ck_assert_uint_eq(atomic_load(&crowd.surprises), 0);
    memory_store_empty(&store);
    struct memory_counts end = counts();
    ck_assert_uint_eq(end.entries, 0);
    ck_assert_uint_eq(end.bytes, 0);
    ck_assert_uint_eq(end.body_bytes, 0);
}
END_TEST

START_TEST(a_walk_rises_through_all_shards) {
    memory_store_fini(&store);
    ck_assert(memory_store_init(&store, 1 << 24, UINT64_MAX));
    for (unsigned i = 0; i < 3000; i++) {
        ck_assert_int_eq(store_put(&store, "w", i, 1, HOLD_OWNED), OK);
    }
    uint64_t from = 0;
    uint64_t last = 0;
    bool more = true;
    unsigned seen = 0;
    while (more) {
        struct op op;
        op_init(&op, 0, 0);
        struct listing listing = {0};
        ck_assert_int_eq(memory_store_list(&store, &op, "", from, 11, &listing, &more, &from), OK);
        ck_assert_uint_le(listing.count, 11);
        for (size_t i = 0; i < listing.count; i++) {
            uint64_t hash = hash_bytes(listing.ids[i], strlen(listing.ids[i]));
            ck_assert_uint_gt(hash, last);
            last = hash;
            seen++;
        }
        listing_fini(&listing);
    }
    ck_assert_uint_eq(seen, 3000);
}
END_TEST

Suite *store_suite(void) {
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, everything_is_counted);
    tcase_add_test(tcase, the_limit_is_exact);
    tcase_add_test(tcase, a_write_that_cannot_fit_evicts_nobody);
    tcase_add_test(tcase, what_was_made_owned_is_not_evicted);
    tcase_add_test(tcase, the_number_of_entries_evicts_too);
    tcase_add_test(tcase, what_is_hit_stays);
    tcase_add_test(tcase, never_past_the_limit_and_never_full_for_nothing);
    tcase_add_test(tcase, a_walk_rises_through_all_shards);
    suite_add_tcase(suite, tcase);
    return suite;
}
