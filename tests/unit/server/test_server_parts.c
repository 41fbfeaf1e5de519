/* test_server_parts.c - the pure parts of the server: pipe, header list, screen, auth. */
#include "api/target.h"
#include "pools/base/hash.h"
#include "server/auth.h"
#include "server/listener.h"
#include "server/pipe.h"
#include "server/screen.h"

#include <check.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- pipe ---- */

START_TEST(a_pipe_keeps_order_over_its_edge) {
    struct pipe pipe;
    pipe_init(&pipe);
    char out[8];
    enum err end = OK;
    void *where = NULL;
    ck_assert_uint_eq(pipe_space(&pipe, &where), 0);
    ck_assert_uint_eq(pipe_read(&pipe, out, sizeof out), 0);
    ck_assert(pipe_open(&pipe, 5));
    for (int round = 0; round < 20; round++) {
        ck_assert_uint_eq(pipe_write(&pipe, "abcdefg", 7), 5);
        ck_assert_uint_eq(pipe_write(&pipe, "x", 1), 0);
        ck_assert_uint_eq(pipe_read(&pipe, out, 3), 3);
        ck_assert_int_eq(memcmp(out, "abc", 3), 0);
        ck_assert_uint_eq(pipe_write(&pipe, "f", 1), 1);
        ck_assert_uint_eq(pipe_read(&pipe, out, sizeof out), 3);
        ck_assert_int_eq(memcmp(out, "def", 3), 0);
    }
    ck_assert_uint_eq(pipe_write(&pipe, "z", 1), 1);
    ck_assert(!pipe_at_end(&pipe, &end));
    pipe_end(&pipe, ERR_CANCELLED);
    ck_assert(!pipe_at_end(&pipe, &end)); /* the byte comes first */
    ck_assert_uint_eq(pipe_read(&pipe, out, sizeof out), 1);
    ck_assert(pipe_at_end(&pipe, &end));
    ck_assert_int_eq(end, ERR_CANCELLED);
    pipe_fini(&pipe);
}
END_TEST

#define RACE_BYTES 3000000

static void *produce(void *argument) {
    struct pipe *pipe = argument;
    unsigned char piece[777];
    for (size_t at = 0; at < RACE_BYTES;) {
        size_t count = RACE_BYTES - at < sizeof piece ? RACE_BYTES - at : sizeof piece;
        for (size_t i = 0; i < count; i++) {
            piece[i] = (unsigned char)((at + i) * 7);
        }
        at += pipe_write(pipe, piece, count);
    }
    pipe_end(pipe, OK);
    return NULL;
}

START_TEST(a_pipe_serves_two_threads_without_a_lock) {
    struct pipe pipe;
    pipe_init(&pipe);
    ck_assert(pipe_open(&pipe, 4096));
    pthread_t producer;
    pthread_create(&producer, NULL, produce, &pipe);
    unsigned char piece[1000];
    size_t total = 0;
    enum err end = ERR_AGAIN;
    while (!pipe_at_end(&pipe, &end)) {
        size_t count = pipe_read(&pipe, piece, sizeof piece);
        size_t wrong = 0;
        for (size_t i = 0; i < count; i++) {
            wrong +=
                piece[i] != (unsigned char)((total + i) * 7); /* millions: one assertion each would be slow */
        }
        ck_assert_uint_eq(wrong, 0);
        total += count;
    }
    pthread_join(producer, NULL);
    ck_assert_int_eq(end, OK);
    ck_assert_uint_eq(total, RACE_BYTES);
    pipe_fini(&pipe);
}
END_TEST

/* ---- the screen ---- */

static struct headers headers;

static void add(const char *name, const char *value) {
    headers_add(&headers, name, strlen(name), value, strlen(value));
}

static enum err screen(const char *version, const char *target, struct screened *ret_screened) {
    struct op op;
    op_init(&op, 0, 0);
    struct screen_head head = {.version = version,
                               .target = target,
                               .target_bytes = strlen(target),
                               .head_bytes = 100,
                               .headers = &headers};
    enum err err = screen_request(&op, &head, ret_screened);
    headers_fini(&headers);
    return err;
}

static enum err screen_field(const char *name, const char *value) {
    struct screened screened;
    headers_init(&headers);
    add("Host", "x");
    add(name, value);
    return screen("HTTP/1.1", "/", &screened);
}

START_TEST(fields_are_screened) {
    static const struct {
        const char *name, *value;
        enum err expected;
    } rows[] = {
        {"Content-Length", "5", OK},
        {"Content-Length", " 5 ", OK},
        {"Content-Length", "", ERR_INVALID},
        {"Content-Length", "+5", ERR_INVALID},
        {"Content-Length", "5, 5", ERR_INVALID},
        {"Content-Length", "0x5", ERR_INVALID},
        {"Content-Length", "99999999999999999999", ERR_INVALID},
        {"Content-Length ", "5", ERR_INVALID},
        {"", "5", ERR_INVALID},
        {"X(Y", "5", ERR_INVALID},
        {"X\xc3\xa4", "5", ERR_INVALID},
        {"X",
         "a\x01"
         "b",
         ERR_INVALID},
        {"X", "a\rb", ERR_INVALID},
        {"X", "a\tb", OK},
        {"X", "\xc3\xa4", OK},
        {"Transfer-Encoding", "chunked", OK},
        {"Transfer-Encoding", "CHUNKED", OK},
        {"Transfer-Encoding", "gzip, chunked", ERR_UNSUPPORTED},
        {"Transfer-Encoding", "chunked, chunked", ERR_UNSUPPORTED},
        {"Transfer-Encoding", "", ERR_UNSUPPORTED},
        {"Host", "y", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        ck_assert_msg(screen_field(rows[i].name, rows[i].value) == rows[i].expected, "%s: %s", rows[i].name,
                      rows[i].value);
    }
}
END_TEST

START_TEST(twins_are_screened) {
    static const char *const single[] = {"Content-Type", "authorization", "If-Range", "range",
                                         "Content-Length"};
    struct screened screened;
    for (size_t i = 0; i < ARRAY_COUNT(single); i++) {
        headers_init(&headers);
        add("Host", "x");
        add(single[i], "1");
        add(single[i], "1");
        ck_assert_int_eq(screen("HTTP/1.1", "/", &screened), ERR_INVALID);
    }
    headers_init(&headers);
    add("Host", "x");
    add("If-None-Match", "\"a\"");
    add("if-none-match", "\"b\"");
    ck_assert_int_eq(screen("HTTP/1.1", "/", &screened), OK);
    headers_init(&headers);
    add("Host", "x");
    add("Content-Length", "0");
    add("Transfer-Encoding", "chunked");
    ck_assert_int_eq(screen("HTTP/1.1", "/", &screened), ERR_INVALID);
}
END_TEST

/* The authority of the absolute form replaces Host. */
START_TEST(absolute_targets_name_their_host) {
    static const struct {
        const char *target, *host;
        enum err expected;
    } rows[] = {
        {"http://localhost/p", "evil.example", OK},
        {"HTTP://127.0.0.1:8080", "x", OK},
        {"http://[::1]:8080/?q", "x", OK},
        {"http://evil.example/p", "localhost", ERR_INVALID},
        {"http://evil.example", "localhost", ERR_INVALID},
        {"http://evil.example?/localhost", "localhost", ERR_INVALID},
        {"http:///p", "localhost", ERR_INVALID},
        {"http://user@localhost/p", "localhost", ERR_INVALID},
        {"http://localhost:80x/p", "localhost", ERR_INVALID},
        {"http://localhost/p", "mal formed", ERR_INVALID},
        {"/http://evil.example/", "localhost", OK},
        {"/p", "evil.example", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct screened screened;
        headers_init(&headers);
        add("Host", rows[i].host);
        ck_assert_msg(screen("HTTP/1.1", rows[i].target, &screened) == rows[i].expected, "%s",
                      rows[i].target);
    }
}
END_TEST

START_TEST(framing_is_told) {
    struct screened screened;
    headers_init(&headers);
    add("Host", "x");
    add("Content-Length", "77");
    add("Expect", "100-Continue");
    ck_assert_int_eq(screen("HTTP/1.1", "http://other/p?q", &screened), OK);
    ck_assert(screened.has_body && screened.expects_continue && !screened.is_http_1_0);
    ck_assert_uint_eq(screened.body_bytes, 77);
    headers_init(&headers);
    ck_assert_int_eq(screen("HTTP/1.0", "/", &screened), OK);
    ck_assert(screened.is_http_1_0 && !screened.has_body);
    headers_init(&headers);
    add("Host", "x");
    add("Expect", "");
    ck_assert_int_eq(screen("HTTP/1.1", "/", &screened), OK);
    ck_assert(!screened.expects_continue);
    headers_init(&headers);
    ck_assert_int_eq(screen("HTTP/1.1", "/", &screened), ERR_INVALID); /* no Host */
    headers_init(&headers);
    add("Transfer-Encoding", "chunked");
    ck_assert_int_eq(screen("HTTP/1.0", "/", &screened), ERR_INVALID);
}
END_TEST

START_TEST(other_expectations_are_refused) {
    static const char *const others[] = {"foo", "100-continue, foo", "100-continue;q=1", "100", "200-ok"};
    struct screened screened;
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        ck_assert_msg(screen_field("Expect", others[i]) == ERR_EXPECTATION, "%s", others[i]);
    }
    ck_assert_int_eq(screen_field("Expect", "100-Continue"), OK);
    headers_init(&headers);
    add("Expect", "100-continue");
    add("Content-Length", "5");
    ck_assert_int_eq(screen("HTTP/1.0", "/", &screened), OK);
    ck_assert(!screened.expects_continue); /* HTTP/1.0 knows no 100 */
}
END_TEST

static bool allowed(const char *host, const char *const *hosts) {
    return screen_host_allowed(host, strlen(host), hosts);
}

START_TEST(hosts_are_screened) {
    static const char *const good[] = {"localhost", "localhost:80", "127.0.0.1:1", "[::1]:8080",
                                       "10.1.2.3",  "lailad",       "a.localhost", "x:"};
    static const char *const foreign[] = {"evil.example.com", "evil.example.com:80", "127.0.0.1.example.com",
                                          "localhost.example"};
    static const char *const malformed[] = {"", "x y", "x:y", "[::1", "[::1]x", "a/b", "a@b", ":80"};
    static const char *const mine[] = {"data.example.com", "other:81", NULL};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        ck_assert_msg(allowed(good[i], NULL), "%s", good[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(foreign); i++) {
        ck_assert_msg(!allowed(foreign[i], NULL), "%s", foreign[i]);
        ck_assert_msg(allowed(foreign[i], SCREEN_ANY_HOST), "%s", foreign[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(malformed); i++) {
        ck_assert_msg(!allowed(malformed[i], SCREEN_ANY_HOST), "%s", malformed[i]);
    }
    ck_assert(allowed("DATA.example.com:99", mine) && allowed("other:81", mine));
    ck_assert(!allowed("other:82", mine) && !allowed("localhost", mine));
}
END_TEST

START_TEST(owned_headers_are_joined_and_trimmed) {
    headers_init(&headers);
    add("A", "1  ");
    add("B", "x");
    add("a", "2");
    ck_assert(headers.untidy && headers_has_twins(&headers));
    ck_assert(headers_own(&headers));
    ck_assert_uint_eq(headers.count, 2);
    ck_assert_str_eq(headers_find(&headers, "a")->value, "1, 2");
    ck_assert_str_eq(headers_find(&headers, "b")->value, "x");
    ck_assert_ptr_null(headers_find(&headers, "c"));
    headers_fini(&headers);
    for (int i = 0; i <= HEADERS_MOST; i++) {
        add("N", "v");
    }
    ck_assert(headers.overflow);
    headers_fini(&headers);
}
END_TEST

/* ---- the HTTP library ---- */

START_TEST(another_major_version_of_the_library_is_not_ours) {
    ck_assert(listener_library_fits(MHD_get_version()));
    ck_assert(listener_library_fits("0.9.75") != listener_library_fits("1.0.1"));
    ck_assert(!listener_library_fits("2.0.0"));
    ck_assert(!listener_library_fits("10.0"));
}
END_TEST

START_TEST(versions_of_the_library_are_told_as_it_tells_them) {
    char text[LISTENER_VERSION_BYTES];
    listener_format_version(0x00097500, text);
    ck_assert_str_eq(text, "0.9.75");
    listener_format_version(0x01000100, text);
    ck_assert_str_eq(text, "1.0.1");
    listener_format_version(MHD_VERSION, text);
    ck_assert_str_eq(text, MHD_get_version());
}
END_TEST

/* ---- tokens ---- */

START_TEST(tokens_are_compared_whole) {
    struct auth *auth = auth_new("abc");
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(auth_check(auth, &op, SCOPE_OPEN, NULL), OK);
    ck_assert_int_eq(auth_check(auth, &op, SCOPE_READ, "Bearer abc"), OK);
    ck_assert_int_eq(auth_check(auth, &op, SCOPE_ADMIN, "bearer  abc"), OK);
    static const char *const wrong[] = {NULL,          "",           "Bearer",    "Bearer ", "Bearer ab",
                                        "Bearer abcd", "Bearer ABC", "Basic abc", "abc"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        ck_assert_int_eq(auth_check(auth, &op, SCOPE_READ, wrong[i]), ERR_UNAUTHENTICATED);
    }
    auth_free(auth);
    auth = auth_new("");
    ck_assert(auth_is_open(auth));
    ck_assert_int_eq(auth_check(auth, &op, SCOPE_ADMIN, NULL), OK);
    auth_free(auth);
}
END_TEST

START_TEST(origins_are_compared_with_the_host) {
    static const char host[] = "localhost:8080";
    static const struct {
        const char *origin, *host;
        enum err expected;
    } rows[] = {
        {NULL, host, OK}, /* no browser, or none of another site */
        {"http://localhost:8080", host, OK},
        {"http://LOCALHOST:8080", host, OK},
        {"http://evil.example.com", host, ERR_FORBIDDEN},
        {"http://localhost:8081", host, ERR_FORBIDDEN},
        {"http://localhost", host, ERR_FORBIDDEN},
        {"http://localhost:8080.example.com", host, ERR_FORBIDDEN},
        {"http://example.com/localhost:8080", host, ERR_FORBIDDEN},
        {"null", host, ERR_FORBIDDEN}, /* a sandboxed page */
        {"", host, ERR_FORBIDDEN},
        {"http://localhost:8080", NULL, ERR_FORBIDDEN},
    };
    static const enum http_method changing[] = {METHOD_PUT, METHOD_POST, METHOD_DELETE, METHOD_OTHER};
    static const enum http_method safe[] = {METHOD_GET, METHOD_HEAD, METHOD_OPTIONS};
    struct auth *open = auth_new(NULL), *closed = auth_new("abc");
    struct op op;
    op_init(&op, 0, 0);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        for (size_t m = 0; m < ARRAY_COUNT(changing); m++) {
            enum err err = auth_check_origin(open, &op, changing[m], rows[i].origin, rows[i].host);
            ck_assert_msg(err == rows[i].expected, "%s", rows[i].origin ? rows[i].origin : "(none)");
            ck_assert_int_eq(auth_check_origin(closed, &op, changing[m], rows[i].origin, rows[i].host), OK);
        }
        for (size_t m = 0; m < ARRAY_COUNT(safe); m++) {
            ck_assert_int_eq(auth_check_origin(open, &op, safe[m], rows[i].origin, rows[i].host), OK);
        }
    }
    auth_free(open);
    auth_free(closed);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("server parts");
    TCase *tests = tcase_create("parts");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_pipe_keeps_order_over_its_edge);
    tcase_add_test(tests, a_pipe_serves_two_threads_without_a_lock);
    tcase_add_test(tests, fields_are_screened);
    tcase_add_test(tests, twins_are_screened);
    tcase_add_test(tests, absolute_targets_name_their_host);
    tcase_add_test(tests, framing_is_told);
    tcase_add_test(tests, other_expectations_are_refused);
    tcase_add_test(tests, hosts_are_screened);
    tcase_add_test(tests, owned_headers_are_joined_and_trimmed);
    tcase_add_test(tests, another_major_version_of_the_library_is_not_ours);
    tcase_add_test(tests, versions_of_the_library_are_told_as_it_tells_them);
    tcase_add_test(tests, tokens_are_compared_whole);
    tcase_add_test(tests, origins_are_compared_with_the_host);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
