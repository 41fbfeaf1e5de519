/* test_range.c - Range and If-Range as plain data. */
#include "api/range.h"
#include "pools/base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct op op;

static const struct {
    const char *value;
    uint64_t size_bytes;
    uint64_t offset, bytes; /* bytes 0 = not satisfiable */
} parts[] = {
    {"bytes=0-0", 10, 0, 1},
    {"bytes=0-9", 10, 0, 10},
    {"bytes=0-10", 10, 0, 10},
    {"bytes=3-", 10, 3, 7},
    {"bytes=9-", 10, 9, 1},
    {"bytes=-1", 10, 9, 1},
    {"bytes=-10", 10, 0, 10},
    {"bytes=-11", 10, 0, 10},
    {"BYTES=2-3", 10, 2, 2},
    {"bytes= 2-3 ", 10, 2, 2},
    {"bytes=0-18446744073709551615", 10, 0, 10},
    {"bytes=0-99999999999999999999999", 10, 0, 10},
    {"bytes=-99999999999999999999999", 10, 0, 10},
    {"bytes=10-", 10, 0, 0},
    {"bytes=10-20", 10, 0, 0},
    {"bytes=-0", 10, 0, 0},
    {"bytes=99999999999999999999999-", 10, 0, 0},
    {"bytes=0-", 0, 0, 0},
    {"bytes=-5", 0, 0, 0},
    {"bytes=18446744073709551614-", UINT64_MAX, UINT64_MAX - 1, 1},
};

START_TEST(one_part) {
    struct range_ask ask;
    struct range_part part;
    op_init(&op, 0, 0);
    ck_assert_int_eq(range_parse(&op, parts[_i].value, &ask), OK);
    ck_assert(ask.is_part);
    enum err err = range_place(&op, &ask, parts[_i].size_bytes, &part);
    if (!parts[_i].bytes) {
        ck_assert_int_eq(err, ERR_RANGE);
        ck_assert_int_eq(op.fault.reason, REASON_RANGE);
        return;
    }
    ck_assert_int_eq(err, OK);
    ck_assert_uint_eq(part.offset, parts[_i].offset);
    ck_assert_uint_eq(part.bytes, parts[_i].bytes);
}
END_TEST

static const char *const whole[] = {NULL,           "lines=1-2",     "bytes=0-1,3-4",
                                    "bytes=-1, 0-", "bytes=0-0,0-0", "none=anything at all"};

START_TEST(the_whole) {
    struct range_ask ask = {.is_part = true};
    op_init(&op, 0, 0);
    ck_assert_int_eq(range_parse(&op, whole[_i], &ask), OK);
    ck_assert(!ask.is_part);
}
END_TEST

static const char *const malformed[] = {"",           "bytes",      "bytes=",      "bytes=-",   "bytes=5-2",
                                        "bytes=a-b",  "bytes=1",    "bytes=1-2x",  "=0-1",      "bytes=--1",
                                        "bytes=0x1-", "bytes=1 -2", "bytes=0-1,x", "bytes=,1-", "bytes=1-2,"};

START_TEST(malformed_ranges) {
    struct range_ask ask;
    op_init(&op, 0, 0);
    ck_assert_msg(range_parse(&op, malformed[_i], &ask) == ERR_INVALID, "\"%s\" was taken", malformed[_i]);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_HEADER);
}
END_TEST

START_TEST(if_range) {
    struct meta meta;
    meta_init(&meta);
    snprintf(meta.validator, sizeof meta.validator, "s3-abc");
    ck_assert(range_is_current(NULL, &meta));
    ck_assert(range_is_current("\"s3-abc\"", &meta));
    ck_assert(!range_is_current("\"s3-abd\"", &meta));
    ck_assert(!range_is_current("W/\"s3-abc\"", &meta));
    ck_assert(!range_is_current("Sun, 06 Nov 1994 08:49:37 GMT", &meta));
    ck_assert(!range_is_current("", &meta));
    meta.has_sha256 = true;
    char etag[ETAG_BYTES];
    meta_etag(&meta, etag);
    ck_assert(range_is_current(etag, &meta));
    ck_assert(range_is_current("\"s3-abc\"", &meta)); /* what the origin called it */
}
END_TEST

START_TEST(formats) {
    char text[RANGE_FIELD_BYTES];
    struct range_part part = {.offset = 5, .bytes = 5};
    range_format(&part, 1234, text);
    ck_assert_str_eq(text, "bytes 5-9/1234");
    range_format_unsatisfied(UINT64_MAX, text);
    ck_assert_str_eq(text, "bytes */18446744073709551615");
    part = (struct range_part){.offset = UINT64_MAX - 2, .bytes = 1};
    range_format(&part, UINT64_MAX, text);
    ck_assert_str_eq(text, "bytes 18446744073709551613-18446744073709551613/18446744073709551615");
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("range");
    TCase *tcase = tcase_create("range");
    tcase_add_loop_test(tcase, one_part, 0, ARRAY_COUNT(parts));
    tcase_add_loop_test(tcase, the_whole, 0, ARRAY_COUNT(whole));
    tcase_add_loop_test(tcase, malformed_ranges, 0, ARRAY_COUNT(malformed));
    tcase_add_test(tcase, if_range);
    tcase_add_test(tcase, formats);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
