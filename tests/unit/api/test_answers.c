/* test_answers.c - what goes out: problems, Cache-Status, header fields; and JSON in both directions. */
#include "api/cache_status.h"
#include "api/json.h"
#include "api/problem.h"
#include "api/routes.h"
#include "pools/base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct request request;
static struct response response;

static void setup(void) {
    memset(&request, 0, sizeof request);
    op_init(&request.op, 0, 0);
    response_init(&response);
}

static void teardown(void) {
    response_fini(&response);
}

static const char *field(const char *name) {
    const char *value = response_get_header(&response, name);
    return value ? value : "(none)";
}

/* ---- problems ---- */

START_TEST(every_reason_has_a_status_and_a_body) {
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        enum err kind = op_fail(&request.op, (enum reason)reason, "a sentence with \"quotes\"");
        problem_done(&request, &response, kind);
        ck_assert_uint_ge(response.status, 400);
        ck_assert_uint_le(response.status, 507);
        ck_assert_str_eq(field("Content-Type"), "application/problem+json");
        ck_assert_str_eq(field("Cache-Control"), "no-store");
        ck_assert_uint_eq(response.content_length, response.text.size);
        json_t *problem = json_loadb(response.text.data, response.text.size, JSON_REJECT_DUPLICATES, NULL);
        ck_assert_ptr_nonnull(problem);
        char type[96];
        snprintf(type, sizeof type, "urn:lailad:problem:%s", reason_slug((enum reason)reason));
        ck_assert_str_eq(json_string_value(json_object_get(problem, "type")), type);
        ck_assert_str_eq(json_string_value(json_object_get(problem, "title")),
                         reason_title((enum reason)reason));
        ck_assert_int_eq(json_integer_value(json_object_get(problem, "status")), response.status);
        ck_assert_str_eq(json_string_value(json_object_get(problem, "detail")), "a sentence with \"quotes\"");
        ck_assert_int_eq(json_is_true(json_object_get(problem, "retryable")),
                         reason_retryable((enum reason)reason));
        ck_assert_ptr_null(json_object_get(problem, "tiers"));
        bool retry = response.status == 503;
        ck_assert_str_eq(field("Retry-After"), retry ? "1" : "(none)");
        ck_assert_int_eq(response.status == 401, response_get_header(&response, "WWW-Authenticate") != NULL);
        json_decref(problem);
    }
}
END_TEST

START_TEST(statuses_of_the_design) {
    static const struct {
        enum err kind;
        unsigned status;
    } rows[] = {
        {ERR_INVALID, 400},     {ERR_UNAUTHENTICATED, 401},
        {ERR_FORBIDDEN, 403},   {ERR_NOT_FOUND, 404},
        {ERR_METHOD, 405},      {ERR_EXISTS, 409},
        {ERR_CONFLICT, 409},    {ERR_PRECONDITION, 412},
        {ERR_TOO_LARGE, 413},   {ERR_UNSUPPORTED_MEDIA, 415},
        {ERR_RANGE, 416},       {ERR_INTERNAL, 500},
        {ERR_CONFIG, 500},      {ERR_UNSUPPORTED, 501},
        {ERR_UNAVAILABLE, 502}, {ERR_DENIED, 502},
        {ERR_CORRUPT, 502},     {ERR_BUSY, 503},
        {ERR_THROTTLED, 503},   {ERR_TIMEOUT, 504},
        {ERR_NO_SPACE, 507},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_msg(problem_status(rows[i].kind) == rows[i].status, "%s", err_word(rows[i].kind));
    }
}
END_TEST

START_TEST(undescribed_failures) {
    problem_done(&request, &response, ERR_NO_SPACE);
    ck_assert_uint_eq(response.status, 507);
    ck_assert_ptr_nonnull(strstr(response.text.data, "urn:lailad:problem:no-space"));
    ck_assert_ptr_null(strstr(response.text.data, "detail"));
    /* A fault of another kind is not this failure's. */
    ck_assert_int_eq(op_fail(&request.op, REASON_TIMEOUT, "earlier"), ERR_TIMEOUT);
    problem_done(&request, &response, ERR_BUSY);
    ck_assert_uint_eq(response.status, 503);
    ck_assert_ptr_null(strstr(response.text.data, "earlier"));
}
END_TEST

START_TEST(tiers_and_pool) {
    struct tier_report reports[] = {
        {.nickname = "alpha", .result = TIER_MISS},
        {.nickname = "hdf5", .result = TIER_FAILED, .kind = ERR_BUSY},
        {.nickname = "s3", .result = TIER_FAILED, .kind = ERR_TIMEOUT},
    };
    struct problem_extra extra = {.reports = reports, .report_count = 3};
    enum err kind = op_fail(&request.op, REASON_TIMEOUT, "no answer");
    snprintf(request.op.fault.pool, sizeof request.op.fault.pool, "s3");
    problem_answer(&request, &response, &request.op.fault, kind, &extra);
    ck_assert_uint_eq(response.status, 504);
    ck_assert_str_eq(field("Cache-Status"), "\"s3\";fwd=miss;detail=timeout, \"hdf5\";fwd=miss;detail=busy, "
                                            "\"alpha\";fwd=uri-miss");
    ck_assert_ptr_nonnull(strstr(response.text.data, "\"tiers\":[\"hdf5\",\"s3\"]"));
    ck_assert_ptr_nonnull(strstr(response.text.data, "\"pool\":\"s3\""));
}
END_TEST

START_TEST(retry_after_and_deleted) {
    struct problem_extra extra = {.has_deleted = true, .deleted = 7};
    enum err kind = op_fail(&request.op, REASON_THROTTLED, "slow down");
    request.op.fault.retry_after_s = 30;
    problem_answer(&request, &response, &request.op.fault, kind, &extra);
    ck_assert_str_eq(field("Retry-After"), "30");
    ck_assert_ptr_nonnull(strstr(response.text.data, "\"deleted\":7"));
}
END_TEST

START_TEST(a_problem_replaces_what_was_begun) {
    response_header(&response, "ETag", "\"x\"");
    response.status = 200;
    problem_done(&request, &response, op_fail(&request.op, REASON_INTERNAL, "oops"));
    ck_assert_str_eq(field("ETag"), "(none)");
    ck_assert_uint_eq(response.header_count, 2);
    request.method = METHOD_HEAD;
    problem_done(&request, &response, ERR_INTERNAL);
    ck_assert_int_eq(response.body_kind, BODY_NONE);
    ck_assert_uint_gt(response.content_length, 0);
}
END_TEST

/* ---- Cache-Status ---- */

START_TEST(cache_status_of_a_walk) {
    struct tier_report reports[] = {
        {.nickname = "alpha", .result = TIER_MISS, .stored = true, .collapsed = true},
        {.nickname = "0hdf5", .result = TIER_MISS, .stored = true},
        {.nickname = "s3", .result = TIER_HIT},
        {.nickname = "far", .result = TIER_UNASKED},
    };
    cache_status_reports(&response, reports, 4);
    ck_assert_str_eq(field("Cache-Status"), "\"s3\";hit, \"0hdf5\";fwd=uri-miss;stored, "
                                            "\"alpha\";fwd=uri-miss;stored;collapsed");
}
END_TEST

START_TEST(cache_status_here) {
    cache_status_hit(&response, "alpha");
    ck_assert_str_eq(field("Cache-Status"), "\"alpha\";hit");
    response_reset(&response);
    cache_status_local(&response, "s3", true);
    ck_assert_str_eq(field("Cache-Status"), "\"s3\";hit;detail=local");
    response_reset(&response);
    cache_status_local(&response, "s3", false);
    ck_assert_str_eq(field("Cache-Status"), "\"s3\";detail=local");
}
END_TEST

START_TEST(cache_status_of_a_very_long_chain) {
    static struct tier_report reports[TIERS_MOST];
    for (unsigned i = 0; i < TIERS_MOST; i++) {
        snprintf(reports[i].nickname, NICKNAME_BYTES, "pool-%03u-%050u", i, 0U);
        reports[i].result = TIER_MISS;
    }
    cache_status_reports(&response, reports, TIERS_MOST);
    const char *value = field("Cache-Status");
    ck_assert_uint_le(strlen(value), 8000);
    ck_assert_ptr_nonnull(strstr(value, "pool-000-"));
    ck_assert_ptr_nonnull(strstr(value, "pool-063-"));
    ck_assert_int_eq(response.fault.reason, REASON_NONE);
}
END_TEST

/* ---- header fields ---- */

START_TEST(values_survive_growth) {
    char long_value[900];
    memset(long_value, 'v', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    response_header(&response, "First", "%d", 1);
    for (int i = 0; i < 10; i++) {
        response_header(&response, "Long", "%s", long_value);
    }
    ck_assert_str_eq(field("first"), "1");
    for (unsigned i = 1; i < response.header_count; i++) {
        ck_assert_str_eq(response.header[i].value, long_value);
    }
    ck_assert_int_eq(response.fault.reason, REASON_NONE);
}
END_TEST

START_TEST(what_does_not_fit_is_a_fault) {
    char *huge = malloc(RESPONSE_HEADER_BYTES + 1);
    memset(huge, 'v', RESPONSE_HEADER_BYTES);
    huge[RESPONSE_HEADER_BYTES] = '\0';
    response_header(&response, "Huge", "%s", huge);
    ck_assert_int_eq(response.fault.reason, REASON_INTERNAL);
    free(huge);
    response_reset(&response);
    for (unsigned i = 0; i < RESPONSE_MOST_HEADERS; i++) {
        response_header(&response, "N", "%u", i);
    }
    ck_assert_int_eq(response.fault.reason, REASON_NONE);
    response_header(&response, "N", "one more");
    ck_assert_int_eq(response.fault.reason, REASON_INTERNAL);
}
END_TEST

/* ---- JSON ---- */

static enum err decode(const char *text, json_t **ret_object) {
    return json_decode_object(&request.op, text, strlen(text), ret_object);
}

START_TEST(strict_json) {
    static const char *const refused[] = {
        "",
        "null",
        "[]",
        "\"x\"",
        "{",
        "{}}",
        "{} {}",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":123456789012345678901234567890}",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        json_t *object = NULL;
        ck_assert_msg(decode(refused[i], &object) == ERR_INVALID, "%s", refused[i]);
        ck_assert_int_eq(request.op.fault.reason, REASON_INVALID_BODY);
        ck_assert_ptr_null(object);
    }
    json_t *object = NULL;
    ck_assert_int_eq(decode(" {\"a\": [1, {\"b\": null}]} \n", &object), OK);
    json_decref(object);
}
END_TEST

/* What was sent may be a secret. */
START_TEST(json_complaints_quote_nothing) {
    static const struct {
        const char *text;
        const char *complaint;
    } rows[] = {
        {"{\"secret_access_key\": \"hunter2}", ": the JSON ends too early"},
        {"{\"secret_access_key\": hunter2}", ": invalid JSON"},
        {"{\"secret_access_key\": \"hunter2\\q\"}", ": invalid JSON"},
        {"{\"secret_access_key\": \"hunter2\"} hunter2", ": something follows the JSON"},
        {"{\"hunter2\": 1,\n \"hunter2\": 2}", ": a member is repeated"},
        {"{\"hunter2\": 123456789012345678901234567890}", ": a number is too large"},
        {"{\"hunter2\": \"\\u0000\"}", ": U+0000 is not allowed"},
        {"{\"hunter2\": \"\xff\"}", ": invalid UTF-8"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        json_t *object = NULL;
        ck_assert_int_eq(decode(rows[i].text, &object), ERR_INVALID);
        const char *detail = request.op.fault.detail;
        const char *where = strchr(rows[i].text, '\n') ? "line 2, column " : "line 1, column ";
        ck_assert_msg(strncmp(detail, where, strlen(where)) == 0, "%s: %s", rows[i].text, detail);
        ck_assert_msg(strstr(detail, rows[i].complaint) != NULL, "%s: %s", rows[i].text, detail);
        problem_done(&request, &response, ERR_INVALID);
        ck_assert_ptr_null(strstr(response.text.data, "hunter2"));
        ck_assert_ptr_null(strstr(response.text.data, "123456"));
    }
}
END_TEST

START_TEST(depth) {
    char open[JSON_MOST_DEPTH + 1];
    char close[JSON_MOST_DEPTH + 1];
    memset(open, '[', JSON_MOST_DEPTH);
    memset(close, ']', JSON_MOST_DEPTH);
    open[JSON_MOST_DEPTH] = close[JSON_MOST_DEPTH] = '\0';
    char text[512];
    /* Brackets in strings do not count. */
    snprintf(text, sizeof text, "{\"a\":%s%s,\"b\":\"[[[[\\\"[[[[\"}", open + 1, close + 1);
    json_t *object = NULL;
    ck_assert_int_eq(decode(text, &object), OK);
    json_decref(object);
    snprintf(text, sizeof text, "{\"a\":%s%s}", open, close);
    ck_assert_int_eq(decode(text, &object), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(request.op.fault.detail, "levels"));
}
END_TEST

START_TEST(members) {
    static const char *const allowed[] = {"pool", NULL};
    json_t *object = NULL;
    const char *text = NULL;
    ck_assert_int_eq(decode("{\"pool\":\"x\"}", &object), OK);
    ck_assert_int_eq(json_check_members(&request.op, object, allowed), OK);
    ck_assert_int_eq(json_get_text(&request.op, object, "pool", &text), OK);
    ck_assert_str_eq(text, "x");
    json_decref(object);
    ck_assert_int_eq(decode("{\"pool\":1,\"polo\":\"x\"}", &object), OK);
    ck_assert_int_eq(json_check_members(&request.op, object, allowed), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(request.op.fault.detail, "\"polo\""));
    ck_assert_int_eq(json_get_text(&request.op, object, "pool", &text), ERR_INVALID);
    ck_assert_int_eq(json_get_text(&request.op, object, "none", &text), ERR_INVALID);
    json_decref(object);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("answers");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_reason_has_a_status_and_a_body);
    tcase_add_test(tcase, statuses_of_the_design);
    tcase_add_test(tcase, undescribed_failures);
    tcase_add_test(tcase, tiers_and_pool);
    tcase_add_test(tcase, retry_after_and_deleted);
    tcase_add_test(tcase, a_problem_replaces_what_was_begun);
    tcase_add_test(tcase, cache_status_of_a_walk);
    tcase_add_test(tcase, cache_status_here);
    tcase_add_test(tcase, cache_status_of_a_very_long_chain);
    tcase_add_test(tcase, values_survive_growth);
    tcase_add_test(tcase, what_does_not_fit_is_a_fault);
    tcase_add_test(tcase, strict_json);
    tcase_add_test(tcase, json_complaints_quote_nothing);
    tcase_add_test(tcase, depth);
    tcase_add_test(tcase, members);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
