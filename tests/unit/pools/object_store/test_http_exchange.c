/* test_http_exchange.c - a store that is slow, on a socket of its own: what counts is the time that we waited for it. */
#include "object_store_suites.h"

#include "pools/base/clock.h"
#include "pools/object_store/http_client.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_NS (500 * NS_PER_MS)
#define DRIP_NS (20 * NS_PER_MS)
#define BODY_BYTES 60u

/* Sends `head` and then the body, a byte each DRIP_NS; after `held_at` of them it waits for go_on. */
struct slow_store {
    const char *head;
    bool drips_head;
    unsigned held_at;
    int listener, go_on[2];
    unsigned port;
    pthread_t thread;
};

static void pass(uint64_t ns) {
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    nanosleep(&time, NULL);
}

static bool drip(int fd, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (send(fd, bytes + i, 1, MSG_NOSIGNAL) != 1) {
            return false;
        }
        pass(DRIP_NS);
    }
    return true;
}

static void *serve(void *context) {
    struct slow_store *store = context;
    int fd = accept(store->listener, NULL, NULL);
    char request[4096] = "";
    size_t got = 0;
    while (!strstr(request, "\r\n\r\n")) {
        ssize_t more = recv(fd, request + got, sizeof request - 1 - got, 0);
        ck_assert_int_gt(more, 0);
        got += (size_t)more;
    }
    size_t head_bytes = strlen(store->head);
    bool listening = store->drips_head
                         ? drip(fd, store->head, head_bytes)
                         : send(fd, store->head, head_bytes, MSG_NOSIGNAL) == (ssize_t)head_bytes;
    for (unsigned i = 0; listening && i < BODY_BYTES; i++) {
        char word = 0;
        if (store->held_at && i == store->held_at) {
            ck_assert_int_eq(read(store->go_on[0], &word, 1), 1);
        }
        listening = drip(fd, "x", 1);
    }
    close(fd);
    return NULL;
}

static void store_start(struct slow_store *store) {
    store->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    ck_assert_int_eq(bind(store->listener, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(store->listener, 1), 0);
    ck_assert_int_eq(getsockname(store->listener, (struct sockaddr *)&address, &size), 0);
    store->port = ntohs(address.sin_port);
    ck_assert_int_eq(pipe(store->go_on), 0);
    ck_assert_int_eq(pthread_create(&store->thread, NULL, serve, store), 0);
}

static void store_stop(struct slow_store *store) {
    pthread_join(store->thread, NULL);
    close(store->listener);
    close(store->go_on[0]);
    close(store->go_on[1]);
}

#define FOUND "HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"

/* Reads all; after `held_at` bytes it takes its time, and the store does too. */
static enum err read_all(struct slow_store *store, struct op *op, uint64_t rate_bytes, size_t *ret_got) {
    const struct http_limits limits = {.max_lines = 1,
                                       .connect_ns = 10 * NS_PER_S,
                                       .answer_ns = store->drips_head ? WINDOW_NS : 10 * NS_PER_S,
                                       .idle_ns = 10 * NS_PER_S,
                                       .rate_ns = WINDOW_NS,
                                       .rate_bytes = rate_bytes};
    store_start(store);
    AUTO(http_client_free) struct http_client *client = http_client_new(&limits);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", store->port);
    const struct http_request request = {.method = "GET", .url = url};
    op_init(op, 0, 0);
    enum http_trouble trouble = HTTP_TROUBLE_NONE;
    struct http_exchange *exchange = NULL;
    enum err err = http_exchange_open(client, op, &request, &trouble, &exchange);
    size_t got = 0;
    size_t count = 1;
    while (!err && count) {
        char bytes[BODY_BYTES];
        if (store->held_at && got == store->held_at) {
            pass(2 * WINDOW_NS); /* nobody waits for the store meanwhile */
            ck_assert_int_eq(write(store->go_on[1], "", 1), 1);
        }
        err = http_exchange_read(exchange, op, bytes, sizeof bytes, &count);
        got += err ? 0 : count;
    }
    if (err && exchange) {
        trouble = http_exchange_trouble(exchange);
    }
    http_exchange_close(exchange);
    store_stop(store);
    *ret_got = got;
    ck_assert_int_eq(trouble, err ? HTTP_TROUBLE_BROKEN : HTTP_TROUBLE_NONE);
    return err;
}

START_TEST(a_body_that_hardly_moves_is_given_up) {
    struct slow_store store = {.head = FOUND};
    struct op op;
    size_t got = 0;
    ck_assert_int_eq(read_all(&store, &op, 1000, &got), ERR_TIMEOUT);
    ck_assert_uint_lt(got, BODY_BYTES);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "the endpoint moved no more than "));
}
END_TEST

START_TEST(a_slow_body_is_waited_for) {
    struct slow_store store = {.head = FOUND};
    struct op op;
    size_t got = 0;
    ck_assert_int_eq(read_all(&store, &op, 1, &got), OK);
    ck_assert_uint_eq(got, BODY_BYTES);
}
END_TEST

START_TEST(our_own_pauses_are_not_the_stores) {
    struct slow_store store = {.head = FOUND, .held_at = 5};
    struct op op;
    size_t got = 0;
    ck_assert_int_eq(read_all(&store, &op, 1, &got), OK);
    ck_assert_uint_eq(got, BODY_BYTES);
}
END_TEST

START_TEST(a_header_that_hardly_moves_is_given_up) {
    struct slow_store store = {.head = FOUND, .drips_head = true};
    struct op op;
    size_t got = 0;
    ck_assert_int_eq(read_all(&store, &op, 1, &got), ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "did not answer"));
}
END_TEST

TCase *http_exchange_case(void) {
    TCase *tcase = tcase_create("http_exchange");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_body_that_hardly_moves_is_given_up);
    tcase_add_test(tcase, a_slow_body_is_waited_for);
    tcase_add_test(tcase, our_own_pauses_are_not_the_stores);
    tcase_add_test(tcase, a_header_that_hardly_moves_is_given_up);
    return tcase;
}
