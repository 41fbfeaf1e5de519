/* test_hdf5_store.c - what the store promises under concurrency and at its limits: batches, held space, fences, eviction, aborts. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "pools/fence.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static struct fixture fixture;

static void set_up(void) {
    fixture_open(&fixture);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

#define THREADS 32
#define ROUNDS 20

struct job {
    pthread_t thread;
    pthread_barrier_t *barrier;
    int number;
    int created;
};

static void *put_rounds(void *context) {
    struct job *job = context;
    struct condition absent = {.kind = CONDITION_ABSENT};
    pthread_barrier_wait(job->barrier);
    for (int round = 0; round < ROUNDS; round++) {
        char own[32];
        char shared[32];
        char body[64];
        snprintf(own, sizeof own, "own-%d-%d", job->number, round);
        snprintf(shared, sizeof shared, "shared-%d", round);
        int bytes = snprintf(body, sizeof body, "%d of %d", round, job->number);
        put_text(fixture.pool, own, body);
        job->created +=
            put_as(fixture.pool, shared, body, (size_t)bytes, HOLD_OWNED, NULL, &absent, NULL) == OK ? 1 : 0;
        put_text(fixture.pool, "contended", body);
        char *got = get(fixture.pool, "contended", NULL);
        ck_assert_ptr_nonnull(strstr(got, " of "));
        free(got);
        expect_text(fixture.pool, own, body);
    }
    return NULL;
}

START_TEST(many_writers_share_batches) {
    struct job jobs[THREADS];
    pthread_barrier_t barrier;
    ck_assert_int_eq(pthread_barrier_init(&barrier, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.barrier = &barrier, .number = i};
        ck_assert_int_eq(pthread_create(&jobs[i].thread, NULL, put_rounds, &jobs[i]), 0);
    }
    int created = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        created += jobs[i].created;
    }
    pthread_barrier_destroy(&barrier);
    ck_assert_int_eq(created, ROUNDS); /* create-only: one of 32 each time */
    size_t expected = (THREADS + 1) * ROUNDS + 1;
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), expected);
    fixture_reopen(&fixture, NULL);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), expected);
    expect_text(fixture.pool, "own-31-19", "19 of 31");
}
END_TEST

START_TEST(a_reader_keeps_its_bytes) {
    size_t bytes = 3 * 1000 * 1000;
    char *first = malloc(bytes);
    char *second = malloc(bytes);
    memset(first, '1', bytes);
    memset(second, '2', bytes);
    ck_assert_int_eq(put_as(fixture.pool, "r", first, bytes, HOLD_OWNED, NULL, NULL, NULL), OK);
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("r");
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, NULL, &reader), OK);
    char *piece = malloc(bytes);
    size_t count = 0;
    ck_assert_int_eq(reader_read(reader, &op, piece, 1000, &count), OK);
    /* Overwrite and delete it, and ask for its space again and again. */
    drop(fixture.pool, "r");
    for (int i = 0; i < 4; i++) {
        char other[16];
        snprintf(other, sizeof other, "other-%d", i);
        ck_assert_int_eq(put_as(fixture.pool, other, second, bytes, HOLD_OWNED, NULL, NULL, NULL), OK);
    }
    size_t at = count;
    while (count) {
        ck_assert_int_eq(reader_read(reader, &op, piece + at, 100000, &count), OK);
        at += count;
    }
    ck_assert_uint_eq(at, bytes);
    ck_assert_mem_eq(piece + 1000, first + 1000, bytes - 1000);
    reader_close(reader);
    free(piece);
    free(first);
    free(second);
}
END_TEST

static long file_bytes(void) {
    char *path = fixture_path(&fixture, "p.h5");
    FILE *file = fopen(path, "rb");
    free(path);
    ck_assert_ptr_nonnull(file);
    fseek(file, 0, SEEK_END);
    long bytes = ftell(file);
    fclose(file);
    return bytes;
}

START_TEST(space_is_used_again) {
    size_t bytes = 300 * 1000;
    char *body = malloc(bytes);
    for (int i = 0; i < 100; i++) {
        memset(body, 'a' + i % 26, bytes);
        ck_assert_int_eq(put_as(fixture.pool, "s", body, bytes, HOLD_OWNED, NULL, NULL, NULL), OK);
    }
    free(body);
    fixture_reopen(&fixture, NULL);
    ck_assert_int_lt(file_bytes(), 2 * 1000 * 1000);
}
END_TEST

START_TEST(an_abort_leaves_no_trace) {
    put_text(fixture.pool, "kept", "1");
    fixture_reopen(&fixture, NULL);
    long before = file_bytes();
    static char piece[100000];
    static const uint64_t sizes[] = {SIZE_UNKNOWN, 10, 5 * 1000 * 1000};
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct id id = id_of("aborted");
        struct write_options options = {0};
        meta_init(&options.meta);
        options.meta.size_bytes = sizes[i];
        struct pool_writer *writer = NULL;
        ck_assert_int_eq(pool_open_writer(fixture.pool, &op, &id, &options, &writer), OK);
        ck_assert_int_eq(pool_writer_write(writer, &op, piece, sizes[i] < sizeof piece ? 5 : sizeof piece),
                         OK);
        pool_writer_close(writer);
        expect_absent(fixture.pool, "aborted");
    }
    fixture_reopen(&fixture, NULL);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 10), 1);
    expect_text(fixture.pool, "kept", "1");
    ck_assert_int_le(file_bytes(), before + 4096);
}
END_TEST

/* So many small ones come while a large body is on its way that its header has long left the library's cache when it gets its name. */
#define MANY_MEANWHILE 3000
#define SLOW_BYTES 2000000u

START_TEST(a_slow_upload_is_not_forgotten) {
    static char body[SLOW_BYTES];
    for (size_t i = 0; i < sizeof body; i++) {
        body[i] = (char)(i * 2654435761u >> 24);
    }
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("slow");
    struct write_options options = {0};
    meta_init(&options.meta);
    options.meta.size_bytes = sizeof body;
    struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(fixture.pool, &op, &id, &options, &writer), OK);
    ck_assert_int_eq(pool_writer_write(writer, &op, body, sizeof body / 2), OK);
    char name[32];
    for (unsigned i = 0; i < MANY_MEANWHILE; i++) {
        snprintf(name, sizeof name, "meanwhile %u", i);
        put_text(fixture.pool, name, "1");
    }
    ck_assert_int_eq(pool_writer_write(writer, &op, body + sizeof body / 2, sizeof body / 2), OK);
    struct commit_result result;
    ck_assert_int_eq(pool_writer_commit(writer, &op, &result), OK);
    meta_fini(&result.meta);
    pool_writer_close(writer);
    for (unsigned i = 0; i < 100; i++) { /* into its place, were it free */
        snprintf(name, sizeof name, "afterwards %u", i);
        ck_assert_int_eq(put_as(fixture.pool, name, name, sizeof name, HOLD_OWNED, NULL, NULL, NULL), OK);
    }
    for (unsigned opening = 0; opening < 2; opening++) {
        size_t bytes = 0;
        char *got = get(fixture.pool, "slow", &bytes);
        ck_assert_ptr_nonnull(got);
        ck_assert_uint_eq(bytes, sizeof body);
        ck_assert_int_eq(memcmp(got, body, sizeof body), 0);
        free(got);
        fixture_reopen(&fixture, NULL);
    }
}
END_TEST

START_TEST(a_fill_yields_to_local_writes) {
    struct op op;
    op_init(&op, 0, 0);
    struct fence fence;
    struct id id = id_of("f");
    ck_assert_int_eq(fence_raise(&fixture.pool->fences, &op, &fence, &id), OK);
    ck_assert_int_eq(put_as(fixture.pool, "f", "copy", 4, HOLD_CACHED, NULL, NULL, &fence), OK);
    expect_text(fixture.pool, "f", "copy");
    put_text(fixture.pool, "f", "own"); /* breaks the fence */
    ck_assert_int_eq(put_as(fixture.pool, "f", "copy", 4, HOLD_CACHED, NULL, NULL, &fence), ERR_SUPERSEDED);
    fence_lower(&fixture.pool->fences, &fence);
    ck_assert_int_eq(fence_raise(&fixture.pool->fences, &op, &fence, &id), OK);
    /* The fence holds, but the pool has an entry of its own. */
    ck_assert_int_eq(put_as(fixture.pool, "f", "copy", 4, HOLD_CACHED, NULL, NULL, &fence), ERR_SUPERSEDED);
    drop(fixture.pool, "f");
    ck_assert_int_eq(put_as(fixture.pool, "f", "copy", 4, HOLD_CACHED, NULL, NULL, &fence), ERR_SUPERSEDED);
    fence_lower(&fixture.pool->fences, &fence);
    expect_absent(fixture.pool, "f");
}
END_TEST

START_TEST(cached_copies_make_room_and_owned_ones_stay) {
    static const char *const limits[] = {"max_bytes=100", "max_entries=5", NULL};
    fixture_reopen(&fixture, limits);
    char body[101];
    memset(body, 'x', sizeof body);
    ck_assert_int_eq(put_as(fixture.pool, "large", body, 101, HOLD_OWNED, NULL, NULL, NULL), ERR_TOO_LARGE);
    ck_assert_int_eq(put_as(fixture.pool, "own", body, 40, HOLD_OWNED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "c1", body, 30, HOLD_CACHED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "c2", body, 30, HOLD_CACHED, NULL, NULL, NULL), OK);
    /* Nobody to ask for them again: they stay. */
    ck_assert_int_eq(put_as(fixture.pool, "own2", body, 20, HOLD_OWNED, NULL, NULL, NULL), ERR_NO_SPACE);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 10), 3);
    pool_set_cached_evictable(fixture.pool, true);
    free(get(fixture.pool, "c1", NULL)); /* read: has a second chance */
    ck_assert_int_eq(put_as(fixture.pool, "own2", body, 20, HOLD_OWNED, NULL, NULL, NULL), OK);
    expect_absent(fixture.pool, "c2");
    char *kept = get(fixture.pool, "c1", NULL);
    ck_assert_ptr_nonnull(kept);
    free(kept);
    /* A fill does not push out owned entries, and what does not fit changes nothing. */
    ck_assert_int_eq(put_as(fixture.pool, "c3", body, 50, HOLD_CACHED, NULL, NULL, NULL), ERR_NO_SPACE);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 10), 3);
    fixture_reopen(&fixture, limits);
    pool_set_cached_evictable(fixture.pool, true);
    /* Known again after reopening, before anybody reads. */
    ck_assert_int_eq(put_as(fixture.pool, "own3", body, 40, HOLD_OWNED, NULL, NULL, NULL), OK);
    expect_absent(fixture.pool, "c1");
    ck_assert_int_eq(put_as(fixture.pool, "own4", body, 1, HOLD_OWNED, NULL, NULL, NULL), ERR_NO_SPACE);
    drop(fixture.pool, "own3");
    ck_assert_int_eq(put_as(fixture.pool, "n1", body, 1, HOLD_OWNED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "n2", body, 1, HOLD_CACHED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "n3", body, 1, HOLD_OWNED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "n4", body, 1, HOLD_OWNED, NULL, NULL, NULL), OK); /* n2 left */
    expect_absent(fixture.pool, "n2");
    ck_assert_int_eq(put_as(fixture.pool, "n5", body, 1, HOLD_OWNED, NULL, NULL, NULL), ERR_NO_SPACE);
}
END_TEST

START_TEST(the_file_is_bounded) {
    static const char *const limits[] = {"max_file_bytes=4MiB", NULL};
    fixture_reopen(&fixture, limits);
    pool_set_cached_evictable(fixture.pool, true);
    size_t bytes = 1000 * 1000;
    char *body = calloc(5, bytes);
    ck_assert_int_eq(put_as(fixture.pool, "large", body, 5 * bytes, HOLD_OWNED, NULL, NULL, NULL),
                     ERR_TOO_LARGE);
    ck_assert_int_eq(put_as(fixture.pool, "own", body, 2 * bytes, HOLD_OWNED, NULL, NULL, NULL), OK);
    for (int i = 0; i < 10; i++) {
        char id[16];
        snprintf(id, sizeof id, "copy-%d", i);
        ck_assert_int_eq(put_as(fixture.pool, id, body, bytes, HOLD_CACHED, NULL, NULL, NULL), OK);
    }
    ck_assert_int_eq(put_as(fixture.pool, "own2", body, 3 * bytes, HOLD_OWNED, NULL, NULL, NULL),
                     ERR_NO_SPACE);
    char *own = get(fixture.pool, "own", NULL);
    ck_assert_ptr_nonnull(own);
    free(own);
    free(body);
    fixture_reopen(&fixture, limits);
    ck_assert_int_le(file_bytes(), 4 << 20);
}
END_TEST

START_TEST(a_file_belongs_to_one_pool) {
    struct op op;
    struct pool *second = NULL;
    ck_assert_int_eq(fixture_try_open(&fixture, &op, NULL, &second), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_FILE_IN_USE);
    ck_assert_ptr_null(strstr(op.fault.detail, "/"));
    put_text(fixture.pool, "still", "fine");
    expect_text(fixture.pool, "still", "fine");
}
END_TEST

START_TEST(a_read_only_pool_refuses_writes) {
    static const char *const read_only[] = {"read_only=true", NULL};
    put_text(fixture.pool, "a", "1");
    fixture_reopen(&fixture, read_only);
    expect_text(fixture.pool, "a", "1");
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("a");
    bool existed = false;
    ck_assert_int_eq(put_as(fixture.pool, "a", "2", 1, HOLD_OWNED, NULL, NULL, NULL), ERR_CONFLICT);
    ck_assert_int_eq(pool_remove(fixture.pool, &op, &id, NULL, &existed), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_READ_ONLY);
    struct pool_status status;
    pool_get_status(fixture.pool, &status);
    ck_assert_int_eq(status.state, POOL_READ_ONLY);
    ck_assert_str_ne(status.reason, "");
    expect_text(fixture.pool, "a", "1");
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 store");
    TCase *tcase = tcase_create("store");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, many_writers_share_batches);
    tcase_add_test(tcase, a_reader_keeps_its_bytes);
    tcase_add_test(tcase, space_is_used_again);
    tcase_add_test(tcase, an_abort_leaves_no_trace);
    tcase_add_test(tcase, a_slow_upload_is_not_forgotten);
    tcase_add_test(tcase, a_fill_yields_to_local_writes);
    tcase_add_test(tcase, cached_copies_make_room_and_owned_ones_stay);
    tcase_add_test(tcase, the_file_is_bounded);
    tcase_add_test(tcase, a_file_belongs_to_one_pool);
    tcase_add_test(tcase, a_read_only_pool_refuses_writes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
