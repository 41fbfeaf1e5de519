/* test_entries.c - entries over the REST surface: read, exists, write, delete. Ids and lists of them: test_entry_ids.c. */
#include "pools/base/hash.h"
#include "tests/fakes/fake_kind.h"
#include "tests/fakes/fake_pool.h"
#include "tests/unit/api/scene.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_TAG "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\""
#define HELLO_DIGEST "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"

static const struct answer *put_with(const char *target, const char *body, const char *name,
                                     const char *value) {
    return service_call(
        service, &(struct call){.method = "PUT", .target = target, .body = body, .fields = {{name, value}}});
}

static void link_pools(const char *chain) {
    const struct answer *answer =
        service_call(service, &(struct call){.method = "PUT", .target = "/chain", .body = chain});
    ck_assert_msg(answer->status == 200, "%s", answer->body);
}

/* ---- write and read ---- */

START_TEST(put_get_delete) {
    const struct answer *answer = service_put(service, "/pools/alpha/entries/a", "hello");
    ck_assert_uint_eq(answer->status, 201);
    ck_assert_str_eq(answer_field(answer, "Location"), "/pools/alpha/entries/a");
    ck_assert_str_eq(answer_field(answer, "ETag"), HELLO_TAG);

    answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert(answer->from_peek && answer->reusable);
    ck_assert_str_eq(answer->body, "hello");
    ck_assert_uint_eq(answer->content_length, 5);
    ck_assert_str_eq(answer_field(answer, "ETag"), HELLO_TAG);
    ck_assert_str_eq(answer_field(answer, "Repr-Digest"), HELLO_DIGEST);
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"alpha\";hit");
    ck_assert_str_eq(answer_field(answer, "Cache-Control"), "no-cache");
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "application/octet-stream");
    ck_assert_str_eq(answer_field(answer, "Content-Encoding"), "");
    ck_assert_str_eq(answer_field(answer, "X-Content-Type-Options"), "nosniff");
    ck_assert_str_eq(answer_field(answer, "Content-Security-Policy"), "sandbox");

    ck_assert_uint_eq(service_put(service, "/pools/alpha/entries/a", "again")->status, 204);
    ck_assert_str_eq(service_get(service, "/pools/alpha/entries/a")->body, "again");

    ck_assert_uint_eq(call("DELETE", "/pools/alpha/entries/a")->status, 204);
    ck_assert_uint_eq(call("DELETE", "/pools/alpha/entries/a")->status, 204);
    answer = service_get(service, "/pools/alpha/entries/a");
    expect_problem(answer, 404, "entry-not-found");
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"alpha\";fwd=uri-miss");
    ck_assert_ptr_nonnull(strstr(answer->body, "\"pool\":\"alpha\""));
}
END_TEST

START_TEST(kept_answers_need_no_header) {
    service_put(service, "/pools/alpha/entries/a", "hello");
    service_set_prepared(service, true);
    const struct answer *answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert(answer->reusable);
    ck_assert_uint_eq(answer->response.header_count, 0);
    ck_assert_str_eq(answer->body, "hello");
    /* A condition makes it an answer of its own. */
    answer = call_with("GET", "/pools/alpha/entries/a", "If-None-Match", "\"other\"");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert(!answer->reusable);
    ck_assert_str_eq(answer_field(answer, "ETag"), HELLO_TAG);
}
END_TEST

START_TEST(what_came_with_the_body_comes_back) {
    const struct answer *answer =
        service_call(service, &(struct call){.method = "PUT",
                                             .target = "/pools/alpha/entries/a",
                                             .body = "{}",
                                             .fields = {{"Content-Type", "application/json; charset=utf-8"},
                                                        {"Content-Encoding", "gzip"}}});
    ck_assert_uint_eq(answer->status, 201);
    answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "application/json; charset=utf-8");
    ck_assert_str_eq(answer_field(answer, "Content-Encoding"), "gzip");
    char type[400];
    memset(type, 't', 256);
    type[256] = '\0';
    expect_problem(put_with("/pools/alpha/entries/b", "x", "Content-Type", type), 400, "invalid-header");
    type[255] = '\0';
    ck_assert_uint_eq(put_with("/pools/alpha/entries/b", "x", "Content-Type", type)->status, 201);
    expect_problem(put_with("/pools/alpha/entries/c", "x", "Content-Type", "a\x01z"), 400, "invalid-header");
    expect_absent("/pools/alpha/entries/c");
}
END_TEST

START_TEST(bodies_of_every_shape) {
    static const char binary[] = "\0\xff\r\n\0";
    struct call put = {.method = "PUT", .target = "/pools/alpha/entries/a", .body = binary, .body_bytes = 5};
    ck_assert_uint_eq(service_call(service, &put)->status, 201);
    const struct answer *answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_uint_eq(answer->body_bytes, 5);
    ck_assert_mem_eq(answer->body, binary, 5);

    ck_assert_uint_eq(service_put(service, "/pools/alpha/entries/empty", NULL)->status, 201);
    answer = service_get(service, "/pools/alpha/entries/empty");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_uint_eq(answer->body_bytes, 0);

    put = (struct call){.method = "PUT",
                        .target = "/pools/alpha/entries/drops",
                        .body = "in drops",
                        .in_drops = true,
                        .chunked = true};
    ck_assert_uint_eq(service_call(service, &put)->status, 201);
    ck_assert_str_eq(service_get(service, "/pools/alpha/entries/drops")->body, "in drops");

    size_t bytes = 300000;
    char *large = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        large[i] = (char)(i * 31);
    }
    put = (struct call){
        .method = "PUT", .target = "/pools/alpha/entries/large", .body = large, .body_bytes = bytes};
    ck_assert_uint_eq(service_call(service, &put)->status, 201);
    answer = service_get(service, "/pools/alpha/entries/large");
    ck_assert_uint_eq(answer->body_bytes, bytes);
    ck_assert_mem_eq(answer->body, large, bytes);
    free(large);
}
END_TEST

START_TEST(a_client_that_leaves_changes_nothing) {
    service_put(service, "/pools/alpha/entries/a", "before");
    struct call put = {.method = "PUT",
                       .target = "/pools/alpha/entries/a",
                       .body = "after",
                       .in_drops = true,
                       .cut_after = 3};
    expect_problem(service_call(service, &put), 400, "body-incomplete");
    ck_assert_str_eq(service_get(service, "/pools/alpha/entries/a")->body, "before");
}
END_TEST

START_TEST(too_large) {
    service_api(service)->body_most_bytes = 4;
    expect_problem(service_put(service, "/pools/alpha/entries/a", "hello"), 413, "too-large");
    struct call put = {.method = "PUT", .target = "/pools/alpha/entries/a", .body = "hello", .chunked = true};
    expect_problem(service_call(service, &put), 413, "too-large");
    expect_absent("/pools/alpha/entries/a");
}
END_TEST

/* ---- digests and conditions ---- */

START_TEST(digests) {
    ck_assert_uint_eq(put_with("/pools/alpha/entries/a", "hello", "Content-Digest", HELLO_DIGEST)->status,
                      201);
    ck_assert_uint_eq(put_with("/pools/alpha/entries/b", "hello", "Repr-Digest", HELLO_DIGEST)->status, 201);
    expect_problem(put_with("/pools/alpha/entries/c", "hallo", "Repr-Digest", HELLO_DIGEST), 400,
                   "digest-mismatch");
    expect_problem(put_with("/pools/alpha/entries/c", "hello", "Repr-Digest", "sha-256=:x:"), 400,
                   "invalid-header");
    ck_assert_uint_eq(put_with("/pools/alpha/entries/d", "hallo", "Repr-Digest", "md5=:x:")->status, 201);
    expect_problem(put_with("/pools/alpha/entries/c", "x", "Content-Range", "bytes 0-0/1"), 400,
                   "invalid-header");
    expect_absent("/pools/alpha/entries/c");
}
END_TEST

static const struct answer *put_trailed(const char *target, const char *body, const char *header,
                                        const char *trailer) {
    struct call put = {.method = "PUT",
                       .target = target,
                       .body = body,
                       .chunked = true,
                       .in_drops = true,
                       .trailers = {{"Content-Digest", trailer}}};
    if (header) {
        put.fields[0][0] = "Repr-Digest";
        put.fields[0][1] = header;
    }
    return service_call(service, &put);
}

#define OTHER_DIGEST "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"

START_TEST(digests_behind_the_body) {
    ck_assert_uint_eq(put_trailed("/pools/alpha/entries/a", "hello", NULL, HELLO_DIGEST)->status, 201);
    ck_assert_uint_eq(put_trailed("/pools/alpha/entries/a", "hello", HELLO_DIGEST, HELLO_DIGEST)->status,
                      204);
    expect_problem(put_trailed("/pools/alpha/entries/b", "hallo", NULL, HELLO_DIGEST), 400,
                   "digest-mismatch");
    expect_problem(put_trailed("/pools/alpha/entries/b", "hello", HELLO_DIGEST, OTHER_DIGEST), 400,
                   "digest-mismatch");
    expect_problem(put_trailed("/pools/alpha/entries/b", "hello", NULL, "sha-256=:x:"), 400,
                   "invalid-header");
    expect_absent("/pools/alpha/entries/b");
}
END_TEST

/* The transfer to a remote pool happens in there, and no step's time bounds it. */
START_TEST(a_commit_has_no_deadline) {
    struct settings *settings = fake_settings(false, NULL);
    struct op op;
    bool opened = false;
    op_init(&op, 0, 0);
    ck_assert_int_eq(
        registry_declare(service_api(service)->registry, &op, "noted", &fake_kind, settings, &opened), OK);
    ck_assert_uint_eq(service_put(service, "/pools/noted/entries/a", "hello")->status, 204);
    struct pool *pool = registry_get(service_api(service)->registry, "noted");
    struct fake_counts counts = fake_counts(pool);
    pool_unref(pool);
    ck_assert_uint_eq(counts.commits, 1);
    ck_assert_uint_eq(counts.commit_deadline_ns, 0);
    ck_assert_uint_ne(counts.open_deadline_ns, 0);
}
END_TEST

START_TEST(conditional_reads) {
    service_put(service, "/pools/alpha/entries/a", "hello");
    const char *a = "/pools/alpha/entries/a";
    const struct answer *answer = call_with("GET", a, "If-None-Match", "\"x\", W/" HELLO_TAG);
    ck_assert_uint_eq(answer->status, 304);
    ck_assert(answer->from_peek && !answer->reusable);
    ck_assert_int_eq(answer->body_kind, BODY_NONE);
    ck_assert_uint_eq(answer->content_length, 5);
    ck_assert_str_eq(answer_field(answer, "ETag"), HELLO_TAG);
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"alpha\";hit");
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "");
    ck_assert_uint_eq(call_with("GET", a, "If-None-Match", "*")->status, 304);
    ck_assert_uint_eq(call_with("HEAD", a, "If-None-Match", HELLO_TAG)->status, 304);
    ck_assert_uint_eq(call_with("GET", a, "If-Match", HELLO_TAG)->status, 200);
    expect_problem(call_with("GET", a, "If-Match", "\"x\""), 412, "precondition-failed");
    expect_problem(call_with("GET", a, "If-None-Match", "x"), 400, "invalid-header");
    expect_problem(call_with("GET", "/pools/alpha/entries/none", "If-None-Match", "*"), 404,
                   "entry-not-found");
}
END_TEST

START_TEST(conditional_writes) {
    const char *a = "/pools/alpha/entries/a";
    ck_assert_uint_eq(put_with(a, "hello", "If-None-Match", "*")->status, 201);
    expect_problem(put_with(a, "other", "If-None-Match", "*"), 412, "precondition-failed");
    expect_problem(put_with(a, "other", "If-Match", "\"x\""), 412, "precondition-failed");
    expect_problem(put_with(a, "other", "If-None-Match", HELLO_TAG), 412, "precondition-failed");
    expect_problem(call_with("DELETE", a, "If-Match", "\"x\""), 412, "precondition-failed");
    ck_assert_str_eq(service_get(service, a)->body, "hello");
    ck_assert_uint_eq(put_with(a, "other", "If-Match", HELLO_TAG)->status, 204);
    ck_assert_str_eq(service_get(service, a)->body, "other");
    ck_assert_uint_eq(call_with("DELETE", a, "If-Match", "*")->status, 204);
    expect_problem(call_with("DELETE", a, "If-Match", "*"), 412, "precondition-failed"); /* nobody has it */
    link_pools("alpha << cold\n");
    service_put(service, "/pools/cold/entries/a", "below");
    const struct answer *answer = put_with(a, "x", "If-Match", "*");
    expect_problem(answer, 412, "not-local");
    ck_assert_ptr_nonnull(strstr(answer->body, "\\\"cold\\\" of its chain does"));
}
END_TEST

/* ---- the cascade ---- */

START_TEST(a_miss_fills_on_the_way_back) {
    link_pools("alpha << cold << far\n");
    service_put(service, "/pools/far/entries/a", "hello");
    const struct answer *answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert(!answer->from_peek && !answer->reusable);
    ck_assert_str_eq(answer->body, "hello");
    ck_assert_str_eq(answer_field(answer, "Cache-Status"),
                     "\"far\";hit, \"cold\";fwd=uri-miss;stored, \"alpha\";fwd=uri-miss;stored");
    ck_assert_str_eq(answer_field(answer, "ETag"), HELLO_TAG);
    answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"alpha\";hit");
    ck_assert_uint_eq(call("HEAD", "/pools/cold/entries/a")->status, 200);
}
END_TEST

START_TEST(a_large_body_streams) {
    link_pools("alpha << cold\n");
    size_t bytes = 40 * SMALL_BODY_BYTES + 1;
    char *large = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        large[i] = (char)(i % 251);
    }
    struct call put = {
        .method = "PUT", .target = "/pools/cold/entries/a", .body = large, .body_bytes = bytes};
    ck_assert_uint_eq(service_call(service, &put)->status, 201);
    const struct answer *answer = service_get(service, "/pools/alpha/entries/a");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_uint_eq(answer->body_bytes, bytes);
    ck_assert_mem_eq(answer->body, large, bytes);
    free(large);
}
END_TEST

START_TEST(conditions_on_a_miss) {
    link_pools("alpha << cold\n");
    service_put(service, "/pools/cold/entries/a", "hello");
    const struct answer *answer = call_with("GET", "/pools/alpha/entries/a", "If-None-Match", HELLO_TAG);
    ck_assert_uint_eq(answer->status, 304);
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"cold\";hit, \"alpha\";fwd=uri-miss;stored");
    ck_assert_uint_eq(call("HEAD", "/pools/alpha/entries/a")->status, 200);
}
END_TEST

START_TEST(request_directives) {
    link_pools("alpha << cold\n");
    service_put(service, "/pools/cold/entries/a", "hello");
    const char *a = "/pools/alpha/entries/a";
    expect_problem(call_with("GET", a, "Cache-Control", "only-if-cached"), 504, "not-cached");
    ck_assert_str_eq(call_with("GET", a, "Cache-Control", "no-store")->body, "hello");
    expect_absent(a);
    service_put(service, a, "here");
    ck_assert_str_eq(call_with("GET", a, "Cache-Control", "only-if-cached")->body, "here");
}
END_TEST

START_TEST(a_failure_is_never_absence) {
    link_pools("alpha << down\n");
    const struct answer *answer = service_get(service, "/pools/alpha/entries/a");
    expect_problem(answer, 502, "tier-unavailable");
    ck_assert_str_eq(answer_field(answer, "Cache-Status"),
                     "\"down\";fwd=miss;detail=unavailable, \"alpha\";fwd=uri-miss");
    ck_assert_ptr_nonnull(strstr(answer->body, "\"tiers\":[\"down\"]"));
    ck_assert_ptr_nonnull(strstr(answer->body, "\"pool\":\"down\""));
    ck_assert_ptr_nonnull(strstr(answer->body, "\"retryable\":true"));
    expect_problem(service_get(service, "/pools/down/entries/a"), 502, "tier-unavailable");
    expect_problem(service_put(service, "/pools/down/entries/a", "x"), 502, "tier-unavailable");
    expect_problem(call("DELETE", "/pools/down/entries/a"), 502, "tier-unavailable");
    ck_assert_uint_eq(call("HEAD", "/pools/down/entries/a")->status, 502);
}
END_TEST

START_TEST(head_is_local) {
    link_pools("alpha << cold\n");
    service_put(service, "/pools/cold/entries/a", "hello");
    const struct answer *answer = call("HEAD", "/pools/alpha/entries/a");
    ck_assert_uint_eq(answer->status, 404);
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"alpha\";detail=local");
    ck_assert_str_eq(answer->body, "");
    answer = call("HEAD", "/pools/cold/entries/a");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert(answer->from_peek);
    ck_assert_int_eq(answer->body_kind, BODY_NONE);
    ck_assert_uint_eq(answer->content_length, 5);
    ck_assert_str_eq(answer_field(answer, "Cache-Status"), "\"cold\";hit;detail=local");
    ck_assert_str_eq(answer_field(answer, "Cache-Control"), "no-store");
    ck_assert_str_eq(answer_field(answer, "ETag"), HELLO_TAG);
    ck_assert_str_eq(answer_field(answer, "Repr-Digest"), HELLO_DIGEST);
    expect_absent("/pools/alpha/entries/a");
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("entries");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, put_get_delete);
    tcase_add_test(tcase, kept_answers_need_no_header);
    tcase_add_test(tcase, what_came_with_the_body_comes_back);
    tcase_add_test(tcase, bodies_of_every_shape);
    tcase_add_test(tcase, a_client_that_leaves_changes_nothing);
    tcase_add_test(tcase, too_large);
    tcase_add_test(tcase, digests);
    tcase_add_test(tcase, digests_behind_the_body);
    tcase_add_test(tcase, a_commit_has_no_deadline);
    tcase_add_test(tcase, conditional_reads);
    tcase_add_test(tcase, conditional_writes);
    tcase_add_test(tcase, a_miss_fills_on_the_way_back);
    tcase_add_test(tcase, a_large_body_streams);
    tcase_add_test(tcase, conditions_on_a_miss);
    tcase_add_test(tcase, request_directives);
    tcase_add_test(tcase, a_failure_is_never_absence);
    tcase_add_test(tcase, head_is_local);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
