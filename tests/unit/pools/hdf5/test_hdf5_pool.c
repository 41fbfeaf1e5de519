/* test_hdf5_pool.c - the kind from outside, on a real file: round trips, reopening, listing, conditions. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct fixture fixture;

static void set_up(void) {
    fixture_open(&fixture);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

START_TEST(what_is_put_is_got) {
    put_text(fixture.pool, "a", "{\"x\": 1}");
    expect_text(fixture.pool, "a", "{\"x\": 1}");
    expect_absent(fixture.pool, "b");
    put_text(fixture.pool, "a", "2");
    expect_text(fixture.pool, "a", "2");
    drop(fixture.pool, "a");
    drop(fixture.pool, "a");
    expect_absent(fixture.pool, "a");
}
END_TEST

static const char *const awkward_ids[] = {
    ".",
    "..",
    "...",
    "%2E",
    "%3A",
    ":",
    "a/b",
    "//",
    "/",
    " ",
    "a b",
    "+",
    "\xc3\xa9",
    "\xf0\x9f\x98\x80",
    "%",
    "a%2Fb",
    "LAILA:ENTRY:GLOBAL_ID:337c29d3-0d76-5c15-a560-7e5cf329259e",
    "\x01\x7f",
    "-",
    "~",
    "A",
    "a",
};

START_TEST(awkward_ids_are_kept_apart) {
    char longest[ID_MOST_BYTES + 1];
    memset(longest, ':', ID_MOST_BYTES);
    longest[ID_MOST_BYTES] = '\0';
    put_text(fixture.pool, longest, "long");
    for (size_t i = 0; i < ARRAY_COUNT(awkward_ids); i++) {
        put_text(fixture.pool, awkward_ids[i], awkward_ids[i]);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(awkward_ids); i++) {
            expect_text(fixture.pool, awkward_ids[i], awkward_ids[i]);
        }
        expect_text(fixture.pool, longest, "long");
        ck_assert_uint_eq(count_listed(fixture.pool, "", 7), ARRAY_COUNT(awkward_ids) + 1);
        fixture_reopen(&fixture, NULL);
    }
}
END_TEST

static void check_body(const char *id, const char *body, size_t bytes) {
    size_t got_bytes = 0;
    char *got = get(fixture.pool, id, &got_bytes);
    ck_assert_ptr_nonnull(got);
    ck_assert_uint_eq(got_bytes, bytes);
    ck_assert_mem_eq(got, body, bytes);
    free(got);
}

START_TEST(bodies_of_every_shape_survive_reopening) {
    static const struct {
        const char *id, *body;
        size_t bytes;
    } shapes[] = {
        {"empty", "", 0},           {"nul", "a\0b", 3},
        {"ends in nul", "ab\0", 3}, {"not utf-8", "\xff\xfe", 2},
        {"cut utf-8", "ab\xc3", 3}, {"utf-8", "\xc3\xa9\xc3\xa9", 4},
        {"spaces", "  x  ", 5},     {"one", "x", 1},
        {"zeros", "\0\0\0\0", 4},
    };
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        ck_assert_int_eq(
            put_as(fixture.pool, shapes[i].id, shapes[i].body, shapes[i].bytes, HOLD_OWNED, NULL, NULL, NULL),
            OK);
    }
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
            check_body(shapes[i].id, shapes[i].body, shapes[i].bytes);
        }
        fixture_reopen(&fixture, NULL);
    }
}
END_TEST

START_TEST(large_bodies_go_to_their_place) {
    size_t bytes = 9 * 1000 * 1000 + 7;
    char *text = malloc(bytes);
    char *mixed = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)('a' + (int)(i % 23));
    }
    memcpy(mixed, text, bytes);
    mixed[bytes - 5] = '\xff'; /* begins as text, is none */
    ck_assert_int_eq(put_as(fixture.pool, "text", text, bytes, HOLD_OWNED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "mixed", mixed, bytes, HOLD_OWNED, NULL, NULL, NULL), OK);
    for (int round = 0; round < 2; round++) {
        check_body("text", text, bytes);
        check_body("mixed", mixed, bytes);
        fixture_reopen(&fixture, NULL);
    }
    free(text);
    free(mixed);
}
END_TEST

START_TEST(metadata_survives_reopening) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("m");
    struct write_options options = {0};
    meta_init(&options.meta);
    options.meta.created_ms = 1234567890123;
    options.meta.hold = HOLD_CACHED;
    snprintf(options.meta.content_type, sizeof options.meta.content_type, "text/plain; charset=utf-8");
    snprintf(options.meta.content_encoding, sizeof options.meta.content_encoding, "gzip");
    snprintf(options.meta.validator, sizeof options.meta.validator, "s3-abc");
    options.meta.extension = blob_copy("extra", 5);
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(fixture.pool, &op, &id, &options, &writer), OK);
    meta_fini(&options.meta);
    ck_assert_int_eq(pool_writer_write(writer, &op, "body", 4), OK);
    struct commit_result result;
    ck_assert_int_eq(pool_writer_commit(writer, &op, &result), OK);
    ck_assert(result.created);
    pool_writer_close(STEAL(writer));
    fixture_reopen(&fixture, NULL);
    struct meta meta;
    ck_assert_int_eq(pool_stat(fixture.pool, &op, &id, &meta), OK);
    ck_assert_int_eq(meta.created_ms, 1234567890123);
    ck_assert_int_eq(meta.stored_ms, result.meta.stored_ms);
    ck_assert_int_eq(meta.hold, HOLD_CACHED);
    ck_assert_uint_eq(meta.size_bytes, 4);
    ck_assert_str_eq(meta.content_type, "text/plain; charset=utf-8");
    ck_assert_str_eq(meta.content_encoding, "gzip");
    ck_assert_str_eq(meta.validator, "s3-abc");
    ck_assert_uint_eq(meta.extension->size, 5);
    ck_assert_mem_eq(meta.extension->data, "extra", 5);
    ck_assert(meta.has_sha256);
    ck_assert_mem_eq(meta.sha256, result.meta.sha256, SHA256_BYTES);
    meta_fini(&meta);
    meta_fini(&result.meta);
}
END_TEST

START_TEST(a_peek_finds_what_was_put) {
    put_text(fixture.pool, "p", "peeked");
    struct id id = id_of("p");
    struct id absent = id_of("q");
    struct entry *entry = NULL;
    ck_assert_int_eq(pool_peek(fixture.pool, &id, &entry), OK);
    ck_assert_uint_eq(entry->body->size, 6);
    ck_assert_mem_eq(entry->body->data, "peeked", 6);
    entry_unref(entry);
    ck_assert_int_eq(pool_peek(fixture.pool, &absent, &entry), ERR_NOT_FOUND);
    fixture_reopen(&fixture, NULL);
    ck_assert_int_eq(pool_peek(fixture.pool, &id, &entry), ERR_AGAIN); /* not compared with its digest yet */
    expect_text(fixture.pool, "p", "peeked");
    ck_assert_int_eq(pool_peek(fixture.pool, &id, &entry), OK);
    entry_unref(entry);
}
END_TEST

START_TEST(a_range_is_read) {
    put_text(fixture.pool, "r", "0123456789");
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("r");
    struct read_options options = {.offset = 3, .length = 4};
    AUTO(reader_close) struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, &options, &reader), OK);
    ck_assert_uint_eq(reader->meta.size_bytes, 10);
    char bytes[16];
    size_t count = 0;
    ck_assert_int_eq(reader_read(reader, &op, bytes, sizeof bytes, &count), OK);
    ck_assert_uint_eq(count, 4);
    ck_assert_mem_eq(bytes, "3456", 4);
    ck_assert_int_eq(reader_read(reader, &op, bytes, sizeof bytes, &count), OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(a_listing_gives_each_id_once) {
    for (int i = 0; i < 2500; i++) {
        char id[32];
        snprintf(id, sizeof id, "%s/%d", i % 2 ? "odd" : "even", i);
        put_text(fixture.pool, id, "x");
    }
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), 2500);
    ck_assert_uint_eq(count_listed(fixture.pool, "odd/", 77), 1250);
    ck_assert_uint_eq(count_listed(fixture.pool, "none", 10), 0);
    fixture_reopen(&fixture, NULL);
    ck_assert_uint_eq(count_listed(fixture.pool, "even/", 1000), 1250);
    struct op op;
    op_init(&op, 0, 0);
    struct listing page = {0};
    ck_assert_int_eq(pool_list(fixture.pool, &op, "", "nonsense", 10, &page), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_QUERY);
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(fixture.pool, &op, &removed), OK);
    ck_assert_uint_eq(removed, 2500);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), 0);
    struct pool_status status;
    pool_get_status(fixture.pool, &status);
    ck_assert_uint_eq(status.entries, 0);
    ck_assert_uint_eq(status.bytes, 0);
}
END_TEST

START_TEST(conditions_are_judged) {
    struct condition absent = {.kind = CONDITION_ABSENT};
    struct condition present = {.kind = CONDITION_PRESENT};
    struct condition other = {.kind = CONDITION_MATCH, .count = 1, .tag = {"\"other\""}};
    ck_assert_int_eq(put_as(fixture.pool, "c", "1", 1, HOLD_OWNED, NULL, &present, NULL), ERR_PRECONDITION);
    expect_absent(fixture.pool, "c");
    ck_assert_int_eq(put_as(fixture.pool, "c", "1", 1, HOLD_OWNED, NULL, &absent, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "c", "2", 1, HOLD_OWNED, NULL, &absent, NULL), ERR_PRECONDITION);
    ck_assert_int_eq(put_as(fixture.pool, "c", "2", 1, HOLD_OWNED, NULL, &other, NULL), ERR_PRECONDITION);
    expect_text(fixture.pool, "c", "1");
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("c");
    struct meta meta;
    ck_assert_int_eq(pool_stat(fixture.pool, &op, &id, &meta), OK);
    struct condition same = {.kind = CONDITION_MATCH, .count = 1};
    meta_etag(&meta, same.tag[0]);
    meta_fini(&meta);
    ck_assert_int_eq(put_as(fixture.pool, "c", "2", 1, HOLD_OWNED, NULL, &same, NULL), OK);
    expect_text(fixture.pool, "c", "2");
    bool existed = false;
    ck_assert_int_eq(pool_remove(fixture.pool, &op, &id, &same, &existed), ERR_PRECONDITION);
    expect_text(fixture.pool, "c", "2");
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 pool");
    TCase *tcase = tcase_create("pool");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, what_is_put_is_got);
    tcase_add_test(tcase, awkward_ids_are_kept_apart);
    tcase_add_test(tcase, bodies_of_every_shape_survive_reopening);
    tcase_add_test(tcase, large_bodies_go_to_their_place);
    tcase_add_test(tcase, metadata_survives_reopening);
    tcase_add_test(tcase, a_peek_finds_what_was_put);
    tcase_add_test(tcase, a_range_is_read);
    tcase_add_test(tcase, a_listing_gives_each_id_once);
    tcase_add_test(tcase, conditions_are_judged);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
