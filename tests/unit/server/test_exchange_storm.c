/* test_exchange_storm.c - clients that vanish in the middle of an answer whose source is woken by another thread.
 *
 * A wake may come until api_finish has ended the handler's subscriptions, so also while a lane is about to free the exchange. It must
 * not queue it again: what the lane frees next would stand in the executor's queue. See test_exchange_ends.c for quieter ends.
 */
#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "tests/unit/server/scene.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT_ONCE 8
#define ROUNDS_MOST 40
#define STORM_MOST_NS (2 * NS_PER_S)

static atomic_bool over;

static void *nudge_main(void *unused) {
    (void)unused;
    while (!atomic_load(&over)) {
        fake_nudge();
        sched_yield();
    }
    return NULL;
}

/* Closes with a reset. */
static void vanish(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
}

START_TEST(resets_while_another_thread_wakes) {
    struct house_options options = {.poll_threads = 2, .pipe_bytes = 512};
    house_start(&house, &options);
    atomic_store(&over, false);
    pthread_t nudger;
    ck_assert_int_eq(pthread_create(&nudger, NULL, nudge_main, NULL), 0);
    uint64_t until_ns = clock_now_ns() + STORM_MOST_NS;
    unsigned rounds = 0;
    for (; rounds < ROUNDS_MOST && clock_now_ns() < until_ns; rounds++) {
        int fds[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            fds[i] = client_connect(&house);
            client_send(fds[i], GET("/nudged/100000000"));
        }
        for (int i = 0; i < AT_ONCE; i++) {
            char byte = 0;
            ck_assert_int_eq(recv(fds[i], &byte, 1, 0), 1); /* the answer has begun */
            ck_assert_int_eq(byte, 'H');
        }
        for (int i = 0; i < AT_ONCE; i++) {
            vanish(fds[i]);
        }
    }
    ck_assert_uint_eq(fake_await_all_finished(rounds * AT_ONCE), rounds * AT_ONCE);
    atomic_store(&over, true);
    pthread_join(nudger, NULL);
    struct answer answer = client_ask(&house, GET("/lane"));
    ck_assert_str_eq(answer.body, "from a lane"); /* the lanes are sound */
    answer_free(&answer);
    house_stop(&house);
}
END_TEST

/* A wake brings them back to the poll thread, which does not know yet that nobody is there. */
START_TEST(resets_of_what_the_poll_thread_runs) {
    enum { ROUNDS = 8 };
    house_start(&house, &(struct house_options){.poll_threads = 2});
    atomic_store(&over, false);
    pthread_t nudger;
    ck_assert_int_eq(pthread_create(&nudger, NULL, nudge_main, NULL), 0);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        int fds[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++) {
            fds[i] = client_connect(&house);
            client_send(fds[i], i % 2 ? GET("/here") : GET("/here-gate-lane"));
        }
        fake_await_at_gate(round * AT_ONCE);
        for (unsigned i = 0; i < AT_ONCE; i++) {
            vanish(fds[i]);
        }
    }
    fake_open_gate();
    ck_assert_uint_eq(fake_await_all_finished(ROUNDS * AT_ONCE), ROUNDS * AT_ONCE);
    atomic_store(&over, true);
    pthread_join(nudger, NULL);
    house_stop(&house);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("exchange storm");
    TCase *tests = tcase_create("storm");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, resets_while_another_thread_wakes);
    tcase_add_test(tests, resets_of_what_the_poll_thread_runs);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
