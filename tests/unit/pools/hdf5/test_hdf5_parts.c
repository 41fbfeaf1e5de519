/* test_hdf5_parts.c - the parts that need no file: names of links, and group commit with a make-believe storage. */
#include "pools/base/hash.h"
#include "pools/hdf5/commit.h"
#include "pools/hdf5/link_name.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- names ---- */
static void expect_name(const char *id, const char *name) {
    struct id key = id_trusted(id, strlen(id));
    char made[LINK_NAME_BYTES];
    link_name_of(&key, made);
    ck_assert_str_eq(made, name);
    char text[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    bool canonical = false;
    ck_assert(link_name_to_id(made, text, &bytes, &canonical));
    ck_assert(canonical);
    ck_assert_uint_eq(bytes, strlen(id));
    ck_assert_str_eq(text, id);
}

START_TEST(ids_become_names_and_back) {
    expect_name("LAILA:ENTRY:a-1", "LAILA%3AENTRY%3Aa-1");
    expect_name(".", "%2E");
    expect_name("..", "..");
    expect_name("%2E", "%252E");
    expect_name("a/b c", "a%2Fb%20c");
    expect_name("\xc3\xa9", "%C3%A9");
}
END_TEST

START_TEST(names_that_no_id_gives_are_their_own_id) {
    static const char *const plain[] = {"my data", "a:b", "%3a", "%zz", "%", "%41", "%00", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        char text[ID_MOST_BYTES + 1];
        size_t bytes = 0;
        bool canonical = true;
        ck_assert(link_name_to_id(plain[i], text, &bytes, &canonical));
        ck_assert(!canonical);
        ck_assert_str_eq(text, plain[i]);
    }
    char longest[ID_MOST_BYTES + 2];
    memset(longest, 'x', sizeof longest);
    longest[ID_MOST_BYTES + 1] = '\0';
    char text[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    bool canonical = false;
    ck_assert(!link_name_to_id(longest, text, &bytes, &canonical));
    ck_assert(!link_name_to_id("\xff", text, &bytes, &canonical));
}
END_TEST

/* ---- group commit ---- */
/* The first batch waits at `gate` until the test has seen that the others are queued. */
struct storage {
    struct commit commit;
    pthread_barrier_t gate;
    pthread_t thread;
    unsigned batches, requests, largest;
    bool joins; /* the first batch takes more */
    bool begun, ended;
};

static void begin(void *context) {
    struct storage *storage = context;
    storage->begun = true;
    storage->thread = pthread_self();
}

static void run_batch(void *context, struct request_batch *batch) {
    struct storage *storage = context;
    ck_assert(pthread_equal(storage->thread, pthread_self()));
    if (storage->batches++ == 0) {
        pthread_barrier_wait(&storage->gate);
        pthread_barrier_wait(&storage->gate);
        if (storage->joins) {
            commit_take_more(&storage->commit, batch);
        }
    }
    unsigned count = 0;
    struct request *request;
    STAILQ_FOREACH(request, batch, in_batch) {
        request->result = op_fail(request->op, REASON_IO, "as asked");
        count++;
    }
    storage->requests += count;
    storage->largest = count > storage->largest ? count : storage->largest;
}

static uint64_t run_idle(void *context) {
    (void)context;
    return COMMIT_NO_WORK;
}

static void run_between(void *context) {
    (void)context;
}

static void end(void *context) {
    struct storage *storage = context;
    storage->ended = true;
}

static const struct commit_ops commit_ops = {.begin = begin,
                                             .run_batch = run_batch,
                                             .run_between = run_between,
                                             .run_urgent = run_batch,
                                             .run_idle = run_idle,
                                             .end = end};

static void start(struct storage *storage) {
    *storage = (struct storage){0};
    pthread_barrier_init(&storage->gate, NULL, 2);
    commit_init(&storage->commit, &commit_ops, storage);
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(commit_start(&storage->commit, &op), OK);
}

static void stop(struct storage *storage) {
    commit_stop(&storage->commit);
    ck_assert(storage->begun && storage->ended);
    commit_fini(&storage->commit);
    pthread_barrier_destroy(&storage->gate);
}

static void *submit(void *context) {
    struct storage *storage = context;
    struct op op;
    op_init(&op, 0, 0);
    struct request request = {0};
    ck_assert_int_eq(commit_submit(&storage->commit, &op, &request), ERR_UNAVAILABLE);
    ck_assert_str_eq(op.fault.detail, "as asked");
    return NULL;
}

static unsigned queued(struct storage *storage) {
    unsigned count = 0;
    struct request *request;
    mutex_lock(&storage->commit.mutex);
    STAILQ_FOREACH(request, &storage->commit.queue, in_batch) {
        count++;
    }
    mutex_unlock(&storage->commit.mutex);
    return count;
}

#define CALLERS 32

static void crowd(struct storage *storage) {
    pthread_t first;
    pthread_t others[CALLERS];
    pthread_create(&first, NULL, submit, storage);
    pthread_barrier_wait(&storage->gate); /* the first batch is under way */
    for (int i = 0; i < CALLERS; i++) {
        pthread_create(&others[i], NULL, submit, storage);
    }
    while (queued(storage) < CALLERS) {
        sched_yield();
    }
    pthread_barrier_wait(&storage->gate);
    pthread_join(first, NULL);
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(others[i], NULL);
    }
}

START_TEST(who_comes_during_a_batch_joins_it_when_asked) {
    struct storage storage;
    start(&storage);
    storage.joins = true;
    crowd(&storage);
    ck_assert_uint_eq(storage.requests, CALLERS + 1);
    ck_assert_uint_eq(storage.batches, 1);
    stop(&storage);
}
END_TEST

START_TEST(what_gathers_during_a_batch_is_the_next_batch) {
    struct storage storage;
    start(&storage);
    crowd(&storage);
    ck_assert_uint_eq(storage.requests, CALLERS + 1);
    ck_assert_uint_eq(storage.largest, CALLERS);
    ck_assert_uint_eq(storage.batches, 2);
    stop(&storage);
}
END_TEST

START_TEST(a_queued_request_is_taken_back_at_its_deadline) {
    struct storage storage;
    start(&storage);
    pthread_t first;
    pthread_create(&first, NULL, submit, &storage);
    pthread_barrier_wait(&storage.gate);
    struct op op;
    op_init(&op, 0, 1); /* over at once */
    struct request request = {0};
    ck_assert_int_eq(commit_submit(&storage.commit, &op, &request), ERR_TIMEOUT);
    ck_assert_uint_eq(queued(&storage), 0);
    pthread_barrier_wait(&storage.gate);
    pthread_join(first, NULL);
    ck_assert_uint_eq(storage.requests, 1);
    stop(&storage);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 parts");
    TCase *tcase = tcase_create("parts");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, ids_become_names_and_back);
    tcase_add_test(tcase, names_that_no_id_gives_are_their_own_id);
    tcase_add_test(tcase, who_comes_during_a_batch_joins_it_when_asked);
    tcase_add_test(tcase, what_gathers_during_a_batch_is_the_next_batch);
    tcase_add_test(tcase, a_queued_request_is_taken_back_at_its_deadline);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
