/* test_s3_errors.c - what each refusal of a store becomes. */
#include "s3_suites.h"

#include "pools/s3/s3_errors.h"

#include "pools/base/attrs.h"

#include <string.h>

static const struct {
    unsigned status;
    const char *code;
    enum reason reason;
    enum retry_cause cause;
} expected[] = {
    {404, "NoSuchKey", REASON_ENTRY_NOT_FOUND, RETRY_NEVER},
    {404, "NoSuchBucket", REASON_NO_SUCH_BUCKET, RETRY_NEVER},
    {404, "", REASON_BACKEND_CONFIG, RETRY_NEVER},
    {404, "SomethingNew", REASON_BACKEND_CONFIG, RETRY_NEVER},
    {403, "AccessDenied", REASON_DENIED, RETRY_NEVER},
    {403, "SignatureDoesNotMatch", REASON_DENIED, RETRY_NEVER},
    {403, "InvalidAccessKeyId", REASON_DENIED, RETRY_NEVER},
    {400, "ExpiredToken", REASON_DENIED, RETRY_NEVER},
    {403, "", REASON_DENIED, RETRY_NEVER},
    {401, "", REASON_DENIED, RETRY_NEVER},
    {403, "RequestTimeTooSkewed", REASON_CLOCK_SKEW, RETRY_NEVER},
    {400, "AuthorizationHeaderMalformed", REASON_WRONG_REGION, RETRY_NEVER},
    {301, "PermanentRedirect", REASON_WRONG_REGION, RETRY_NEVER},
    {301, "", REASON_WRONG_REGION, RETRY_NEVER},
    {307, "TemporaryRedirect", REASON_WRONG_REGION, RETRY_NEVER},
    {412, "PreconditionFailed", REASON_PRECONDITION_FAILED, RETRY_NEVER},
    {409, "ConditionalRequestConflict", REASON_PRECONDITION_FAILED, RETRY_NEVER},
    {416, "InvalidRange", REASON_RANGE, RETRY_NEVER},
    {400, "EntityTooLarge", REASON_TOO_LARGE, RETRY_NEVER},
    {400, "MetadataTooLarge", REASON_TOO_LARGE, RETRY_NEVER},
    {400, "KeyTooLongError", REASON_ID_TOO_LONG_FOR_POOL, RETRY_NEVER},
    {403, "QuotaExceeded", REASON_NO_SPACE, RETRY_NEVER},
    {507, "", REASON_NO_SPACE, RETRY_NEVER},
    {400, "BadDigest", REASON_UNAVAILABLE, RETRY_TRANSIENT},
    {400, "RequestTimeout", REASON_TIMEOUT, RETRY_TRANSIENT},
    {503, "SlowDown", REASON_THROTTLED, RETRY_THROTTLED},
    {503, "", REASON_THROTTLED, RETRY_THROTTLED},
    {429, "", REASON_THROTTLED, RETRY_THROTTLED},
    {500, "InternalError", REASON_UNAVAILABLE, RETRY_TRANSIENT},
    {500, "", REASON_UNAVAILABLE, RETRY_TRANSIENT},
    {502, "", REASON_UNAVAILABLE, RETRY_TRANSIENT},
    {504, "", REASON_TIMEOUT, RETRY_TRANSIENT},
    {599, "Whatever", REASON_UNAVAILABLE, RETRY_TRANSIENT},
    {501, "NotImplemented", REASON_UNSUPPORTED, RETRY_NEVER},
    {400, "MalformedXML", REASON_BAD_ANSWER, RETRY_NEVER},
    {418, "", REASON_BAD_ANSWER, RETRY_NEVER},
    {200, "InternalError", REASON_UNAVAILABLE, RETRY_TRANSIENT},
};

START_TEST(each_refusal_has_its_reason) {
    const struct s3_error_row *row = s3_errors_find(expected[_i].status, expected[_i].code);
    ck_assert_msg(row->reason == expected[_i].reason && row->cause == expected[_i].cause, "%u %s gave %s",
                  expected[_i].status, expected[_i].code, reason_slug(row->reason));
}
END_TEST

static enum err record(struct op *op, struct s3_refusal refusal) {
    enum retry_cause cause;
    refusal.code = refusal.code ? refusal.code : "";
    refusal.region = refusal.region ? refusal.region : "";
    op_init(op, 0, 0);
    return s3_errors_record(op, &refusal, &cause);
}

START_TEST(the_sentence_says_what_to_do) {
    struct op op;
    struct s3_refusal region = {.status = 301, .code = "PermanentRedirect", .region = "eu-west-1"};
    ck_assert_int_eq(record(&op, region), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "eu-west-1"));
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "HTTP 301 PermanentRedirect"));
    struct s3_refusal slow = {.status = 503, .code = "SlowDown", .retry_after_s = 7};
    ck_assert_int_eq(record(&op, slow), ERR_THROTTLED);
    ck_assert_uint_eq(op.fault.retry_after_s, 7);
}
END_TEST

START_TEST(only_who_asks_for_an_object_learns_that_it_is_absent) {
    struct op op;
    struct s3_refusal absent = {.status = 404, .code = "NoSuchKey"};
    ck_assert_int_eq(record(&op, absent), ERR_CORRUPT);
    ck_assert_int_eq(op.fault.reason, REASON_BAD_ANSWER);
    absent.conditional = true;
    ck_assert_int_eq(record(&op, absent), ERR_PRECONDITION);
    absent.asks_object = true;
    ck_assert_int_eq(record(&op, absent), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_condition_that_cannot_be_judged_has_its_own_reason) {
    struct op op;
    ck_assert_int_eq(record(&op, (struct s3_refusal){.status = 501, .conditional = true}), ERR_UNSUPPORTED);
    ck_assert_int_eq(op.fault.reason, REASON_CONDITIONAL_WRITE_UNSUPPORTED);
    ck_assert_int_eq(record(&op, (struct s3_refusal){.status = 501}), ERR_UNSUPPORTED);
    ck_assert_int_eq(op.fault.reason, REASON_UNSUPPORTED);
}
END_TEST

TCase *s3_errors_case(void) {
    TCase *tcase = tcase_create("errors");
    tcase_add_loop_test(tcase, each_refusal_has_its_reason, 0, (int)ARRAY_COUNT(expected));
    tcase_add_test(tcase, the_sentence_says_what_to_do);
    tcase_add_test(tcase, only_who_asks_for_an_object_learns_that_it_is_absent);
    tcase_add_test(tcase, a_condition_that_cannot_be_judged_has_its_own_reason);
    return tcase;
}
