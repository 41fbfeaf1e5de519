/* test_entry_ids.c - ids in paths and queries, lists of them, and emptying a pool. See test_entries.c. */
#include "pools/base/hash.h"
#include "tests/unit/api/scene.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* ---- one id ---- */

static const struct {
    const char *path;
    const char *location;
} ids[] = {
    {"/pools/alpha/entries/LAILA:ENTRY:x", "/pools/alpha/entries/LAILA%3AENTRY%3Ax"},
    {"/pools/alpha/entries/%253A", "/pools/alpha/entries/%253A"},
    {"/pools/alpha/entries/a%2Fb", "/pools/alpha/entries/a%2Fb"},
    {"/pools/alpha/entries/%2F%2f", "/pools/alpha/entries/%2F%2F"},
    {"/pools/alpha/entry?id=a/b", "/pools/alpha/entries/a%2Fb"},
    {"/pools/alpha/entries/..", "/pools/alpha/entry?id=.."},
    {"/pools/alpha/entry?id=.", "/pools/alpha/entry?id=."},
    {"/pools/alpha/entries/...", "/pools/alpha/entries/..."},
    {"/pools/alpha/entries/a+b%20c", "/pools/alpha/entries/a%2Bb%20c"},
    {"/pools/alpha/entries/%C3%BC", "/pools/alpha/entries/%C3%BC"},
    {"/pools/alpha/entries/entries", "/pools/alpha/entries/entries"},
    {"/pools/alpha/entry?id=%26%3D", "/pools/alpha/entries/%26%3D"},
};

START_TEST(awkward_ids) {
    const struct answer *answer = service_put(service, ids[_i].path, "x");
    ck_assert_uint_eq(answer->status, 201);
    ck_assert_str_eq(answer_field(answer, "Location"), ids[_i].location);
    ck_assert_str_eq(service_get(service, ids[_i].location)->body, "x");
    ck_assert_uint_eq(call("DELETE", ids[_i].path)->status, 204);
    ck_assert_uint_eq(service_get(service, ids[_i].location)->status, 404);
}
END_TEST

START_TEST(bad_ids) {
    expect_problem(service_get(service, "/pools/alpha/entries/a%00b"), 400, "invalid-id");
    expect_problem(service_put(service, "/pools/alpha/entries/a%00b", "x"), 400, "invalid-id");
    expect_problem(service_get(service, "/pools/alpha/entries/%FF"), 400, "invalid-id");
    expect_problem(service_get(service, "/pools/alpha/entry"), 400, "invalid-id");
    expect_problem(service_get(service, "/pools/alpha/entry?id="), 400, "invalid-id");
    char target[1200] = "/pools/alpha/entries/";
    size_t at = strlen(target);
    memset(target + at, 'a', 1025);
    target[at + 1025] = '\0';
    expect_problem(service_put(service, target, "x"), 400, "invalid-id");
    target[at + 1024] = '\0';
    ck_assert_uint_eq(service_put(service, target, "x")->status, 201);
}
END_TEST

START_TEST(unknown_pools) {
    expect_problem(service_get(service, "/pools/none/entries/a"), 404, "pool-not-found");
    expect_problem(service_get(service, "/pools/no%20ne/entries/a"), 404, "pool-not-found");
    expect_problem(service_get(service, "/pools/alpha%00/entries/a"), 404, "pool-not-found");
    struct call put = {.method = "PUT", .target = "/pools/none/entries/a", .body = "x", .cut_after = 1};
    const struct answer *answer = service_call(service, &put);
    expect_problem(answer, 404, "pool-not-found");
    ck_assert(answer->from_peek); /* before its body */
}
END_TEST

/* ---- list and empty ---- */

START_TEST(list_pages) {
    for (int i = 0; i < 5; i++) {
        char target[64];
        snprintf(target, sizeof target, "/pools/alpha/entries/p%%2F%d", i);
        service_put(service, target, "x");
    }
    service_put(service, "/pools/alpha/entries/other", "x");
    char target[256] = "/pools/alpha/entries?prefix=p%2F&limit=2";
    unsigned seen[5] = {0};
    unsigned pages = 0;
    for (;; pages++) {
        const struct answer *answer = service_get(service, target);
        ck_assert_uint_eq(answer->status, 200);
        ck_assert_str_eq(answer_field(answer, "Cache-Control"), "no-store");
        ck_assert_ptr_null(strstr(answer->body, "other"));
        for (const char *id = answer->body; (id = strstr(id, "\"p/")); id++) {
            seen[id[3] - '0']++;
        }
        const char *link = answer_field(answer, "Link");
        if (!*link) {
            ck_assert_ptr_nonnull(strstr(answer->body, "\"next_cursor\":null"));
            break;
        }
        const char *end = strstr(link, ">; rel=\"next\"");
        ck_assert_ptr_nonnull(end);
        ck_assert_ptr_nonnull(strstr(link, "&prefix=p%2F&limit=2"));
        snprintf(target, sizeof target, "%.*s", (int)(end - link - 1), link + 1);
    }
    ck_assert_uint_ge(pages, 2);
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(seen[i], 1);
    }
}
END_TEST

START_TEST(list_refusals) {
    static const char *const targets[] = {
        "/pools/alpha/entries?limit=0",    "/pools/alpha/entries?limit=1001",
        "/pools/alpha/entries?limit=",     "/pools/alpha/entries?limit=-1",
        "/pools/alpha/entries?limit=2x",   "/pools/alpha/entries?limit=00002",
        "/pools/alpha/entries?cursor=",    "/pools/alpha/entries?cursor=x",
        "/pools/alpha/entries?cursor=%00", "/pools/alpha/entries?prefix=a%00b",
        "/pools/alpha/entries?limits=1",   "/pools/alpha/entries?limit=1&limit=2",
        "/pools/alpha/entries?limit=1&",   "/pools/alpha/entries?&limit=1",
    };
    for (size_t i = 0; i < ARRAY_COUNT(targets); i++) {
        expect_problem(service_get(service, targets[i]), 400, "invalid-query");
    }
    ck_assert_str_eq(service_get(service, "/pools/alpha/entries")->body,
                     "{\"ids\":[],\"next_cursor\":null}\n");
    expect_problem(service_get(service, "/pools/down/entries"), 502, "tier-unavailable");
}
END_TEST

START_TEST(empty_needs_to_be_meant) {
    service_put(service, "/pools/alpha/entries/a", "x");
    expect_problem(call("DELETE", "/pools/alpha/entries"), 400, "confirm-empty");
    expect_problem(call("DELETE", "/pools/alpha/entries?all=yes"), 400, "confirm-empty");
    expect_problem(call("DELETE", "/pools/alpha/entries/"), 404, "route-not-found");
    ck_assert_uint_eq(call("HEAD", "/pools/alpha/entries/a")->status, 200);
    ck_assert_uint_eq(call("DELETE", "/pools/alpha/entries?all=true")->status, 204);
    expect_absent("/pools/alpha/entries/a");
    const struct answer *answer = call("DELETE", "/pools/down/entries?all=true");
    expect_problem(answer, 502, "tier-unavailable");
    ck_assert_ptr_nonnull(strstr(answer->body, "\"deleted\":3"));
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("entry ids");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, awkward_ids, 0, ARRAY_COUNT(ids));
    tcase_add_test(tcase, bad_ids);
    tcase_add_test(tcase, unknown_pools);
    tcase_add_test(tcase, list_pages);
    tcase_add_test(tcase, list_refusals);
    tcase_add_test(tcase, empty_needs_to_be_meant);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
