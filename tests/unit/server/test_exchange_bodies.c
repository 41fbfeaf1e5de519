/* test_exchange_bodies.c - request bodies: whole, in drops, refused early, broken off. What goes the other way: test_exchange.c. */
#include "pools/base/hash.h"
#include "tests/unit/server/scene.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

START_TEST(bodies_arrive_whole) {
    static const size_t sizes[] = {1, 10, 65535, 65536, 65537, 3000000};
    int fd = client_connect(&house);
    for (size_t i = 0; i < 6; i++) {
        char head[128], count[32];
        snprintf(head, sizeof head, "PUT /count HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", sizes[i]);
        snprintf(count, sizeof count, "%zu", sizes[i]);
        client_send(fd, head);
        ck_assert(client_send_pattern(fd, 0, sizes[i]));
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, 200);
        ck_assert_str_eq(answer.body, count);
        answer_free(&answer);
    }
    close(fd);
}
END_TEST

START_TEST(an_empty_body_is_a_body) {
    expect("PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200, "");
    expect("PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, "");
}
END_TEST

START_TEST(chunked_bodies_arrive_whole) {
    int fd = client_connect(&house);
    client_send(fd, "PUT /count HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    size_t offset = 0;
    for (size_t size = 1; size < 40000; size = size * 3 + 1) {
        char line[32];
        snprintf(line, sizeof line, "%zx\r\n", size);
        client_send(fd, line);
        ck_assert(client_send_pattern(fd, offset, size));
        client_send(fd, "\r\n");
        offset += size;
    }
    client_send(fd, "0\r\n\r\n");
    char count[32];
    snprintf(count, sizeof count, "%zu", offset);
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, count);
    answer_free(&answer);
    close(fd);
}
END_TEST

START_TEST(digest_trailers_are_found_after_the_body) {
    expect("PUT /trailer HTTP/1.1\r\n" HOST
           "Transfer-Encoding: chunked\r\nTrailer: Repr-Digest\r\n\r\n3\r\nabc\r\n0\r\n"
           "Repr-Digest: sha-256=:x:\r\n\r\n",
           200, "sha-256=:x:");
}
END_TEST

START_TEST(a_body_sent_in_drops_is_not_taken_for_its_end) {
    /* The head alone first: the library calls with no data before the body has come (0.9.75). */
    int fd = client_connect(&house);
    client_send(fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n");
    for (const char *at = "12345"; *at; at++) {
        usleep(2000);
        client_send_bytes(fd, at, 1);
    }
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "12345");
    answer_free(&answer);
    close(fd);
}
END_TEST

START_TEST(expect_continue_is_granted) {
    int fd = client_connect(&house);
    client_send(fd, "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    struct answer answer = client_receive(fd, true);
    ck_assert_uint_eq(answer.status, 100);
    answer_free(&answer);
    client_send(fd, "abc");
    answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "abc");
    answer_free(&answer);
    close(fd);
}
END_TEST

START_TEST(expect_continue_is_refused_without_reading_the_body) {
    int fd = client_connect(&house);
    client_send(fd, "PUT /early HTTP/1.1\r\n" HOST "Content-Length: 300\r\nExpect: 100-continue\r\n\r\n");
    struct answer answer = client_receive(fd, false);
    ck_assert_uint_eq(answer.status, 413);
    ck_assert(answer_has(&answer, "Connection: close\r\n"));
    answer_free(&answer);
    ck_assert(client_awaits_end(fd));
    close(fd);
}
END_TEST

START_TEST(an_early_answer_keeps_the_connection_in_step) {
    int fd = client_connect(&house);
    for (int i = 0; i < 3; i++) {
        client_send(fd, i == 1 ? "PUT /midway HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n"
                               : "PUT /early HTTP/1.1\r\n" HOST "Content-Length: 300000\r\n\r\n");
        ck_assert(client_send_pattern(fd, 0, 300000));
        struct answer answer = client_receive(fd, false);
        ck_assert_uint_eq(answer.status, i == 1 ? 507 : 413);
        answer_free(&answer);
    }
    client_send(fd, GET("/text"));
    struct answer answer = client_receive(fd, false);
    ck_assert_str_eq(answer.body, "hello");
    answer_free(&answer);
    close(fd);
}
END_TEST

static void *push_pattern(void *argument) {
    int fd = *(int *)argument;
    client_send_pattern(fd, 0, 20000000); /* may be cut off */
    return NULL;
}

/* Answers that come while far more of the body is outstanding than is worth discarding. */
static void answered_over_the_body(const char *head, unsigned status) {
    int fd = client_connect(&house);
    client_send(fd, head);
    pthread_t pusher;
    pthread_create(&pusher, NULL, push_pattern, &fd);
    struct answer answer = client_receive(fd, false);
    ck_assert_uint_eq(answer.status, status);
    ck_assert(answer.complete);
    ck_assert(answer_has(&answer, "Connection: close\r\n"));
    answer_free(&answer);
    pthread_join(pusher, NULL);
    ck_assert(shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN);
    ck_assert(client_awaits_end(fd));
    close(fd);
}

START_TEST(a_large_body_is_answered_before_its_end) {
    answered_over_the_body("PUT /early HTTP/1.1\r\n" HOST "Content-Length: 20000000\r\n\r\n", 413);
    answered_over_the_body("PUT /midway HTTP/1.1\r\n" HOST "Content-Length: 20000000\r\n\r\n", 507);
    answered_over_the_body("PUT /early HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1312D00\r\n",
                           413);
    expect(GET("/text"), 200, "hello");
}
END_TEST

START_TEST(an_aborted_upload_is_told_to_the_handler) {
    static const char *const heads[] = {
        "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\nabc",
        "PUT /echo HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n",
        "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        "PUT /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
    };
    for (size_t i = 0; i < 4; i++) {
        int fd = client_connect(&house);
        client_send(fd, heads[i]);
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        ck_assert(client_awaits_end(fd));
        close(fd);
    }
    ck_assert_uint_eq(fake_await_all_finished(4), 4);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("exchange bodies");
    TCase *usual = tcase_create("usual");
    tcase_set_timeout(usual, 120);
    tcase_add_checked_fixture(usual, start, stop);
    tcase_add_test(usual, bodies_arrive_whole);
    tcase_add_test(usual, an_empty_body_is_a_body);
    tcase_add_test(usual, chunked_bodies_arrive_whole);
    tcase_add_test(usual, digest_trailers_are_found_after_the_body);
    tcase_add_test(usual, a_body_sent_in_drops_is_not_taken_for_its_end);
    tcase_add_test(usual, expect_continue_is_granted);
    tcase_add_test(usual, expect_continue_is_refused_without_reading_the_body);
    tcase_add_test(usual, an_early_answer_keeps_the_connection_in_step);
    tcase_add_test(usual, a_large_body_is_answered_before_its_end);
    tcase_add_test(usual, an_aborted_upload_is_told_to_the_handler);
    suite_add_tcase(suite, usual);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
