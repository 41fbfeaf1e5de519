/* test_s3_options.c - what the options may be, and what they make of a request. */
#include "s3_suites.h"

#include "fake_store.h"
#include "s3_fixture.h"

#include <stdio.h>
#include <string.h>

static const struct s3_setting bad[] = {
    {"bucket", "a/b"},
    {"bucket", ""},
    {"bucket", ".."},
    {"bucket", "a b"},
    {"prefix", "a\nb"},
    {"prefix", "\xff"},
    {"region", "us east"},
    {"region", ""},
    {"endpoint", "ftp://h"},
    {"endpoint", "h:1"},
    {"endpoint", "http://"},
    {"endpoint", "http://user:pass@h"},
    {"endpoint", "http://h?x=1"},
    {"endpoint", "http://h:99999"},
    {"endpoint", "http://h:0"},
    {"endpoint", "http://h:"},
    {"endpoint", "http://h:80:80"},
    {"endpoint", "http://h:x/a"},
    {"endpoint", "http://:80"},
    {"endpoint", "http://::1"},
    {"endpoint", "http://[::1"},
    {"endpoint", "http://[]:80"},
    {"endpoint", "http://[::1]80"},
    {"endpoint", "http://h/a b"},
    {"access_key_id", "a b"},
    {"secret_access_key", "a\r\nHost: x"},
    {"session_token", "\x7f"},
};

START_TEST(bad_options_are_refused_by_name) {
    struct s3_setting one[] = {bad[_i], {NULL, NULL}};
    struct op *op = fresh_op();
    expect_fault(s3_fixture_try_open(op, one), ERR_INVALID, REASON_INVALID_CONFIG);
    ck_assert_ptr_nonnull(strstr(op->fault.detail, bad[_i].name));
}
END_TEST

#define EMPTY_OK "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"e\"\r\n\r\n"

static const struct {
    struct s3_setting settings[4];
    const char *path; /* after the endpoint */
    const char *line; /* of a GET of "a:b" */
} addresses[] = {
    {{{NULL, NULL}}, "", "GET /bucket/a%253Ab HTTP/1.1"},
    {{{"prefix", "p/"}, {NULL, NULL}}, "/", "GET /bucket/p/a%253Ab HTTP/1.1"},
    {{{"bucket", "other.bucket"}, {NULL, NULL}},
     "/base/path/",
     "GET /base/path/other.bucket/a%253Ab HTTP/1.1"},
    {{{"prefix", "../"}, {NULL, NULL}}, "", "GET /bucket/../a%253Ab HTTP/1.1"},
};

START_TEST(addresses_and_signed_fields) {
    const struct fake_answer answers[] = {{.text = EMPTY_OK}};
    struct fake_store *store = fake_store_start(answers, 1);
    char endpoint[128];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u%s", fake_store_port(store), addresses[_i].path);
    struct pool *pool = s3_fixture_open(endpoint, &(struct s3_how){.settings = addresses[_i].settings});
    expect_body(pool, "a:b", "", 0);
    const char *head = fake_store_head(store, 0);
    ck_assert_msg(strncmp(head, addresses[_i].line, strlen(addresses[_i].line)) == 0, "%s", head);
    char host[64];
    snprintf(host, sizeof host, "127.0.0.1:%u", fake_store_port(store));
    ck_assert_str_eq(fake_store_field(store, 0, "Host"), host);
    ck_assert_ptr_nonnull(
        strstr(fake_store_field(store, 0, "Authorization"),
               "/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date,"));
    ck_assert_ptr_null(fake_store_field(store, 0, "Accept-Encoding"));
    pool_unref(pool);
    fake_store_stop(store);
}
END_TEST

START_TEST(a_session_token_is_sent_and_signed) {
    const struct fake_answer answers[] = {{.text = EMPTY_OK}};
    struct fake_store *store = fake_store_start(answers, 1);
    const struct s3_setting settings[] = {
        {"session_token", "to/ken=="}, {"region", "eu-north-1"}, {NULL, NULL}};
    struct pool *pool = s3_fixture_open_port(fake_store_port(store), &(struct s3_how){.settings = settings});
    expect_body(pool, "x", "", 0);
    ck_assert_str_eq(fake_store_field(store, 0, "x-amz-security-token"), "to/ken==");
    ck_assert_ptr_nonnull(strstr(fake_store_field(store, 0, "Authorization"), "x-amz-security-token"));
    ck_assert_ptr_nonnull(strstr(fake_store_field(store, 0, "Authorization"), "/eu-north-1/"));
    pool_unref(pool);
    fake_store_stop(store);
}
END_TEST

START_TEST(without_credentials_nothing_is_asked) {
    struct fake_store *store = fake_store_start(NULL, 0);
    const struct s3_setting half[] = {{"secret_access_key", ""}, {NULL, NULL}};
    struct pool *pool = s3_fixture_open_port(fake_store_port(store), &(struct s3_how){.settings = half});
    struct pool_status status;
    pool_get_status(pool, &status);
    ck_assert_int_eq(status.state, POOL_NEEDS_CREDENTIALS);
    uint8_t *bytes;
    size_t count;
    struct listing listing;
    uint64_t removed;
    bool existed;
    struct meta meta;
    struct id id = id_of("x");
    expect_fault(get(pool, "x", &bytes, &count, NULL), ERR_CONFIG, REASON_NEEDS_CREDENTIALS);
    expect_fault(put(pool, "x", "1", 1, NULL), ERR_CONFIG, REASON_NEEDS_CREDENTIALS);
    expect_fault(pool_stat(pool, fresh_op(), &id, &meta), ERR_CONFIG, REASON_NEEDS_CREDENTIALS);
    expect_fault(pool_list(pool, fresh_op(), "", NULL, 10, &listing), ERR_CONFIG, REASON_NEEDS_CREDENTIALS);
    expect_fault(pool_remove(pool, fresh_op(), &id, NULL, &existed), ERR_CONFIG, REASON_NEEDS_CREDENTIALS);
    expect_fault(pool_empty(pool, fresh_op(), &removed), ERR_CONFIG, REASON_NEEDS_CREDENTIALS);
    pool_unref(pool);
    fake_store_stop(store);
}
END_TEST

START_TEST(ids_that_do_not_fit) {
    struct fake_store *store = fake_store_start(NULL, 0);
    const struct s3_setting settings[] = {{"prefix", "p/"}, {NULL, NULL}};
    struct pool *pool = s3_fixture_open_port(fake_store_port(store), &(struct s3_how){.settings = settings});
    ck_assert_uint_eq(pool->capabilities.max_key_bytes, 1022);
    char text[ID_MOST_BYTES + 1];
    memset(text, ':', 341);
    text[341] = '\0';
    struct id id = id_of(text);
    uint8_t *bytes;
    size_t count;
    struct meta meta;
    bool existed = true;
    expect_fault(put(pool, text, "1", 1, NULL), ERR_INVALID, REASON_ID_TOO_LONG_FOR_POOL);
    expect_fault(get(pool, text, &bytes, &count, NULL), ERR_NOT_FOUND, REASON_ENTRY_NOT_FOUND);
    ck_assert_int_eq(pool_stat(pool, fresh_op(), &id, &meta), ERR_NOT_FOUND);
    ck_assert_int_eq(pool_remove(pool, fresh_op(), &id, NULL, &existed), OK);
    ck_assert(!existed);
    pool_unref(pool);
    fake_store_stop(store);
}
END_TEST

TCase *s3_options_case(void) {
    TCase *tcase = tcase_create("options");
    tcase_add_loop_test(tcase, bad_options_are_refused_by_name, 0, (int)ARRAY_COUNT(bad));
    tcase_add_loop_test(tcase, addresses_and_signed_fields, 0, (int)ARRAY_COUNT(addresses));
    tcase_add_test(tcase, a_session_token_is_sent_and_signed);
    tcase_add_test(tcase, without_credentials_nothing_is_asked);
    tcase_add_test(tcase, ids_that_do_not_fit);
    return tcase;
}
