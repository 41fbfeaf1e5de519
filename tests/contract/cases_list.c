/* cases_list.c - listing and emptying: prefixes, pages, exactly once while others write, cursors that are not ours. */
#include "tests/contract/support.h"

#include <pthread.h>

static void put_numbered(const char *prefix, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s%u", prefix, i);
        put_text(id, id);
    }
}

static void assert_numbered(const struct names *names, const char *prefix, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        char id[64];
        snprintf(id, sizeof id, "%s%u", prefix, i);
        ck_assert_msg(names_count(names, id) == 1, "%s is listed %zu times", id, names_count(names, id));
    }
}

START_TEST(nothing_lists_empty) {
    struct names names = list("", 10);
    ck_assert_uint_eq(names.count, 0);
    ck_assert_uint_eq(names.pages, 1);
    names_free(&names);
}
END_TEST

START_TEST(pages_hold_all_exactly_once) {
    unsigned count = subject_rounds(250, 30);
    put_numbered("page-", count);
    static const unsigned limits[] = {1, 7, 100, 1000};
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) {
        struct names names = list("", limits[i]);
        ck_assert_uint_eq(names.count, count);
        assert_numbered(&names, "page-", count);
        ck_assert_uint_ge(names.pages, (count + limits[i] - 1) / limits[i]);
        names_free(&names);
    }
}
END_TEST

START_TEST(prefixes) {
    put_numbered("a/", 15);
    put_numbered("a:", 5);
    put_text("b", "x");
    put_text("a", "x");
    put_text("%61/", "x");
    static const struct {
        const char *prefix;
        size_t count;
    } rows[] = {{"a/", 15}, {"a:", 5},  {"a", 21}, {"a/1", 6},  {"b", 1},
                {"c", 0},   {"%61", 1}, {"", 23},  {"a/14", 1}, {"a/14x", 0}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct names names = list(rows[i].prefix, 4);
        ck_assert_msg(names.count == rows[i].count, "'%s' gives %zu", rows[i].prefix, names.count);
        for (size_t k = 0; k < names.count; k++) {
            ck_assert_int_eq(strncmp(names.names[k], rows[i].prefix, strlen(rows[i].prefix)), 0);
        }
        names_free(&names);
    }
}
END_TEST

START_TEST(a_prefix_that_ends_inside_a_character) {
    put_text("caf\xc3\xa9", "x");
    put_text("caf\xc3\xa8", "x");
    put_text("caff", "x");
    struct names names = list("caf\xc3", 10);
    ck_assert_uint_eq(names.count, 2);
    names_free(&names);
}
END_TEST

START_TEST(cursors_that_are_not_ours) {
    put_numbered("c-", 5);
    static const char *const cursors[] = {
        "", "nonsense", "../../etc/passwd", "0", "%", "-1", "0000000000000000-0000000000000000"};
    for (size_t i = 0; i < ARRAY_COUNT(cursors); i++) {
        struct listing listing = {0};
        struct op *op = fresh_op();
        ck_assert_msg(pool_list(the_pool(), op, "", cursors[i], 10, &listing) == ERR_INVALID,
                      "cursor '%s' was accepted", cursors[i]);
        ck_assert_int_eq(op->fault.reason, REASON_INVALID_QUERY);
    }
}
END_TEST

struct churn {
    atomic_bool stop;
    atomic_uint rounds;
    atomic_int err;
};

/* Puts and removes other ids all the time, overwrites the lasting ones now and then. */
static void *churn_main(void *argument) {
    struct churn *churn = argument;
    struct body body = body_text("churn");
    enum err err = OK;
    for (unsigned i = 0; !atomic_load(&churn->stop) && err == OK; i++) {
        char id[64];
        bool existed = false;
        snprintf(id, sizeof id, i % 10 == 9 ? "last-%u" : "churn-%u", i % 50);
        err = try_put(fresh_op(), id, &body, NULL);
        if (err == OK && i % 10 != 9) {
            snprintf(id, sizeof id, "churn-%u", (i + 25) % 50);
            struct id gone = id_trusted(id, strlen(id));
            err = pool_remove(the_pool(), fresh_op(), &gone, NULL, &existed);
        }
        atomic_store(&churn->err, err);
        atomic_fetch_add(&churn->rounds, 1);
    }
    body_free(&body);
    return NULL;
}

START_TEST(what_stays_is_listed_exactly_once) {
    const unsigned lasting = 50;
    put_numbered("last-", lasting);
    struct churn churn = {0};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, churn_main, &churn), 0);
    for (unsigned i = 0; i < subject_rounds(20, 2); i++) {
        unsigned before = atomic_load(&churn.rounds);
        struct names names = list("", 7);
        assert_numbered(&names, "last-", lasting);
        names_free(&names);
        while (atomic_load(&churn.rounds) == before &&
               churn.err == OK) { /* something has changed between two walks */
        }
    }
    atomic_store(&churn.stop, true);
    pthread_join(thread, NULL);
    ck_assert_err((enum err)atomic_load(&churn.err), OK);
}
END_TEST

START_TEST(exactly_once_while_the_pool_grows) {
    /* Between two pages the pool becomes many times as large: what was there at the start is not moved across the cursor. */
    const unsigned lasting = subject_rounds(100, 20);
    put_numbered("last-", lasting);
    struct listing listing = {0};
    ck_assert_err(pool_list(the_pool(), fresh_op(), "", NULL, lasting / 2, &listing), OK);
    ck_assert_ptr_nonnull(listing.next_cursor);
    put_numbered("more-", subject_rounds(1000, 40));
    struct names names = {.names = calloc(lasting * 30, sizeof(char *))};
    for (;;) {
        for (size_t i = 0; i < listing.count; i++) {
            names.names[names.count++] = strdup(listing.ids[i]);
        }
        if (!listing.next_cursor) {
            break;
        }
        struct listing next = {0};
        ck_assert_err(pool_list(the_pool(), fresh_op(), "", listing.next_cursor, 100, &next), OK);
        listing_fini(&listing);
        listing = next;
    }
    listing_fini(&listing);
    assert_numbered(&names, "last-", lasting);
    names_free(&names);
}
END_TEST

START_TEST(empty_removes_all_and_counts) {
    uint64_t removed = 99;
    ck_assert_err(pool_empty(the_pool(), fresh_op(), &removed), OK);
    ck_assert_uint_eq(removed, 0);
    unsigned count = subject_rounds(600, 15);
    put_numbered("e-", count);
    struct op *op = fresh_op();
    enum err err = pool_empty(the_pool(), op, &removed);
    ck_assert_msg(err == OK, "%s: %s", err_word(err), op->fault.detail);
    ck_assert_uint_eq(removed, count);
    assert_absent("e-0");
    struct names names = list("", 100);
    ck_assert_uint_eq(names.count, 0);
    names_free(&names);
    put_text("e-1", "again");
    assert_holds_text("e-1", "again");
}
END_TEST

START_TEST(counts_follow) {
    struct pool_status status;
    pool_get_status(the_pool(), &status);
    if (!status.counts_known) {
        return;
    }
    put_text("one", "123");
    put_text("two", "12345");
    put_text("one", "1234");
    pool_get_status(the_pool(), &status);
    ck_assert_int_eq(status.state, POOL_OK);
    ck_assert_uint_eq(status.entries, 2);
    ck_assert_uint_eq(status.bytes, 9);
    remove_id("two");
    pool_get_status(the_pool(), &status);
    ck_assert_uint_eq(status.entries, 1);
    ck_assert_uint_eq(status.bytes, 4);
    uint64_t removed = 0;
    ck_assert_err(pool_empty(the_pool(), fresh_op(), &removed), OK);
    pool_get_status(the_pool(), &status);
    ck_assert_uint_eq(status.entries, 0);
    ck_assert_uint_eq(status.bytes, 0);
}
END_TEST

TCase *cases_list(void) {
    TCase *tcase = tcase_create("list");
    tcase_add_test(tcase, nothing_lists_empty);
    tcase_add_test(tcase, pages_hold_all_exactly_once);
    tcase_add_test(tcase, prefixes);
    tcase_add_test(tcase, a_prefix_that_ends_inside_a_character);
    tcase_add_test(tcase, cursors_that_are_not_ours);
    tcase_add_test(tcase, what_stays_is_listed_exactly_once);
    tcase_add_test(tcase, exactly_once_while_the_pool_grows);
    tcase_add_test(tcase, empty_removes_all_and_counts);
    tcase_add_test(tcase, counts_follow);
    return tcase;
}
