/* test_target.c - the request target: every byte of an id must come through, everything malformed must not. */
#include "api/target.h"
#include "pools/base/hash.h"
#include "pools/base/percent.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct op op;

static enum err parse(const char *raw, struct target *ret_target) {
    op_init(&op, 0, 0);
    return target_parse(&op, raw, strlen(raw), ret_target);
}

static void expect_failure(const char *raw, enum reason reason) {
    struct target target;
    enum err err = parse(raw, &target);
    ck_assert_msg(err == reason_kind(reason), "%s: kind %d", raw, err);
    ck_assert_msg(op.fault.reason == reason, "%s: %s", raw, reason_slug(op.fault.reason));
    ck_assert_ptr_null(target.memory);
    ck_assert_uint_eq(target.segment_count, 0);
}

/* What is sent, and the id that it names. */
static const struct {
    const char *raw;
    const char *id;
    size_t bytes;
} awkward[] = {
    {"LAILA:ENTRY:GLOBAL_ID:3f2c", "LAILA:ENTRY:GLOBAL_ID:3f2c", 26},
    {"%3A", ":", 1},
    {"%253A", "%3A", 3},
    {":", ":", 1},
    {"a%2Fb", "a/b", 3},
    {"%2F%2F", "//", 2},
    {".", ".", 1},
    {"..", "..", 2},
    {"%2e%2E", "..", 2},
    {"a+b", "a+b", 3},
    {"a%20b", "a b", 3},
    {"%C3%BC", "\xc3\xbc", 2},
    {"\xc3\xbc", "\xc3\xbc", 2},
    {"%F0%9F%90%8D", "\xf0\x9f\x90\x8d", 4},
    {"a%00b", "a\0b", 3},
    {"%0A", "\n", 1},
    {"a=b&c;d", "a=b&c;d", 7},
    {"%3Fx%23", "?x#", 3},
    {"*", "*", 1},
};

START_TEST(ids_in_the_path) {
    char raw[128];
    snprintf(raw, sizeof raw, "/pools/alpha/entries/%s", awkward[_i].raw);
    struct target target;
    ck_assert_int_eq(parse(raw, &target), OK);
    ck_assert_uint_eq(target.segment_count, 4);
    ck_assert_str_eq(target.segment[0].text, "pools");
    ck_assert_str_eq(target.segment[1].text, "alpha");
    ck_assert_uint_eq(target.segment[3].bytes, awkward[_i].bytes);
    ck_assert_mem_eq(target.segment[3].text, awkward[_i].id, awkward[_i].bytes + 1);
    target_fini(&target);
}
END_TEST

START_TEST(ids_in_the_query) {
    if (strpbrk(awkward[_i].raw, "&")) {
        return; /* an ampersand ends a parameter */
    }
    char raw[128];
    snprintf(raw, sizeof raw, "/pools/alpha/entry?id=%s", awkward[_i].raw);
    struct target target;
    ck_assert_int_eq(parse(raw, &target), OK);
    ck_assert_uint_eq(target.segment_count, 3);
    const struct target_text *id = target_query(&target, "id");
    ck_assert_ptr_nonnull(id);
    ck_assert_uint_eq(id->bytes, awkward[_i].bytes);
    ck_assert_mem_eq(id->text, awkward[_i].id, awkward[_i].bytes + 1);
    target_fini(&target);
}
END_TEST

START_TEST(longest_id_all_escaped) {
    char raw[4096] = "/pools/alpha/entries/";
    char *next = raw + strlen(raw);
    for (int i = 0; i < 1024; i++, next += 3) {
        memcpy(next, "%41", 4);
    }
    struct target target;
    ck_assert_int_eq(parse(raw, &target), OK);
    ck_assert_uint_eq(target.segment[3].bytes, 1024);
    ck_assert_uint_eq(strspn(target.segment[3].text, "A"), 1024);
    target_fini(&target);
}
END_TEST

START_TEST(empty_segments_count) {
    struct target target;
    ck_assert_int_eq(parse("/", &target), OK);
    ck_assert_uint_eq(target.segment_count, 1);
    ck_assert_uint_eq(target.segment[0].bytes, 0);
    target_fini(&target);
    ck_assert_int_eq(parse("/pools/", &target), OK);
    ck_assert_uint_eq(target.segment_count, 2);
    ck_assert_uint_eq(target.segment[1].bytes, 0);
    target_fini(&target);
    ck_assert_int_eq(parse("//pools//x", &target), OK);
    ck_assert_uint_eq(target.segment_count, 4);
    ck_assert_str_eq(target.segment[1].text, "pools");
    target_fini(&target);
}
END_TEST

START_TEST(query_parameters) {
    struct target target;
    ck_assert_int_eq(parse("/p?prefix=a%26b&limit=&flag&&x=1=2", &target), OK);
    ck_assert_str_eq(target_query(&target, "prefix")->text, "a&b");
    ck_assert_str_eq(target_query(&target, "limit")->text, "");
    ck_assert_str_eq(target_query(&target, "flag")->text, "");
    ck_assert_str_eq(target_query(&target, "x")->text, "1=2");
    ck_assert_ptr_null(target_query(&target, "pre"));
    ck_assert_int_eq(target.parameter[1].has_value, true);
    ck_assert_int_eq(target.parameter[2].has_value, false);
    target_fini(&target);
    ck_assert_int_eq(parse("/p?", &target), OK);
    ck_assert_uint_eq(target.parameter_count, 0);
    target_fini(&target);
}
END_TEST

START_TEST(absolute_form) {
    struct target target;
    ck_assert_int_eq(parse("http://127.0.0.1:8080/livez?x", &target), OK);
    ck_assert_uint_eq(target.segment_count, 1);
    ck_assert_str_eq(target.segment[0].text, "livez");
    target_fini(&target);
    /* The authority ends at the query too, and a path left out is "/". */
    ck_assert_int_eq(parse("HTTP://host?/livez", &target), OK);
    ck_assert_uint_eq(target.segment_count, 1);
    ck_assert_str_eq(target.segment[0].text, "");
    ck_assert_uint_eq(target.parameter_count, 1);
    target_fini(&target);
    ck_assert_int_eq(parse("http://127.0.0.1", &target), OK);
    ck_assert_uint_eq(target.segment_count, 1);
    target_fini(&target);
    expect_failure("https://127.0.0.1/livez", REASON_INVALID_REQUEST);
}
END_TEST

START_TEST(refusals) {
    expect_failure("", REASON_INVALID_REQUEST);
    expect_failure("*", REASON_INVALID_REQUEST);
    expect_failure("pools", REASON_INVALID_REQUEST);
    expect_failure("/a b", REASON_INVALID_REQUEST);
    expect_failure("/a\tb", REASON_INVALID_REQUEST);
    expect_failure("/a\x7f", REASON_INVALID_REQUEST);
    expect_failure("/a#b", REASON_INVALID_REQUEST);
    expect_failure("/%", REASON_INVALID_REQUEST);
    expect_failure("/pools/%zz", REASON_INVALID_REQUEST);
    expect_failure("/pools/a/entries/%", REASON_INVALID_ID);
    expect_failure("/pools/a/entries/%4", REASON_INVALID_ID);
    expect_failure("/pools/a/entries/%g0", REASON_INVALID_ID);
    expect_failure("/pools/a/entries/%C3", REASON_INVALID_ID);
    expect_failure("/pools/a/entries/%ED%A0%80", REASON_INVALID_ID);
    expect_failure("/pools/a/entries/%C0%AF", REASON_INVALID_ID);
    expect_failure("/pools/a/entries/\xff", REASON_INVALID_ID);
    expect_failure("/pools/a/entry?id=%FF", REASON_INVALID_ID);
    expect_failure("/pools/a/entry?x=%FF", REASON_INVALID_QUERY);
    expect_failure("/pools/a/entry?%FF=x", REASON_INVALID_QUERY);
    expect_failure("/p?a=1&b=2&a=3", REASON_INVALID_QUERY);
    expect_failure("/p?a&b&c&d&e&f&g&h&i", REASON_INVALID_QUERY);
    expect_failure("/1/2/3/4/5/6/7/8/9", REASON_ROUTE_NOT_FOUND);
}
END_TEST

/* Texts of every length, so that every byte stands in every place of the eight that are looked at together. */
START_TEST(every_byte_in_every_place) {
    for (unsigned byte = 1; byte < 256; byte++) {
        bool is_refused = byte <= 0x20 || byte == 0x7f || byte == '#' || byte == '%' || byte >= 0x80;
        bool is_delimiter = byte == '/' || byte == '?';
        for (size_t bytes = 6; bytes < 18; bytes++) {
            for (size_t at = 1; at < bytes; at++) {
                char raw[32] = "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
                raw[bytes] = '\0';
                raw[at] = (char)byte;
                struct target target;
                enum err err = parse(raw, &target);
                ck_assert_msg((err != OK) == is_refused, "byte %u at %zu of %zu", byte, at, bytes);
                if (!err && !is_delimiter) {
                    ck_assert_uint_eq(target.segment_count, 1);
                    ck_assert_str_eq(target.segment[0].text, raw + 1);
                }
                target_fini(&target);
            }
        }
    }
}
END_TEST

START_TEST(too_long) {
    char *raw = malloc(TARGET_MOST_BYTES + 2);
    memset(raw, 'a', TARGET_MOST_BYTES + 1);
    raw[0] = '/';
    raw[TARGET_MOST_BYTES + 1] = '\0';
    expect_failure(raw, REASON_URI_TOO_LONG);
    raw[TARGET_MOST_BYTES] = '\0';
    struct target target;
    ck_assert_int_eq(parse(raw, &target), OK);
    ck_assert_uint_eq(target.segment[0].bytes, TARGET_MOST_BYTES - 1);
    target_fini(&target);
    free(raw);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("target");
    TCase *tcase = tcase_create("parse");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, ids_in_the_path, 0, ARRAY_COUNT(awkward));
    tcase_add_loop_test(tcase, ids_in_the_query, 0, ARRAY_COUNT(awkward));
    tcase_add_test(tcase, longest_id_all_escaped);
    tcase_add_test(tcase, empty_segments_count);
    tcase_add_test(tcase, query_parameters);
    tcase_add_test(tcase, absolute_form);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, every_byte_in_every_place);
    tcase_add_test(tcase, too_long);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
