/* test_pools.c - pools, their links and the whole wiring over the REST surface; routes and methods. */
#include "pools/base/hash.h"
#include "tests/unit/api/scene.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const struct answer *json(const char *method, const char *target, const char *body) {
    return service_send_json(service, method, target, body);
}

static const struct answer *json_if(const char *method, const char *target, const char *body,
                                    const char *name, const char *value) {
    return service_call(service,
                        &(struct call){.method = method,
                                       .target = target,
                                       .body = body,
                                       .fields = {{"Content-Type", "application/json"}, {name, value}}});
}

static const struct answer *text(const char *method, const char *body) {
    return service_call(service, &(struct call){.method = method,
                                                .target = "/chain",
                                                .body = body,
                                                .fields = {{"Content-Type", "text/plain"}}});
}

/* ---- pools ---- */

START_TEST(show) {
    const struct answer *answer = service_get(service, "/pools/alpha");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "application/json");
    ck_assert_str_eq(answer_field(answer, "Cache-Control"), "no-store");
    expect_in(answer, "\"nickname\":\"alpha\",\"kind\":\"memory\",\"config\":{");
    expect_in(answer, "\"max_bytes\":268435456");
    expect_in(answer, "\"durable\":false");
    expect_in(answer, "\"max_key_bytes\":null");
    expect_in(answer, "\"state\":{\"status\":\"ok\"},\"counts\":{\"entries\":0,\"bytes\":0}}");
    ck_assert_ptr_null(strstr(answer->body, "proxy_to"));
    answer = service_get(service, "/pools/down");
    expect_in(answer, "\"config\":{\"bucket\":\"b\"}"); /* and no secret */
    expect_in(answer, "\"state\":{\"status\":\"unavailable\",\"reason\":\"nobody answers\"}");
    expect_in(answer, "\"counts\":{\"entries\":null,\"bytes\":null}");
    expect_problem(service_get(service, "/pools/none"), 404, "pool-not-found");
    answer = call("HEAD", "/pools/alpha");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_str_eq(answer->body, "");
    ck_assert_uint_gt(answer->content_length, 100);
}
END_TEST

START_TEST(list) {
    const struct answer *answer = service_get(service, "/pools");
    ck_assert_uint_eq(answer->status, 200);
    const char *alpha = strstr(answer->body, "\"nickname\":\"alpha\"");
    const char *cold = strstr(answer->body, "\"nickname\":\"cold\"");
    const char *far = strstr(answer->body, "\"nickname\":\"far\"");
    ck_assert(alpha && cold && far && alpha < cold && cold < far);
    ck_assert_int_eq(strncmp(answer->body, "{\"pools\":[", 10), 0);
}
END_TEST

START_TEST(register_and_unregister) {
    const struct answer *answer = json(
        "POST", "/pools", "{\"nickname\":\"new.1\",\"kind\":\"memory\",\"config\":{\"max_bytes\":\"1MiB\"}}");
    ck_assert_msg(answer->status == 201, "%s", answer->body);
    ck_assert_str_eq(answer_field(answer, "Location"), "/pools/new.1");
    expect_in(answer, "\"max_bytes\":1048576");
    ck_assert_uint_eq(service_put(service, "/pools/new.1/entries/a", "x")->status, 201);
    expect_problem(json("POST", "/pools", "{\"nickname\":\"new.1\",\"kind\":\"memory\"}"), 409,
                   "pool-exists");
    json("PUT", "/pools/new.1/proxy_to", "{\"pool\":\"cold\"}");
    json("PUT", "/pools/alpha/proxy_to", "{\"pool\":\"new.1\"}");
    answer = call("DELETE", "/pools/new.1");
    expect_problem(answer, 409, "pool-in-use");
    expect_in(answer, "alpha");
    ck_assert_uint_eq(call("DELETE", "/pools/alpha/proxy_to")->status, 204);
    ck_assert_uint_eq(call("DELETE", "/pools/new.1")->status, 204);
    expect_problem(service_get(service, "/pools/new.1"), 404, "pool-not-found");
    ck_assert_str_eq(service_get(service, "/chain")->body, "");
}
END_TEST

START_TEST(refused_registrations) {
    static const struct {
        const char *body;
        const char *slug;
    } rows[] = {
        {"", "invalid-body"},
        {"[]", "invalid-body"},
        {"{\"nickname\":\"x\"}", "invalid-body"},
        {"{\"kind\":\"memory\"}", "invalid-body"},
        {"{\"nickname\":1,\"kind\":\"memory\"}", "invalid-body"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"konfig\":{}}", "invalid-body"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":[]}", "invalid-body"},
        {"{\"nickname\":\"x\",\"nickname\":\"y\",\"kind\":\"memory\"}", "invalid-body"},
        {"{\"nickname\":\"-x\",\"kind\":\"memory\"}", "invalid-nickname"},
        {"{\"nickname\":\"\",\"kind\":\"memory\"}", "invalid-nickname"},
        {"{\"nickname\":\"a/b\",\"kind\":\"memory\"}", "invalid-nickname"},
        {"{\"nickname\":\"x\",\"kind\":\"tape\"}", "unknown-kind"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":{\"maxbytes\":1}}", "invalid-config"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":{\"max_bytes\":1}}", "invalid-config"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":{\"max_bytes\":true}}", "invalid-config"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":{\"max_bytes\":1.5}}", "invalid-config"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":{\"max_bytes\":null}}", "invalid-config"},
        {"{\"nickname\":\"x\",\"kind\":\"memory\",\"config\":{\"max_bytes\":\"${ALLOWED}\"}}",
         "invalid-config"},
        {"{\"nickname\":\"x\",\"kind\":\"s3\",\"config\":{\"secret_access_key\":\"${FORBIDDEN}\"}}",
         "invalid-config"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        const struct answer *answer = json("POST", "/pools", rows[i].body);
        ck_assert_msg(answer->status == 400, "%s: %u", rows[i].body, answer->status);
        expect_problem(answer, 400, rows[i].slug);
        ck_assert_uint_eq(service_get(service, "/pools/x")->status, 404);
    }
    struct call post = {.method = "POST", .target = "/pools", .body = "{}"};
    expect_problem(service_call(service, &post), 415, "unsupported-media-type");
    expect_problem(json("POST", "/pools", "{\"nickname\":\"alpha\",\"kind\":\"memory\"}"), 409,
                   "pool-exists");
}
END_TEST

START_TEST(pools_that_stay) {
    expect_problem(call("DELETE", "/pools/alpha"), 409, "pool-permanent");
    expect_problem(call("DELETE", "/pools/cold"), 409, "declared-in-config");
    expect_problem(call("DELETE", "/pools/none"), 404, "pool-not-found");
}
END_TEST

START_TEST(json_bodies_are_bounded) {
    service_api(service)->json_most_bytes = 16;
    expect_problem(json("POST", "/pools", "{\"nickname\":\"x\",\"kind\":\"memory\"}"), 413, "too-large");
    struct call post = {.method = "POST",
                        .target = "/pools",
                        .body = "{\"nickname\":\"x\",\"kind\":\"memory\"}",
                        .chunked = true,
                        .fields = {{"Content-Type", "application/json"}}};
    expect_problem(service_call(service, &post), 413, "too-large");
    service_api(service)->json_most_bytes = strlen(post.body);
    post.in_drops = true;
    ck_assert_uint_eq(service_call(service, &post)->status, 201);
}
END_TEST

/* ---- proxy_to ---- */

/* As the 200 would be: the same fields and length, no body. */
static void expect_not_modified(const char *target, const char *accept, const char *tag) {
    struct call get = {.target = target, .fields = {{"Accept", accept}, {"If-None-Match", tag}}};
    size_t bytes =
        service_call(service, &(struct call){.target = target, .fields = {{"Accept", accept}}})->body_bytes;
    for (unsigned i = 0; i < 2; i++) {
        get.method = i ? "HEAD" : "GET";
        const struct answer *answer = service_call(service, &get);
        ck_assert_uint_eq(answer->status, 304);
        ck_assert_int_eq(answer->body_kind, BODY_NONE);
        ck_assert_uint_eq(answer->content_length, bytes);
        ck_assert_uint_gt(bytes, 0);
        ck_assert_str_eq(answer_field(answer, "ETag"), tag);
        ck_assert_str_eq(answer_field(answer, "Content-Type"), "");
    }
}

START_TEST(links) {
    const struct answer *answer = service_get(service, "/pools/alpha/proxy_to");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_str_eq(answer->body, "{\"pool\":null}\n");
    char before[32];
    snprintf(before, sizeof before, "%s", answer_field(answer, "ETag"));
    ck_assert_int_eq(before[0], '"');
    answer = json("PUT", "/pools/alpha/proxy_to", "{\"pool\":\"cold\"}");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_str_eq(answer->body, "{\"pool\":\"cold\"}\n");
    ck_assert_str_ne(answer_field(answer, "ETag"), before);
    answer = json("PUT", "/pools/alpha/proxy_to", "{\"pool\":\"cold\",\"on_tier_error\":\"fail\"}");
    ck_assert_str_eq(answer->body, "{\"pool\":\"cold\",\"on_tier_error\":\"fail\"}\n");
    answer = json("PUT", "/pools/alpha/proxy_to", "{\"pool\":\"cold\",\"on_tier_error\":\"skip\"}");
    ck_assert_str_eq(answer->body, "{\"pool\":\"cold\"}\n");
    answer = json("PUT", "/pools/alpha/proxy_to", "{\"pool\":null}");
    ck_assert_str_eq(answer->body, "{\"pool\":null}\n");
    json("PUT", "/pools/alpha/proxy_to", "{\"pool\":\"cold\"}");
    answer = call("DELETE", "/pools/alpha/proxy_to");
    ck_assert_uint_eq(answer->status, 204);
    ck_assert_str_ne(answer_field(answer, "ETag"), "");
    ck_assert_str_eq(service_get(service, "/pools/alpha/proxy_to")->body, "{\"pool\":null}\n");
}
END_TEST

START_TEST(refused_links) {
    static const struct {
        const char *body;
        unsigned status;
        const char *slug;
    } rows[] = {
        {"{}", 400, "invalid-body"},
        {"{\"pool\":1}", 400, "invalid-body"},
        {"{\"pool\":\"cold\",\"x\":1}", 400, "invalid-body"},
        {"{\"pool\":\"cold\",\"on_tier_error\":\"maybe\"}", 400, "invalid-body"},
        {"{\"pool\":\"cold\",\"on_tier_error\":null}", 400, "invalid-body"},
        {"{\"pool\":\"\"}", 400, "invalid-nickname"},
        {"{\"pool\":\"none\"}", 404, "pool-not-found"},
        {"{\"pool\":\"alpha\"}", 409, "proxy-cycle"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        expect_problem(json("PUT", "/pools/alpha/proxy_to", rows[i].body), rows[i].status, rows[i].slug);
    }
    ck_assert_str_eq(service_get(service, "/pools/alpha/proxy_to")->body, "{\"pool\":null}\n");
    json("PUT", "/pools/alpha/proxy_to", "{\"pool\":\"cold\"}");
    json("PUT", "/pools/cold/proxy_to", "{\"pool\":\"far\"}");
    const struct answer *answer = json("PUT", "/pools/far/proxy_to", "{\"pool\":\"alpha\"}");
    expect_problem(answer, 409, "proxy-cycle");
    expect_in(answer, "cold");
}
END_TEST

START_TEST(link_generations) {
    char tag[32];
    snprintf(tag, sizeof tag, "%s", answer_field(service_get(service, "/pools/alpha/proxy_to"), "ETag"));
    const char *target = "/pools/alpha/proxy_to";
    const char *cold = "{\"pool\":\"cold\"}";
    ck_assert_uint_eq(
        service_call(service, &(struct call){.target = target, .fields = {{"If-None-Match", tag}}})->status,
        304);
    expect_not_modified(target, "", tag);
    expect_problem(json_if("PUT", target, cold, "If-Match", "\"999999\""), 412, "precondition-failed");
    expect_problem(json_if("PUT", target, cold, "If-None-Match", "*"), 412, "precondition-failed");
    ck_assert_uint_eq(json_if("PUT", target, cold, "If-Match", tag)->status, 200);
    expect_problem(json_if("PUT", target, cold, "If-Match", tag), 412, "precondition-failed");
    ck_assert_uint_eq(json_if("PUT", target, cold, "If-Match", "*")->status, 200);
    struct call clear = {.method = "DELETE", .target = target, .fields = {{"If-Match", tag}}};
    expect_problem(service_call(service, &clear), 412, "precondition-failed");
}
END_TEST

/* ---- chain ---- */

START_TEST(chain_as_text) {
    const struct answer *answer = service_get(service, "/chain");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_str_eq(answer->body, "");
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "text/plain; charset=utf-8");
    answer = text("PUT", "far >> cold >> alpha");
    ck_assert_uint_eq(answer->status, 200);
    ck_assert_str_eq(answer->body, "alpha << cold << far\n");
    answer = text("POST", "alpha << far\n");
    ck_assert_str_eq(answer->body, "alpha << far\ncold << far\n");
    ck_assert_str_ne(answer_field(answer, "ETag"), "");
    ck_assert_str_eq(text("PUT", NULL)->body, "");
}
END_TEST

START_TEST(chain_as_json) {
    const struct answer *answer = json("PUT", "/chain", "{\"chain\":[\"alpha << cold\",\"far >> cold\"]}");
    ck_assert_msg(answer->status == 200, "%s", answer->body);
    ck_assert_str_eq(answer->body, "alpha << cold << far\n");
    struct call get = {.target = "/chain", .fields = {{"Accept", "application/json"}}};
    answer = service_call(service, &get);
    ck_assert_str_eq(answer->body, "{\"chain\":[\"alpha << cold << far\"]}\n");
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "application/json");
    ck_assert_str_eq(answer_field(answer, "Vary"), "Accept");
    answer = json_if("PUT", "/chain", "{\"chain\":[]}", "Accept", "application/json");
    ck_assert_str_eq(answer->body, "{\"chain\":[]}\n");
}
END_TEST

START_TEST(refused_chains) {
    text("PUT", "alpha << cold");
    expect_problem(text("POST", ""), 400, "invalid-chain");
    expect_problem(text("POST", "alpha"), 400, "invalid-chain");
    expect_problem(text("PUT", "alpha << cold >> far"), 400, "invalid-chain");
    expect_problem(text("PUT", "alpha << cold\nalpha << far"), 400, "invalid-chain");
    expect_problem(text("PUT", "alpha << cold << alpha"), 409, "proxy-cycle");
    expect_problem(text("PUT", "alpha << none"), 404, "pool-not-found");
    expect_problem(json("PUT", "/chain", "{\"chain\":\"alpha << cold\"}"), 400, "invalid-body");
    expect_problem(json("PUT", "/chain", "{\"chain\":[1]}"), 400, "invalid-body");
    expect_problem(json("PUT", "/chain", "{\"chain\":[\"alpha << cold\\nfar\"]}"), 400, "invalid-body");
    expect_problem(json("PUT", "/chain", "{}"), 400, "invalid-body");
    struct call form = {.method = "PUT",
                        .target = "/chain",
                        .body = "alpha << far",
                        .fields = {{"Content-Type", "application/x-www-form-urlencoded"}}};
    expect_problem(service_call(service, &form), 415, "unsupported-media-type");
    ck_assert_str_eq(service_get(service, "/chain")->body, "alpha << cold\n");
}
END_TEST

START_TEST(chain_generation) {
    char tag[32];
    snprintf(tag, sizeof tag, "%s", answer_field(service_get(service, "/chain"), "ETag"));
    struct call put = {
        .method = "PUT", .target = "/chain", .body = "alpha << cold", .fields = {{"If-Match", tag}}};
    ck_assert_uint_eq(service_call(service, &put)->status, 200);
    expect_problem(service_call(service, &put), 412, "precondition-failed");
    snprintf(tag, sizeof tag, "%s", answer_field(service_get(service, "/chain"), "ETag"));
    json("PUT", "/pools/cold/proxy_to", "{\"pool\":\"far\"}");
    ck_assert_str_ne(answer_field(service_get(service, "/chain"), "ETag"), tag);
}
END_TEST

/* Two forms of one state: a cache must not take one for the other, a change may name either. */
START_TEST(chain_tags_of_both_forms) {
    text("PUT", "alpha << cold");
    struct call get = {.target = "/chain", .fields = {{"Accept", "application/json"}}};
    char plain[32];
    char tag[32];
    snprintf(plain, sizeof plain, "%s", answer_field(service_get(service, "/chain"), "ETag"));
    snprintf(tag, sizeof tag, "%s", answer_field(service_call(service, &get), "ETag"));
    ck_assert_str_ne(plain, tag);
    expect_not_modified("/chain", "text/plain", plain);
    expect_not_modified("/chain", "application/json", tag);
    get.fields[1][0] = "If-None-Match";
    get.fields[1][1] = plain;
    ck_assert_uint_eq(service_call(service, &get)->status, 200);
    struct call put = {.method = "PUT", .target = "/chain", .body = "cold << far"};
    put.fields[0][0] = "If-Match";
    put.fields[0][1] = tag;
    ck_assert_uint_eq(service_call(service, &put)->status, 200);
    expect_problem(service_call(service, &put), 412, "precondition-failed");
    snprintf(plain, sizeof plain, "%s", answer_field(service_get(service, "/chain"), "ETag"));
    put.fields[0][1] = plain;
    ck_assert_uint_eq(service_call(service, &put)->status, 200);
}
END_TEST

/* ---- readiness ---- */

START_TEST(readiness) {
    static const struct {
        enum pool_state state;
        bool is_ready;
    } rows[] = {
        {POOL_OK, true},        {POOL_LOADING, true},   {POOL_UNAVAILABLE, true},       {POOL_FAILED, false},
        {POOL_READ_ONLY, true}, {POOL_POISONED, false}, {POOL_NEEDS_CREDENTIALS, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        service_set_down_state(service, rows[i].state);
        const struct answer *answer = service_get(service, "/readyz");
        char listed[160];
        snprintf(listed, sizeof listed,
                 "{\"nickname\":\"down\",\"ready\":%s,\"status\":\"%s\",\"reason\":\"nobody answers\"}",
                 rows[i].is_ready ? "true" : "false", pool_state_word(rows[i].state));
        ck_assert_ptr_nonnull(strstr(answer->body, listed));
        ck_assert_ptr_nonnull(
            strstr(answer->body, "{\"nickname\":\"alpha\",\"ready\":true,\"status\":\"ok\"}"));
        ck_assert(answer->from_peek);
        if (rows[i].is_ready) {
            ck_assert_uint_eq(answer->status, 200);
        } else {
            expect_problem(answer, 503, "not-ready");
        }
    }
}
END_TEST

/* ---- routes ---- */

START_TEST(methods) {
    const struct answer *answer = call("POST", "/pools/alpha/entries/a");
    expect_problem(answer, 405, "method-not-allowed");
    ck_assert_str_eq(answer_field(answer, "Allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
    answer = call("OPTIONS", "/pools");
    ck_assert_uint_eq(answer->status, 204);
    ck_assert_str_eq(answer_field(answer, "Allow"), "GET, HEAD, POST, OPTIONS");
    answer = call("OPTIONS", "/pools/nobody/entry?id=x&unknown=y");
    ck_assert_uint_eq(answer->status, 204);
    ck_assert_str_eq(answer_field(answer, "Allow"), "GET, HEAD, PUT, DELETE, OPTIONS");
    expect_problem(call("OPTIONS", "/none"), 404, "route-not-found");
    ck_assert_uint_eq(call("PATCH", "/chain")->status, 405);
    expect_problem(call("BREW", "/chain"), 501, "method-unknown");
    expect_problem(call("BREW", "/none"), 404, "route-not-found");
}
END_TEST

START_TEST(paths) {
    static const char *const none[] = {"//",
                                       "/pools/",
                                       "/pools/alpha/",
                                       "/pools//entries",
                                       "/pools/alpha/entries/",
                                       "/pools/alpha/entries/a/b",
                                       "/pools/alpha/entries/a/",
                                       "/livez/",
                                       "//pools",
                                       "/Pools",
                                       "/pools%2F%7Bnick%7D",
                                       "/pools%2F{nick}%2Fproxy_to",
                                       "/pools%2F%7Bnick%7D/entries/x",
                                       "/pools/alpha%2Fentries/x/y",
                                       "/pools/alpha/entries%2F%7Bid%7D"};
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        expect_problem(service_get(service, none[i]), 404, "route-not-found");
    }
    ck_assert_str_eq(service_get(service, "/livez")->body, "ok\n");
    ck_assert(service_get(service, "/livez")->from_peek);
    expect_problem(service_get(service, "/livez?x=1"), 400, "invalid-query");
    expect_problem(service_get(service, "/pools/alpha/entries/a?id=b"), 400, "invalid-query");
    struct call get = {.target = "/pools", .body = "x"};
    expect_problem(service_call(service, &get), 400, "invalid-request");
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("pools");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, show);
    tcase_add_test(tcase, list);
    tcase_add_test(tcase, register_and_unregister);
    tcase_add_test(tcase, refused_registrations);
    tcase_add_test(tcase, pools_that_stay);
    tcase_add_test(tcase, json_bodies_are_bounded);
    tcase_add_test(tcase, links);
    tcase_add_test(tcase, refused_links);
    tcase_add_test(tcase, link_generations);
    tcase_add_test(tcase, chain_as_text);
    tcase_add_test(tcase, chain_as_json);
    tcase_add_test(tcase, refused_chains);
    tcase_add_test(tcase, chain_generation);
    tcase_add_test(tcase, chain_tags_of_both_forms);
    tcase_add_test(tcase, readiness);
    tcase_add_test(tcase, methods);
    tcase_add_test(tcase, paths);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
