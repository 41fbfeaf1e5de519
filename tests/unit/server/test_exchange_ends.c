/* test_exchange_ends.c - what an exchange refuses, whom it cuts off, and how all of them end. See test_exchange.c. */
#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "tests/unit/server/scene.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- refusals ---- */

static void refused(const char *request, unsigned status) {
    int fd = client_connect(&house);
    client_send(fd, request);
    struct answer answer = client_receive(fd, false);
    ck_assert_msg(answer.status == status, "%u for %s", answer.status, request);
    answer_free(&answer);
    ck_assert(client_awaits_end(fd));
    close(fd);
}

/* Version 1.0 of the library refuses other codings itself, before the screen. */
#if MHD_VERSION >= 0x01000000
#define CODING_STATUS 400
#else
#define CODING_STATUS 501
#endif

START_TEST(ambiguous_requests_are_refused_and_closed) {
    refused("PUT /echo HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n12345", 400);
    refused("PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345", 400);
    refused("PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400);
    refused("PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", CODING_STATUS);
    refused("PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", CODING_STATUS);
    refused("GET /text HTTP/1.1\r\n\r\n", 400);
    refused("GET /text HTTP/1.1\r\n" HOST "Host: y\r\n\r\n", 400);
    refused("GET /text HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", 400);
    refused("PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 5x\r\n\r\n12345", 400);
    refused("PUT /echo HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n12345", 400);
}
END_TEST

START_TEST(hidden_bytes_are_refused) {
    static const char target[] = "GET /te\0xt HTTP/1.1\r\n" HOST "\r\n";
    static const char value[] = "GET /text HTTP/1.1\r\n" HOST "X-A: b\0c\r\n\r\n";
    static const char last[] = "GET /text HTTP/1.1\r\n" HOST "X-A: b\r\nX-B: \0\0\0\r\n\r\n";
    const struct {
        const char *bytes;
        size_t count;
    } requests[] = {{target, sizeof target - 1}, {value, sizeof value - 1}, {last, sizeof last - 1}};
    for (size_t i = 0; i < 3; i++) {
        int fd = client_connect(&house);
        client_send_bytes(fd, requests[i].bytes, requests[i].count);
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_ne(answer.status, 200);
        answer_free(&answer);
        ck_assert(client_awaits_end(fd));
        close(fd);
    }
    refused("GET /text HTTP/1.1\r\n" HOST "X-A: b\r\n folded\r\n\r\n", 400);
}
END_TEST

static char head[70000];

START_TEST(header_blocks_are_bounded) {
    for (int large = 0; large < 2; large++) {
        int fill = large ? 32760 : 32660;
        snprintf(head, sizeof head, "GET /text HTTP/1.1\r\n" HOST "X-Large: %0*d\r\n\r\n", fill, 0);
        int fd = client_connect(&house);
        client_send(fd, head);
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, large ? 431 : 200);
        answer_free(&answer);
        close(fd);
    }
    size_t bytes = (size_t)snprintf(head, sizeof head, "GET /text HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 200; i++) {
        bytes += (size_t)snprintf(head + bytes, sizeof head - bytes, "X-%d: y\r\n", i);
    }
    snprintf(head + bytes, sizeof head - bytes, "\r\n");
    refused(head, 431);
}
END_TEST

/* An object whose store tells no length. A chunk, even the last, would be taken for the beginning of the next answer. */
START_TEST(what_has_no_body_of_unknown_length_sends_no_chunk) {
    static const char *const requests[] = {
        "GET /304-endless HTTP/1.1\r\n" HOST "\r\n",
        "HEAD /304-endless HTTP/1.1\r\n" HOST "\r\n",
        "HEAD /stream/70000 HTTP/1.1\r\n" HOST "\r\n",
    };
    for (size_t i = 0; i < ARRAY_COUNT(requests); i++) {
        int fd = client_connect(&house);
        client_send(fd, requests[i]);
        struct answer answer = client_receive(fd, true);
        ck_assert_uint_eq(answer.status, i < 2 ? 304 : 200);
        answer_free(&answer);
        client_send(fd, GET("/text"));
        answer = client_receive(fd, false);
        ck_assert_msg(answer.status == 200 || (answer.closed && !*answer.head), "%s", answer.head);
        answer_free(&answer);
        close(fd);
    }
}
END_TEST

START_TEST(tokens_are_asked_for) {
    struct house_options options = {.token = "s3cret"};
    house_start(&house, &options);
    expect(GET("/text"), 401, NULL);
    expect("GET /text HTTP/1.1\r\n" HOST "Authorization: Bearer s3cre\r\n\r\n", 401, NULL);
    expect("GET /text HTTP/1.1\r\n" HOST "Authorization: Basic s3cret\r\n\r\n", 401, NULL);
    expect("GET /text HTTP/1.1\r\n" HOST "Authorization: bearer s3cret\r\n\r\n", 200, "hello");
    house_stop(&house);
}
END_TEST

START_TEST(a_foreign_page_changes_nothing_without_a_token) {
    static const char foreign[] = "Origin: http://evil.example.com\r\n", own[] = "Origin: http://x\r\n";
    static const struct {
        const char *method;
        const char *origin;
        unsigned status;
    } rows[] = {
        {"PUT", foreign, 403},    {"POST", foreign, 403},
        {"DELETE", foreign, 403}, {"PUT", "Origin: null\r\n", 403},
        {"GET", foreign, 200},    {"PUT", own, 200},
        {"DELETE", own, 200},     {"PUT", "", 200},
        {"POST", "", 200},        {"DELETE", "", 200},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char request[200];
        snprintf(request, sizeof request, "%s /lane HTTP/1.1\r\n" HOST "%s\r\n", rows[i].method,
                 rows[i].origin);
        expect(request, rows[i].status, NULL);
    }
    expect("PUT /echo HTTP/1.1\r\n" HOST "Origin: http://evil\r\nContent-Length: 2\r\n\r\nab", 403, NULL);
}
END_TEST

/* ---- slow clients ---- */

START_TEST(a_header_trickle_is_cut) {
    struct house_options options = {.header_ns = 300 * NS_PER_MS};
    house_start(&house, &options);
    int fd = client_connect(&house);
    const char *request =
        "GET /text HTTP/1.1\r\nHost: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    bool cut = false;
    for (const char *at = request; *at && !cut; at++) {
        usleep(20000);
        cut = send(fd, at, 1, MSG_NOSIGNAL) != 1;
    }
    ck_assert(cut || client_awaits_end(fd));
    close(fd);
    int silent = client_connect(&house);
    ck_assert(client_awaits_end(silent));
    close(silent);
    house_stop(&house);
}
END_TEST

START_TEST(a_body_trickle_and_a_stalled_reader_are_cut) {
    struct house_options options = {.rate_ns = 300 * NS_PER_MS};
    house_start(&house, &options);
    int fd = client_connect(&house);
    client_send(fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    bool cut = false;
    for (int i = 0; i < 150 && !cut; i++) {
        usleep(20000);
        cut = send(fd, "x", 1, MSG_NOSIGNAL) != 1;
    }
    ck_assert(cut); /* while it still trickled: that a client who has stopped is cut proves nothing */
    close(fd);
    fd = client_connect(&house);
    client_send(fd, GET("/source/80000000"));
    ck_assert_uint_eq(fake_await_all_finished(2), 2); /* cut without anybody reading */
    close(fd);
    house_stop(&house);
}
END_TEST

START_TEST(a_connection_on_which_nothing_moves_is_cut) {
    struct house_options options = {.idle_ns = 300 * NS_PER_MS};
    house_start(&house, &options);
    int served = client_connect(&house);
    client_send(served, GET("/gate"));
    fake_await_at_gate(1);
    int unread = client_connect(&house);
    client_send(unread, GET("/source/80000000"));
    int ended[3] = {client_connect(&house), client_connect(&house), client_connect(&house)};
    client_send(ended[1], "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nx");
    client_send(ended[2], GET("/text"));
    struct answer answer = client_receive(ended[2], false);
    ck_assert_uint_eq(answer.status, 200);
    answer_free(&answer);
    for (int i = 0; i < 3; i++) {
        ck_assert(client_awaits_end(ended[i]));
        close(ended[i]);
    }
    fake_open_gate(); /* this client has waited for longer than all of them, but for us */
    answer = client_receive(served, false);
    ck_assert_str_eq(answer.body, "through the gate");
    answer_free(&answer);
    close(served);
    ck_assert_uint_eq(fake_await_all_finished(4), 4); /* the unread one, too */
    close(unread);
    house_stop(&house);
}
END_TEST

/* ---- the end ---- */

START_TEST(drain_lets_running_exchanges_finish) {
    house_start(&house, NULL);
    int fd = client_connect(&house);
    client_send(fd, GET("/gate"));
    fake_await_at_gate(1);
    listener_quiesce(house.listener);
    ck_assert(!exchanges_drain(house.exchanges, clock_now_ns() + 20 * NS_PER_MS));
    fake_open_gate();
    ck_assert(exchanges_drain(house.exchanges, clock_now_ns() + 20 * NS_PER_S));
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "through the gate");
    ck_assert(answer_has(&answer, "Connection: close\r\n"));
    answer_free(&answer);
    close(fd);
    house_stop(&house);
}
END_TEST

START_TEST(a_kept_answer_closes_too_while_draining) {
    house_start(&house, NULL);
    int fd = client_connect(&house);
    for (int i = 0; i < 3; i++) {
        bool draining = i == 2;
        if (draining) {
            listener_quiesce(house.listener);
            ck_assert(exchanges_drain(house.exchanges, clock_now_ns() + 20 * NS_PER_S));
        }
        client_send(fd, GET("/entry"));
        struct answer answer = client_receive(fd, false);
        ck_assert(answer_is_pattern(&answer, 1024));
        ck_assert(answer_has(&answer, "X-Test: entry\r\n"));
        ck_assert(answer_has(&answer, "Connection: close\r\n") == draining);
        answer_free(&answer);
        ck_assert_uint_eq(fake_entry_answers(), draining ? 2 : 1); /* the second was the kept one */
    }
    ck_assert(client_awaits_end(fd));
    close(fd);
    house_stop(&house);
}
END_TEST

START_TEST(stopping_resumes_what_is_parked) {
    house_start(&house, NULL);
    int fds[12];
    for (int i = 0; i < 12; i++) {
        fds[i] = client_connect(&house);
        client_send(fds[i], i % 6 == 0   ? GET("/gate")
                            : i % 3 == 0 ? GET("/here")
                            : i % 3 == 1 ? GET("/stuck/900000")
                                         : GET("/source/90000000"));
    }
    fake_await_at_gate(8);
    house_stop(&house); /* would panic or hang if one stayed parked */
    for (int i = 0; i < 12; i++) {
        close(fds[i]);
    }
}
END_TEST

START_TEST(addresses_are_parsed) {
    struct op op;
    op_init(&op, 0, 0);
    struct listen_address address;
    ck_assert_int_eq(listen_address_parse(&op, "127.0.0.1:80", &address), OK);
    ck_assert(listen_address_is_loopback(&address));
    ck_assert_int_eq(listen_address_parse(&op, "[::1]:80", &address), OK);
    ck_assert(listen_address_is_loopback(&address));
    ck_assert_int_eq(listen_address_parse(&op, "0.0.0.0:80", &address), OK);
    ck_assert(!listen_address_is_loopback(&address));
    ck_assert_int_eq(listen_address_parse(&op, "[::]:80", &address), OK);
    ck_assert(!listen_address_is_loopback(&address));
    static const char *const bad[] = {
        "", "80", "::1:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:8x", ":80"};
    for (size_t i = 0; i < 8; i++) {
        ck_assert_msg(listen_address_parse(&op, bad[i], &address) == ERR_INVALID, "%s", bad[i]);
    }
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("exchange ends");
    TCase *usual = tcase_create("usual");
    tcase_set_timeout(usual, 120);
    tcase_add_checked_fixture(usual, start, stop);
    tcase_add_test(usual, ambiguous_requests_are_refused_and_closed);
    tcase_add_test(usual, hidden_bytes_are_refused);
    tcase_add_test(usual, header_blocks_are_bounded);
    tcase_add_test(usual, what_has_no_body_of_unknown_length_sends_no_chunk);
    tcase_add_test(usual, a_foreign_page_changes_nothing_without_a_token);
    suite_add_tcase(suite, usual);
    TCase *special = tcase_create("special");
    tcase_set_timeout(special, 120);
    tcase_add_test(special, tokens_are_asked_for);
    tcase_add_test(special, a_header_trickle_is_cut);
    tcase_add_test(special, a_body_trickle_and_a_stalled_reader_are_cut);
    tcase_add_test(special, a_connection_on_which_nothing_moves_is_cut);
    tcase_add_test(special, drain_lets_running_exchanges_finish);
    tcase_add_test(special, a_kept_answer_closes_too_while_draining);
    tcase_add_test(special, stopping_resumes_what_is_parked);
    tcase_add_test(special, addresses_are_parsed);
    suite_add_tcase(suite, special);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
