/* test_exchange.c - turns of an exchange over real sockets: server_core with the REST surface of fake_api.c. Request bodies are in
 * test_exchange_bodies.c, refusals and ends in test_exchange_ends.c. */
#include "pools/base/hash.h"
#include "tests/unit/server/scene.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- answers without a request body ---- */

START_TEST(peek_and_lane_answer) {
    expect(GET("/text"), 200, "hello");
    expect(GET("/lane"), 200, "from a lane");
    expect(GET("/nowhere"), 404, "no such path");
}
END_TEST

START_TEST(one_connection_serves_many_requests) {
    int fd = client_connect(&house);
    for (int i = 0; i < 50; i++) {
        client_send(fd, i % 2 ? GET("/text") : GET("/lane"));
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert_str_eq(answer.body, i % 2 ? "hello" : "from a lane");
        answer_free(&answer);
    }
    close(fd);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order) {
    int fd = client_connect(&house);
    client_send(fd,
                GET("/lane") GET("/text") GET("/source/70000") "PUT /echo HTTP/1.1\r\n" HOST
                                                               "Content-Length: 3\r\n\r\nabc" GET("/text"));
    const char *bodies[] = {"from a lane", "hello", NULL, "abc", "hello"};
    for (size_t i = 0; i < 5; i++) {
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert(bodies[i] ? strcmp(answer.body, bodies[i]) == 0 : answer_is_pattern(&answer, 70000));
        answer_free(&answer);
    }
    close(fd);
}
END_TEST

START_TEST(a_handler_that_never_blocks_runs_on_the_poll_thread) {
    enum { EACH = 8 };
    static const char *const requests[] = {GET("/here"), GET("/here-gate-lane")};
    static const char *const bodies[] = {"here", "from a lane"};
    int fds[2 * EACH];
    expect(GET("/here-lane"), 200, "from a lane");
    for (unsigned i = 0; i < 2 * EACH; i++) {
        fds[i] = client_connect(&house);
        client_send(fds[i], requests[i % 2]);
    }
    fake_await_at_gate(2 * EACH);
    fake_nudge(); /* for nothing: they wait on */
    fake_open_gate();
    for (unsigned i = 0; i < 2 * EACH; i++) {
        struct answer answer = client_receive(fds[i], false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert_str_eq(answer.body, bodies[i % 2]);
        answer_free(&answer);
        client_send(fds[i], GET("/here") GET("/text")); /* the gate is open now */
        for (unsigned j = 0; j < 2; j++) {
            answer = client_receive(fds[i], false);
            ck_assert_str_eq(answer.body, j ? "hello" : "here");
            answer_free(&answer);
        }
        close(fds[i]);
    }
    ck_assert_uint_eq(fake_await_all_finished(1 + 2 * EACH * 3), 1 + 2 * EACH * 3);
}
END_TEST

START_TEST(a_body_at_hand_is_read_past_the_lane) {
    int fd = client_connect(&house);
    client_send(fd, GET("/near/3000000") GET("/near/1") GET("/near/400000") GET("/text"));
    const size_t lengths[] = {3000000, 1, 400000};
    for (size_t i = 0; i < 3; i++) {
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert(answer_is_pattern(&answer, lengths[i]));
        answer_free(&answer);
    }
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "hello");
    answer_free(&answer);
    close(fd);
}
END_TEST

START_TEST(a_body_lent_as_memory_is_sent_from_there) {
    int fd = client_connect(&house);
    client_send(fd, GET("/lent/9000000") GET("/lent/1") "HEAD /lent/70000 HTTP/1.1\r\n" HOST
                                                        "\r\n" GET("/lent/0") GET("/text"));
    const size_t lengths[] = {9000000, 1, 0, 0};
    for (size_t i = 0; i < 4; i++) {
        struct answer answer = client_receive(fd, i == 2);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert(i == 2 ? answer_has(&answer, "Content-Length: 70000\r\n")
                         : answer_is_pattern(&answer, lengths[i]));
        answer_free(&answer);
    }
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "hello");
    answer_free(&answer);
    close(fd);
    ck_assert_uint_eq(fake_await_all_finished(5), 5);
}
END_TEST

START_TEST(list_fields_are_joined_on_lanes) {
    expect("GET /lane HTTP/1.1\r\n" HOST "X-List: a  \r\nx-list:b\r\nX-LIST: c\r\n\r\n", 200, "a, b, c");
}
END_TEST

START_TEST(head_and_304_tell_the_length_and_send_nothing) {
    int fd = client_connect(&house);
    client_send(fd, "HEAD /entry HTTP/1.1\r\n" HOST "\r\nGET /304 HTTP/1.1\r\n" HOST
                    "\r\nHEAD /source/5000 HTTP/1.1\r\n" HOST "\r\nHEAD /304 HTTP/1.1\r\n" HOST
                    "\r\n" GET("/text"));
    const char *lengths[] = {"Content-Length: 1024\r\n", "Content-Length: 1234\r\n",
                             "Content-Length: 5000\r\n", "Content-Length: 1234\r\n"};
    for (size_t i = 0; i < 4; i++) {
        struct answer answer = client_receive(fd, true);
        ck_assert_uint_eq(answer.status, i % 2 ? 304 : 200);
        ck_assert_msg(answer_has(&answer, lengths[i]), "%s", answer.head);
        answer_free(&answer);
    }
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "hello");
    answer_free(&answer);
    close(fd);
}
END_TEST

START_TEST(a_reusable_answer_is_built_once) {
    int fd = client_connect(&house);
    for (int i = 0; i < 20; i++) {
        client_send(fd, GET("/entry"));
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert(answer_has(&answer, "X-Test: entry\r\n"));
        ck_assert(answer_is_pattern(&answer, 1024));
        answer_free(&answer);
    }
    close(fd);
    ck_assert_uint_eq(fake_entry_answers(), 1);
}
END_TEST

START_TEST(http_1_0_closes_and_may_keep_alive) {
    int fd = client_connect(&house);
    client_send(fd, "GET /stream/5000 HTTP/1.0\r\n\r\n");
    struct answer answer = client_receive(fd, false);
    ck_assert(answer.complete && answer.closed && answer_is_pattern(&answer, 5000));
    ck_assert(!answer_has(&answer, "Transfer-Encoding"));
    answer_free(&answer);
    close(fd);
    fd = client_connect(&house);
    for (int i = 0; i < 2; i++) {
        client_send(fd, "GET /text HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        answer = client_receive(fd, false);
        ck_assert_str_eq(answer.body, "hello");
        answer_free(&answer);
    }
    close(fd);
}
END_TEST

/* ---- waiting ---- */

static void *open_gate_when_many(void *argument) {
    fake_await_at_gate(*(unsigned *)argument);
    fake_open_gate();
    return NULL;
}

START_TEST(parked_requests_hold_no_thread) {
    enum { WAITING = 60 }; /* on two lane threads */
    int fds[WAITING];
    for (int i = 0; i < WAITING; i++) {
        fds[i] = client_connect(&house);
        client_send(fds[i], GET("/gate"));
    }
    unsigned count = WAITING;
    pthread_t opener;
    fake_await_at_gate(WAITING);
    expect(GET("/lane"), 200, "from a lane");
    pthread_create(&opener, NULL, open_gate_when_many, &count);
    for (int i = 0; i < WAITING; i++) {
        struct answer answer = client_receive(fds[i], false);
        ck_assert_str_eq(answer.body, "through the gate");
        answer_free(&answer);
        close(fds[i]);
    }
    pthread_join(opener, NULL);
}
END_TEST

START_TEST(clients_that_vanish_while_parked_are_cleaned_up) {
    for (int i = 0; i < 20; i++) {
        int fd = client_connect(&house);
        client_send(fd, i % 2 ? GET("/gate") : GET("/stuck/400000"));
        fake_await_at_gate((unsigned)i + 1);
        close(fd);
    }
    fake_open_gate();
    ck_assert_uint_eq(fake_await_all_finished(20), 20);
    expect(GET("/text"), 200, "hello");
}
END_TEST

/* ---- pulled bodies ---- */

START_TEST(pulled_bodies_arrive_whole) {
    static const char *const paths[] = {"source", "stream", "dripping"};
    static const size_t sizes[] = {0, 1, 1000, 65536, 65537, 5000000};
    int fd = client_connect(&house);
    for (size_t i = 0; i < 18; i++) {
        char request[128];
        size_t size = sizes[i % 6];
        snprintf(request, sizeof request, "GET /%s/%zu HTTP/1.1\r\n" HOST "\r\n", paths[i / 6], size);
        client_send(fd, request);
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert(answer.complete);
        ck_assert_msg(answer_is_pattern(&answer, size), "%s %zu", request, answer.body_bytes);
        answer_free(&answer);
    }
    close(fd);
}
END_TEST

START_TEST(a_slow_reader_holds_no_thread) {
    enum { SLOW = 8 };
    int fds[SLOW];
    for (int i = 0; i < SLOW; i++) {
        fds[i] = client_connect(&house);
        client_send(fds[i], GET("/source/30000000"));
    }
    for (int i = 0; i < 20; i++) {
        expect(GET("/lane"), 200, "from a lane");
    }
    for (int i = 0; i < SLOW; i++) {
        if (i % 2) {
            struct answer answer = client_receive(fds[i], false);
            ck_assert(answer_is_pattern(&answer, 30000000));
            answer_free(&answer);
        }
        close(fds[i]);
    }
}
END_TEST

START_TEST(a_failing_source_cuts_the_connection) {
    static const char *const requests[] = {
        "GET /broken/2000000 HTTP/1.1\r\n" HOST "\r\n", "GET /brokenstream/2000000 HTTP/1.1\r\n" HOST "\r\n",
        "GET /brokenstream/2000000 HTTP/1.0\r\n\r\n",   "GET /broken/2000 HTTP/1.1\r\n" HOST "\r\n",
        "GET /brokenstream/0 HTTP/1.0\r\n\r\n",
    };
    for (size_t i = 0; i < 5; i++) {
        struct answer answer = client_ask(&house, requests[i]);
        ck_assert_msg(!answer.complete, "%s", requests[i]);
        answer_free(&answer);
    }
}
END_TEST

/* ---- clients that leave at any moment ---- */

static unsigned next_random(unsigned *state) {
    *state = *state * 1103515245u + 12345u;
    return *state >> 16;
}

static void *leave_at_random(void *argument) {
    static const char *const requests[] = {
        GET("/lane"),
        GET("/entry"),
        GET("/source/900000"),
        GET("/near/900000"),
        GET("/lent/9000000"),
        GET("/stream/900000"),
        GET("/dripping/900000"),
        GET("/broken/900000"),
        "PUT /count HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n",
        "PUT /midway HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n",
        "PUT /early HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n",
        "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
        GET("/text") GET("/source/1000") GET("/lane"),
    };
    unsigned state = *(unsigned *)argument;
    for (int round = 0; round < 60; round++) {
        int fd = client_connect(&house);
        const char *request = requests[next_random(&state) % ARRAY_COUNT(requests)];
        size_t bytes = strlen(request);
        if (next_random(&state) % 4 == 0) {
            bytes = next_random(&state) % bytes;
        }
        client_send_bytes(fd, request, bytes);
        if (request[0] == 'P') {
            client_send_pattern(fd, 0, next_random(&state) * 8 % 300000);
        }
        char piece[4096];
        for (unsigned reads = next_random(&state) % 4; reads; reads--) {
            if (recv(fd, piece, sizeof piece, MSG_DONTWAIT) < 0) {
                usleep(next_random(&state) % 1000);
            }
        }
        if (next_random(&state) % 3 == 0) {
            struct linger reset = {.l_onoff = 1};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(fd);
    }
    return NULL;
}

static void many_leave(unsigned poll_threads) {
    struct house_options options = {.poll_threads = poll_threads};
    house_start(&house, &options);
    pthread_t threads[4];
    unsigned seeds[4] = {11, 22, 33, 44};
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, leave_at_random, &seeds[i]);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    expect(GET("/text"), 200, "hello");
    house_stop(&house);
}

START_TEST(clients_may_leave_at_any_moment) {
    many_leave(1);
    many_leave(2);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("exchange");
    TCase *usual = tcase_create("usual");
    tcase_set_timeout(usual, 120);
    tcase_add_checked_fixture(usual, start, stop);
    tcase_add_test(usual, peek_and_lane_answer);
    tcase_add_test(usual, one_connection_serves_many_requests);
    tcase_add_test(usual, pipelined_requests_are_answered_in_order);
    tcase_add_test(usual, a_handler_that_never_blocks_runs_on_the_poll_thread);
    tcase_add_test(usual, a_body_at_hand_is_read_past_the_lane);
    tcase_add_test(usual, a_body_lent_as_memory_is_sent_from_there);
    tcase_add_test(usual, list_fields_are_joined_on_lanes);
    tcase_add_test(usual, head_and_304_tell_the_length_and_send_nothing);
    tcase_add_test(usual, a_reusable_answer_is_built_once);
    tcase_add_test(usual, http_1_0_closes_and_may_keep_alive);
    tcase_add_test(usual, parked_requests_hold_no_thread);
    tcase_add_test(usual, clients_that_vanish_while_parked_are_cleaned_up);
    tcase_add_test(usual, pulled_bodies_arrive_whole);
    tcase_add_test(usual, a_slow_reader_holds_no_thread);
    tcase_add_test(usual, a_failing_source_cuts_the_connection);
    suite_add_tcase(suite, usual);
    TCase *special = tcase_create("special");
    tcase_set_timeout(special, 120);
    tcase_add_test(special, clients_may_leave_at_any_moment);
    suite_add_tcase(suite, special);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
