/* test_hdf5_hot.c - entries kept in memory because they were read lately: never older than the file, never more than allowed. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static struct fixture fixture;

static void set_up(void) {
    fixture_open(&fixture);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

/* A reference to what the poll thread would answer with, NULL when it would not. */
static struct entry *peek(const char *text) {
    struct id id = id_of(text);
    struct entry *entry = NULL;
    return pool_peek(fixture.pool, &id, &entry) == OK ? entry : NULL;
}

/* Two peeks in a row give the very same entry. */
static bool is_hot(const char *id) {
    struct entry *first = peek(id);
    struct entry *second = peek(id);
    ck_assert(first && second);
    bool same = first == second;
    entry_unref(first);
    entry_unref(second);
    return same;
}

static void expect_peek(const char *id, const char *text) {
    AUTO(entry_unref) struct entry *entry = peek(id);
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->body->size, strlen(text));
    ck_assert_mem_eq(entry->body->data, text, strlen(text));
    ck_assert_uint_eq(entry->meta.size_bytes, strlen(text));
}

START_TEST(a_hot_entry_follows_every_write) {
    put_text(fixture.pool, "k", "one");
    ck_assert(is_hot("k"));
    AUTO(entry_unref) struct entry *before = peek("k");
    put_text(fixture.pool, "k", "two");
    expect_peek("k", "two");
    ck_assert_mem_eq(before->body->data, "one", 3); /* whoever holds the old one reads on in it */
    ck_assert(is_hot("k"));
    drop(fixture.pool, "k");
    ck_assert_ptr_null(peek("k"));
    put_cached(fixture.pool, "k", "three");
    expect_peek("k", "three");
    struct op op;
    op_init(&op, 0, 0);
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(fixture.pool, &op, &removed), OK);
    ck_assert_ptr_null(peek("k"));
}
END_TEST

START_TEST(metadata_of_a_hot_entry_is_whole) {
    ck_assert_int_eq(put_as(fixture.pool, "k", "{}", 2, HOLD_OWNED, "text/x-own", NULL, NULL), OK);
    ck_assert(is_hot("k"));
    AUTO(entry_unref) struct entry *entry = peek("k");
    ck_assert_str_eq(entry->meta.content_type, "text/x-own");
    ck_assert_int_eq(entry->meta.hold, HOLD_OWNED);
    ck_assert(entry->meta.has_sha256);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256("{}", 2, sha256);
    ck_assert_mem_eq(entry->meta.sha256, sha256, SHA256_BYTES);
}
END_TEST

START_TEST(large_bodies_are_not_kept) {
    size_t bytes = (16 << 10) + 1;
    char *body = malloc(bytes + 1);
    memset(body, 'x', bytes);
    body[bytes] = '\0';
    put_text(fixture.pool, "large", body);
    ck_assert(!is_hot("large"));
    expect_peek("large", body);
    body[bytes - 1] = '\0';
    put_text(fixture.pool, "fits", body);
    ck_assert(is_hot("fits"));
    free(body);
}
END_TEST

START_TEST(none_is_kept_when_the_pool_says_so) {
    fixture_reopen(&fixture, (const char *const[]){"hot_max_bytes=0", NULL});
    put_text(fixture.pool, "k", "one");
    ck_assert(!is_hot("k"));
    expect_peek("k", "one");
}
END_TEST

/* Room for four: an entry counts its body and 4 KiB. */
START_TEST(the_oldest_makes_room_unless_it_was_read_again) {
    fixture_reopen(&fixture, (const char *const[]){"hot_max_bytes=18KiB", NULL});
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        put_text(fixture.pool, ids[i], ids[i]);
        entry_unref(peek(ids[i]));
    }
    AUTO(entry_unref) struct entry *kept = peek("a"); /* read again: passed over once */
    put_text(fixture.pool, "e", "e");
    entry_unref(peek("e"));
    AUTO(entry_unref) struct entry *again = peek("a");
    ck_assert_ptr_eq(again, kept);
    AUTO(entry_unref) struct entry *first = peek("c"); /* still there: "b" made room */
    AUTO(entry_unref) struct entry *second = peek("c");
    ck_assert_ptr_eq(first, second);
    expect_peek("b", "b");
}
END_TEST

#define IDS 64
#define READERS 4
#define WRITES 300

static atomic_uint acknowledged[IDS];
static atomic_bool stop;
static atomic_uint seen; /* entries that were there at a look */

/* What was acknowledged before the look is the least that may be seen. */
static void *read_on(void *context) {
    unsigned number = *(unsigned *)context;
    for (unsigned turn = number; !atomic_load(&stop); turn++) {
        char id[16];
        snprintf(id, sizeof id, "id-%u", turn % IDS);
        unsigned least = atomic_load(&acknowledged[turn % IDS]);
        AUTO(entry_unref) struct entry *entry = peek(id);
        if (entry) {
            atomic_fetch_add(&seen, 1);
            char text[32] = {0};
            ck_assert_uint_lt(entry->body->size, sizeof text);
            memcpy(text, entry->body->data, entry->body->size);
            ck_assert_uint_ge(strtoul(text, NULL, 10), least);
        }
    }
    return NULL;
}

START_TEST(readers_never_see_less_than_was_acknowledged) {
    fixture_reopen(&fixture, (const char *const[]){"hot_max_bytes=64KiB", NULL}); /* less than all of them */
    pthread_t threads[READERS];
    unsigned numbers[READERS];
    atomic_store(&stop, false);
    atomic_store(&seen, 0);
    for (unsigned i = 0; i < IDS; i++) {
        atomic_store(&acknowledged[i], 0);
    }
    for (unsigned i = 0; i < READERS; i++) {
        numbers[i] = i * 7;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, &numbers[i]), 0);
    }
    for (unsigned i = 1; i <= WRITES; i++) {
        char id[16];
        char text[32];
        unsigned which = (i * 5) % IDS;
        snprintf(id, sizeof id, "id-%u", which);
        snprintf(text, sizeof text, "%u", i);
        put_text(fixture.pool, id, text);
        atomic_store(&acknowledged[which], i);
    }
    while (!atomic_load(&seen)) { /* the readers must have had their turn, however busy the machine */
        sched_yield();
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5_hot");
    TCase *tests = tcase_create("hot");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_hot_entry_follows_every_write);
    tcase_add_test(tests, metadata_of_a_hot_entry_is_whole);
    tcase_add_test(tests, large_bodies_are_not_kept);
    tcase_add_test(tests, none_is_kept_when_the_pool_says_so);
    tcase_add_test(tests, the_oldest_makes_room_unless_it_was_read_again);
    tcase_add_test(tests, readers_never_see_less_than_was_acknowledged);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
