/* cases_reads.c - readers: misses, ranges, small caps, and what peek and stat say beside them. */
#include "tests/contract/support.h"

START_TEST(a_miss_is_not_found) {
    assert_absent("nothing");
    put_text("other", "x");
    assert_absent("nothing");
}
END_TEST

START_TEST(any_cap_gives_the_same_bytes) {
    static const size_t caps[] = {1, 3, 4096, 100000, 1 << 20};
    struct body body = body_make(20011, 4);
    put("caps", &body);
    struct id id = id_of("caps");
    for (size_t i = 0; i < ARRAY_COUNT(caps); i++) {
        struct reader *reader = NULL;
        ck_assert_err(pool_open_reader(the_pool(), fresh_op(), &id, NULL, &reader), OK);
        struct body got = {0};
        ck_assert_err(read_all(fresh_op(), reader, caps[i], &got), OK);
        ck_assert(body_equal(&got, &body));
        uint8_t byte = 0;
        size_t count = 1;
        ck_assert_err(reader_read(reader, fresh_op(), &byte, 1, &count), OK);
        ck_assert_uint_eq(count, 0); /* the end stays the end */
        reader_close(reader);
        body_free(&got);
    }
    body_free(&body);
}
END_TEST

START_TEST(a_reader_may_be_closed_early) {
    struct body body = body_make(300000, 4);
    put("early", &body);
    struct id id = id_of("early");
    for (size_t wanted = 0; wanted < 3; wanted++) {
        struct reader *reader = NULL;
        ck_assert_err(pool_open_reader(the_pool(), fresh_op(), &id, NULL, &reader), OK);
        uint8_t some[1000];
        for (size_t i = 0; i < wanted; i++) {
            size_t count = 0;
            ck_assert_err(reader_read(reader, fresh_op(), some, sizeof some, &count), OK);
        }
        reader_close(reader);
    }
    assert_holds("early", &body);
    body_free(&body);
}
END_TEST

START_TEST(ranges) {
    struct body body = body_make(10000, 3);
    put("ranged", &body);
    if (!the_pool()->capabilities.ranges) {
        struct got got = get_range(fresh_op(), "ranged", 1, 2);
        ck_assert_err(got.err, ERR_UNSUPPORTED);
        body_free(&body);
        return;
    }
    static const struct {
        uint64_t offset, length;
        size_t count;
    } rows[] = {
        {0, UINT64_MAX, 10000}, {0, 1, 1},          {1, 1, 1},          {9999, 1, 1},
        {9999, UINT64_MAX, 1},  {5000, 5000, 5000}, {5000, 9999, 5000}, {123, 4567, 4567},
        {0, 10000, 10000},      {0, 20000, 10000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct op *op = fresh_op();
        struct got got = get_range(op, "ranged", rows[i].offset, rows[i].length);
        ck_assert_msg(got.err == OK, "row %zu: %s", i, op->fault.detail);
        ck_assert_uint_eq(got.body.count, rows[i].count);
        ck_assert_mem_eq(got.body.bytes, body.bytes + rows[i].offset, rows[i].count);
        ck_assert_uint_eq(got.meta.size_bytes, 10000); /* of the whole entry */
        got_free(&got);
    }
    struct got behind = get_range(fresh_op(), "ranged", 10001, 5);
    ck_assert_err(behind.err, ERR_RANGE);
    struct got at_end = get_range(fresh_op(), "ranged", 10000, 5);
    ck_assert_err(at_end.err, ERR_RANGE);
    put_text("hollow", "");
    struct got hollow = get_range(fresh_op(), "hollow", 0, 5);
    ck_assert_err(hollow.err, OK);
    ck_assert_uint_eq(hollow.body.count, 0);
    ck_assert_uint_eq(hollow.meta.size_bytes, 0);
    got_free(&hollow);
    struct got behind_hollow = get_range(fresh_op(), "hollow", 1, 5);
    ck_assert_err(behind_hollow.err, ERR_RANGE);
    struct got absent = get_range(fresh_op(), "nothing", 1, 5);
    ck_assert_err(absent.err, ERR_NOT_FOUND);
    body_free(&body);
}
END_TEST

static void assert_same_meta(const struct meta *a, const struct meta *b) {
    ck_assert_uint_eq(a->size_bytes, b->size_bytes);
    ck_assert_int_eq(a->hold, b->hold);
    ck_assert_int_eq(a->created_ms, b->created_ms);
    ck_assert_int_eq(a->stored_ms, b->stored_ms);
    ck_assert_str_eq(a->content_type, b->content_type);
    ck_assert_str_eq(a->content_encoding, b->content_encoding);
    char a_etag[ETAG_BYTES];
    char b_etag[ETAG_BYTES];
    meta_etag(a, a_etag);
    meta_etag(b, b_etag);
    ck_assert_str_eq(a_etag, b_etag);
    ck_assert_str_ne(a_etag, "");
}

START_TEST(stat_peek_and_reader_agree) {
    struct body body = body_make(2000, 8);
    put("same", &body);
    struct id id = id_of("same");
    struct got got = get(fresh_op(), "same");
    ck_assert_err(got.err, OK);
    struct meta seen = stat_of("same");
    assert_same_meta(&seen, &got.meta);
    meta_fini(&seen);

    struct entry *entry = NULL;
    enum err peeked = pool_peek(the_pool(), &id, &entry);
    ck_assert(peeked == OK || (peeked == ERR_AGAIN && !the_pool()->capabilities.never_blocks));
    if (peeked == OK) {
        assert_same_meta(&entry->meta, &got.meta);
        ck_assert_uint_eq(entry->body->size, body.count);
        ck_assert_mem_eq(entry->body->data, body.bytes, body.count);
        entry_unref(entry);
    }
    struct meta glimpsed;
    peeked = pool_peek_meta(the_pool(), &id, &glimpsed);
    ck_assert(peeked == OK || (peeked == ERR_AGAIN && !the_pool()->capabilities.never_blocks));
    if (peeked == OK) {
        assert_same_meta(&glimpsed, &got.meta);
        meta_fini(&glimpsed);
    }
    got_free(&got);
    body_free(&body);
}
END_TEST

START_TEST(a_peeked_entry_outlives_its_removal) {
    struct body body = body_make(3000, 8);
    put("held", &body);
    struct id id = id_of("held");
    struct entry *entry = NULL;
    if (pool_peek(the_pool(), &id, &entry) == OK) {
        remove_id("held");
        for (unsigned i = 0; i < 20; i++) {
            struct body other = body_make(3000, 100 + i);
            put("held", &other);
            body_free(&other);
        }
        ck_assert_mem_eq(entry->body->data, body.bytes, body.count);
        entry_unref(entry);
    }
    body_free(&body);
}
END_TEST

/* A reader that began before its entry was overwritten, removed or emptied away ends with the bytes it began with. */
START_TEST(an_open_reader_keeps_its_entry) {
    struct body body = body_make(1500000, 1);
    put("slow", &body);
    struct id id = id_of("slow");
    struct reader *reader = NULL;
    ck_assert_err(pool_open_reader(the_pool(), fresh_op(), &id, NULL, &reader), OK);
    struct body got = body_make(body.count, 0);
    size_t count = 0;
    ck_assert_err(reader_read(reader, fresh_op(), got.bytes, 1000, &count), OK);
    if (_i == 0) {
        remove_id("slow");
    } else if (_i == 1) {
        uint64_t removed = 0;
        ck_assert_err(pool_empty(the_pool(), fresh_op(), &removed), OK);
    }
    for (unsigned i = 0; i < subject_rounds(10, 1); i++) {
        struct body other = body_make(body.count, 10 + i);
        put(i % 2 ? "slow" : "another", &other);
        body_free(&other);
    }
    struct body rest = {0};
    struct op *op = fresh_op();
    enum err err = read_all(op, reader, 65536, &rest);
    ck_assert_msg(err == OK, "%s: %s", err_word(err), op->fault.detail);
    ck_assert_uint_eq(count + rest.count, body.count);
    ck_assert_mem_eq(got.bytes, body.bytes, count);
    ck_assert_mem_eq(rest.bytes, body.bytes + count, rest.count);
    reader_close(reader);
    body_free(&rest);
    body_free(&got);
    body_free(&body);
}
END_TEST

START_TEST(a_cancelled_or_late_read_ends) {
    struct body body = body_make(100000, 1);
    put("op", &body);
    struct id id = id_of("op");
    struct reader *reader = NULL;
    ck_assert_err(pool_open_reader(the_pool(), fresh_op(), &id, NULL, &reader), OK);
    struct op *op = fresh_op();
    atomic_store(&op->cancelled, true);
    uint8_t some[100];
    size_t count = 0;
    ck_assert_err(reader_read(reader, op, some, sizeof some, &count), ERR_CANCELLED);
    op = fresh_op();
    op->deadline_ns = 1;
    ck_assert_err(reader_read(reader, op, some, sizeof some, &count), ERR_TIMEOUT);
    reader_close(reader);
    body_free(&body);
}
END_TEST

TCase *cases_reads(void) {
    TCase *tcase = tcase_create("reads");
    tcase_add_test(tcase, a_miss_is_not_found);
    tcase_add_test(tcase, any_cap_gives_the_same_bytes);
    tcase_add_test(tcase, a_reader_may_be_closed_early);
    tcase_add_test(tcase, ranges);
    tcase_add_test(tcase, stat_peek_and_reader_agree);
    tcase_add_test(tcase, a_peeked_entry_outlives_its_removal);
    tcase_add_loop_test(tcase, an_open_reader_keeps_its_entry, 0, 3);
    tcase_add_test(tcase, a_cancelled_or_late_read_ends);
    return tcase;
}
