/* test_headers.c - the parsers of request header fields. */
#include "api/headers.h"
#include "pools/base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct op op;

static struct condition parse(const char *if_match, const char *if_none_match) {
    struct condition condition;
    op_init(&op, 0, 0);
    ck_assert_int_eq(headers_condition(&op, if_match, if_none_match, &condition), OK);
    return condition;
}

static void expect_refused(const char *if_match, const char *if_none_match) {
    struct condition condition;
    op_init(&op, 0, 0);
    ck_assert_int_eq(headers_condition(&op, if_match, if_none_match, &condition), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_HEADER);
}

START_TEST(conditions) {
    ck_assert_int_eq(parse(NULL, NULL).kind, CONDITION_NONE);
    ck_assert_int_eq(parse("*", NULL).kind, CONDITION_PRESENT);
    ck_assert_int_eq(parse(NULL, " * ").kind, CONDITION_ABSENT);
    struct condition condition = parse("\"a\" , \"b\",,\"\"", NULL);
    ck_assert_int_eq(condition.kind, CONDITION_MATCH);
    ck_assert_uint_eq(condition.count, 3);
    ck_assert_str_eq(condition.tag[0], "\"a\"");
    ck_assert_str_eq(condition.tag[1], "\"b\"");
    ck_assert_str_eq(condition.tag[2], "\"\"");
    ck_assert(headers_condition_names(&condition, "\"b\""));
    ck_assert(!headers_condition_names(&condition, "\"c\""));
    condition = parse(NULL, "\"with,a-comma\"");
    ck_assert_uint_eq(condition.count, 1);
    ck_assert_str_eq(condition.tag[0], "\"with,a-comma\"");
}
END_TEST

START_TEST(weak_tags) {
    struct condition condition = parse("W/\"a\", \"b\"", NULL);
    ck_assert_uint_eq(condition.count, 1);
    ck_assert_str_eq(condition.tag[0], "\"b\"");
    condition = parse("W/\"a\"", NULL);
    ck_assert_int_eq(condition.kind, CONDITION_MATCH);
    ck_assert_uint_eq(condition.count, 0); /* never matches */
    condition = parse(NULL, "W/\"a\"");
    ck_assert_uint_eq(condition.count, 1);
    ck_assert_str_eq(condition.tag[0], "\"a\"");
}
END_TEST

START_TEST(bad_conditions) {
    expect_refused("", NULL);
    expect_refused("a", NULL);
    expect_refused("\"a", NULL);
    expect_refused("\"a\" \"b\"", NULL);
    expect_refused("*, \"a\"", NULL);
    expect_refused(NULL, "w/\"a\"");
    expect_refused("\"a\"", "\"b\"");
    char many[256] = "";
    for (int i = 0; i <= CONDITION_MOST_TAGS; i++) {
        memcpy(many + 4 * i, "\"x\",", 5);
    }
    expect_refused(many, NULL);
}
END_TEST

START_TEST(overlong_tags_name_nothing) {
    char tag[ETAG_BYTES + 16];
    memset(tag, 'x', sizeof tag);
    tag[0] = '"';
    tag[sizeof tag - 2] = '"';
    tag[sizeof tag - 1] = '\0';
    struct condition condition = parse(tag, NULL);
    ck_assert_int_eq(condition.kind, CONDITION_MATCH);
    ck_assert_uint_eq(condition.count, 0);
}
END_TEST

START_TEST(media_types) {
    ck_assert(headers_is_media("application/json", "application/json"));
    ck_assert(headers_is_media("Application/JSON; charset=utf-8", "application/json"));
    ck_assert(!headers_is_media("application/jsonx", "application/json"));
    ck_assert(!headers_is_media("application/problem+json", "application/json"));
    ck_assert(!headers_is_media("", "application/json"));
    ck_assert(!headers_is_media(NULL, "application/json"));
}
END_TEST

START_TEST(accept) {
    ck_assert(!headers_prefers_json(NULL));
    ck_assert(!headers_prefers_json(""));
    ck_assert(!headers_prefers_json("*/*"));
    ck_assert(headers_prefers_json("application/json"));
    ck_assert(headers_prefers_json("application/json, */*;q=0.5"));
    ck_assert(headers_prefers_json("application/*"));
    ck_assert(!headers_prefers_json("text/plain, application/json"));
    ck_assert(!headers_prefers_json("application/json;q=0"));
    ck_assert(!headers_prefers_json("application/json;q=0.2, text/*;q=0.3"));
    ck_assert(headers_prefers_json("text/plain; q=0.1, application/json; q=0.2"));
    ck_assert(!headers_prefers_json("application/json;q=0, */*"));
}
END_TEST

START_TEST(cache_control) {
    struct cache_directives directives;
    headers_cache_control(NULL, &directives);
    ck_assert(!directives.only_if_cached && !directives.no_store);
    headers_cache_control("max-age=0, Only-If-Cached , x=\"no-store\"", &directives);
    ck_assert(directives.only_if_cached && !directives.no_store);
    headers_cache_control("no-store", &directives);
    ck_assert(!directives.only_if_cached && directives.no_store);
    headers_cache_control("no-stores,only-if-cachedx,no-cached", &directives);
    ck_assert(!directives.only_if_cached && !directives.no_store && !directives.no_cache);
    headers_cache_control("max-age=0,NO-CACHE", &directives);
    ck_assert(!directives.only_if_cached && !directives.no_store && directives.no_cache);
}
END_TEST

#define HELLO_DIGEST "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:" /* of "hello" */

static enum err digest(const char *value, bool *ret_has, uint8_t ret_sha256[SHA256_BYTES]) {
    op_init(&op, 0, 0);
    return headers_digest(&op, "Content-Digest", value, ret_has, ret_sha256);
}

START_TEST(digests) {
    uint8_t sent[SHA256_BYTES];
    uint8_t real[SHA256_BYTES];
    bool has = true;
    digest_sha256("hello", 5, real);
    ck_assert_int_eq(digest(NULL, &has, sent), OK);
    ck_assert(!has);
    ck_assert_int_eq(digest(HELLO_DIGEST, &has, sent), OK);
    ck_assert(has);
    ck_assert_mem_eq(sent, real, SHA256_BYTES);
    ck_assert_int_eq(digest("md5=:abcd:, " HELLO_DIGEST " ,sha-512=:x:", &has, sent), OK);
    ck_assert(has);
    ck_assert_int_eq(digest("md5=:abcd:, unixsum=30637", &has, sent), OK);
    ck_assert(!has);
    ck_assert_int_eq(digest("", &has, sent), OK);
    ck_assert(!has);
    ck_assert_int_eq(digest(HELLO_DIGEST ";q=1", &has, sent), OK); /* parameters mean nothing to us */
    ck_assert_int_eq(digest("sha-256=?1, sha-256, sha-256=:short:, " HELLO_DIGEST, &has, sent), OK);
    ck_assert(has); /* of several the last counts */
    ck_assert_mem_eq(sent, real, SHA256_BYTES);
    ck_assert(has);
    char text[DIGEST_FIELD_BYTES];
    headers_format_digest(real, text);
    ck_assert_str_eq(text, HELLO_DIGEST);
}
END_TEST

START_TEST(bad_digests) {
    static const char *const values[] = {
        "sha-256",
        "sha-256=",
        "sha-256=::",
        "sha-256=LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ:",
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmC==:",
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmC!=:",
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCR=:", /* bits beyond the 256th */
        "md5=:abcd:, sha-256=:short:",
        "nonsense of another form",
        "SHA-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", /* keys have no capitals */
        HELLO_DIGEST ",",
        "," HELLO_DIGEST,
        HELLO_DIGEST " md5=:abcd:",
        HELLO_DIGEST ", md5=:abcd",
        "md5=abc=, " HELLO_DIGEST,
        HELLO_DIGEST ", sha-256=?1",
        HELLO_DIGEST ", sha-256",
    };
    uint8_t sent[SHA256_BYTES];
    bool has = false;
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        ck_assert_msg(digest(values[i], &has, sent) == ERR_INVALID, "%s", values[i]);
        ck_assert_int_eq(op.fault.reason, REASON_INVALID_HEADER);
    }
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("headers");
    TCase *tcase = tcase_create("parse");
    tcase_add_test(tcase, conditions);
    tcase_add_test(tcase, weak_tags);
    tcase_add_test(tcase, bad_conditions);
    tcase_add_test(tcase, overlong_tags_name_nothing);
    tcase_add_test(tcase, media_types);
    tcase_add_test(tcase, accept);
    tcase_add_test(tcase, cache_control);
    tcase_add_test(tcase, digests);
    tcase_add_test(tcase, bad_digests);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
