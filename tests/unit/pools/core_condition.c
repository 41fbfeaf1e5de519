/* core_condition.c - every precondition against every state of an entry. */
#include "tests/unit/pools/core_suites.h"

#include "pools/condition.h"

#define VALIDATOR_TAG "\"s3-abc\""

static struct meta meta_with(const char *body, const char *validator) {
    struct meta meta;
    meta_init(&meta);
    if (body) {
        meta.has_sha256 = true;
        digest_sha256(body, strlen(body), meta.sha256);
    }
    snprintf(meta.validator, sizeof meta.validator, "%s", validator);
    return meta;
}

static struct condition with_tag(enum condition_kind kind, const char *tag) {
    struct condition condition = {.kind = kind, .count = 1};
    snprintf(condition.tag[0], sizeof condition.tag[0], "%s", tag);
    return condition;
}

static void assert_check(const struct condition *condition, const struct meta *current, enum reason reason) {
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(condition_check(&op, condition, current), reason_kind(reason));
    ck_assert_int_eq(op.fault.reason, reason);
}

START_TEST(without_tags) {
    struct meta meta = meta_with("x", "");
    struct condition condition = {.kind = CONDITION_NONE};
    assert_check(NULL, NULL, REASON_NONE);
    assert_check(NULL, &meta, REASON_NONE);
    assert_check(&condition, NULL, REASON_NONE);
    assert_check(&condition, &meta, REASON_NONE);
    condition.kind = CONDITION_ABSENT;
    assert_check(&condition, NULL, REASON_NONE);
    assert_check(&condition, &meta, REASON_PRECONDITION_FAILED);
    condition.kind = CONDITION_PRESENT;
    assert_check(&condition, NULL, REASON_NOT_LOCAL);
    assert_check(&condition, &meta, REASON_NONE);
}
END_TEST

START_TEST(with_tags) {
    struct meta meta = meta_with("x", "s3-abc");
    char digest_tag[ETAG_BYTES];
    meta_etag(&meta, digest_tag);
    static const char *const others[] = {"\"other\"", "s3-abc",     "W/\"s3-abc\"",
                                         "\"s3-abc",  "\"S3-ABC\"", "\"\""};
    struct condition match = with_tag(CONDITION_MATCH, digest_tag);
    struct condition none_match = with_tag(CONDITION_NONE_MATCH, digest_tag);
    assert_check(&match, &meta, REASON_NONE);
    assert_check(&match, NULL, REASON_NOT_LOCAL);
    assert_check(&none_match, &meta, REASON_PRECONDITION_FAILED);
    assert_check(&none_match, NULL, REASON_NONE);
    match = with_tag(CONDITION_MATCH, VALIDATOR_TAG); /* the origin's tag counts as well */
    assert_check(&match, &meta, REASON_NONE);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        match = with_tag(CONDITION_MATCH, others[i]);
        none_match = with_tag(CONDITION_NONE_MATCH, others[i]);
        assert_check(&match, &meta, REASON_PRECONDITION_FAILED);
        assert_check(&none_match, &meta, REASON_NONE);
    }
}
END_TEST

START_TEST(any_of_several_tags) {
    struct meta meta = meta_with(NULL, "s3-abc");
    struct condition match = with_tag(CONDITION_MATCH, "\"1\"");
    match.count = CONDITION_MOST_TAGS;
    for (unsigned i = 0; i < CONDITION_MOST_TAGS; i++) {
        snprintf(match.tag[i], sizeof match.tag[i], "\"%u\"", i);
    }
    assert_check(&match, &meta, REASON_PRECONDITION_FAILED);
    snprintf(match.tag[CONDITION_MOST_TAGS - 1], sizeof match.tag[0], VALIDATOR_TAG);
    assert_check(&match, &meta, REASON_NONE);
}
END_TEST

START_TEST(an_entry_without_tags_matches_none) {
    struct meta meta = meta_with(NULL, "");
    struct condition match = with_tag(CONDITION_MATCH, "\"\"");
    assert_check(&match, &meta, REASON_PRECONDITION_FAILED);
    struct condition none_match = with_tag(CONDITION_NONE_MATCH, "\"\"");
    assert_check(&none_match, &meta, REASON_NONE);
}
END_TEST

Suite *condition_suite(void) {
    Suite *suite = suite_create("condition");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, without_tags);
    tcase_add_test(tcase, with_tags);
    tcase_add_test(tcase, any_of_several_tags);
    tcase_add_test(tcase, an_entry_without_tags_matches_none);
    suite_add_tcase(suite, tcase);
    return suite;
}
