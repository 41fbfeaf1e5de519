/* test_spool.c - in memory, then in a file nobody can see; one budget for all. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/spool.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static char folder[64];
static char spool_folder[80];
static struct spool_dir *dir;
static struct op op;

static void setup(void) {
    op_init(&op, 0, 0);
    snprintf(folder, sizeof folder, "/tmp/lailad-spool-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(spool_folder, sizeof spool_folder, "%s/spool", folder);
    ck_assert_int_eq(spool_dir_open(&op, spool_folder, 100000, &dir), OK);
}

static void teardown(void) {
    spool_dir_close(dir);
    ck_assert_int_eq(rmdir(spool_folder), 0); /* empty: nothing was left */
    ck_assert_int_eq(rmdir(folder), 0);
}

static void write_pattern(struct spool *spool, size_t from, size_t count) {
    char bytes[20000];
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (char)((from + i) % 251);
    }
    ck_assert_int_eq(spool_write(spool, &op, bytes, count), OK);
}

static void assert_pattern(struct spool *spool, size_t size) {
    ck_assert_uint_eq(spool_size_bytes(spool), size);
    size_t at = 0;
    for (;;) {
        char bytes[777];
        size_t count = 0;
        ck_assert_int_eq(spool_read(spool, &op, at, bytes, sizeof bytes, &count), OK);
        if (count == 0) {
            break;
        }
        for (size_t i = 0; i < count; i++) {
            ck_assert_int_eq(bytes[i], (char)((at + i) % 251));
        }
        at += count;
    }
    ck_assert_uint_eq(at, size);
}

START_TEST(memory_then_file) {
    struct spool *spool = NULL;
    ck_assert_int_eq(spool_open(&op, dir, 10000, &spool), OK);
    ck_assert_ptr_nonnull(spool_ram(spool));
    assert_pattern(spool, 0);
    write_pattern(spool, 0, 6000);
    ck_assert_ptr_nonnull(spool_ram(spool));
    assert_pattern(spool, 6000);
    write_pattern(spool, 6000, 4000);
    ck_assert_ptr_nonnull(spool_ram(spool)); /* exactly full */
    write_pattern(spool, 10000, 1);
    ck_assert_ptr_null(spool_ram(spool));
    write_pattern(spool, 10001, 20000);
    assert_pattern(spool, 30001);
    spool_close(spool);
    spool_close(NULL);
}
END_TEST

START_TEST(the_file_has_no_name) {
    struct spool *spool = NULL;
    ck_assert_int_eq(spool_open(&op, dir, 10, &spool), OK);
    write_pattern(spool, 0, 5000);
    DIR *listing = opendir(spool_folder);
    unsigned names = 0;
    for (const struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        names += entry->d_name[0] != '.';
    }
    closedir(listing);
    ck_assert_uint_eq(names, 0);
    spool_close(spool);
}
END_TEST

START_TEST(one_budget_for_all) {
    struct spool *first = NULL;
    struct spool *second = NULL;
    ck_assert_int_eq(spool_open(&op, dir, 10, &first), OK);
    ck_assert_int_eq(spool_open(&op, dir, 10, &second), OK);
    for (size_t i = 0; i < 4; i++) {
        write_pattern(first, i * 20000, 20000);
    }
    char bytes[20001] = {0};
    ck_assert_int_eq(spool_write(second, &op, bytes, 20001), ERR_NO_SPACE);
    ck_assert_int_eq(op.fault.reason, REASON_NO_SPACE);
    write_pattern(second, 0, 20000);
    ck_assert_int_eq(spool_write(second, &op, bytes, 1), ERR_NO_SPACE);
    assert_pattern(second, 20000); /* what was there stays */
    spool_close(first);            /* gives its share back */
    write_pattern(second, 20000, 20000);
    assert_pattern(second, 40000);
    spool_close(second);
}
END_TEST

START_TEST(without_a_directory_memory_is_all) {
    struct spool *spool = NULL;
    ck_assert_int_eq(spool_open(&op, NULL, 100, &spool), OK);
    write_pattern(spool, 0, 100);
    ck_assert_int_eq(spool_write(spool, &op, "x", 1), ERR_TOO_LARGE);
    assert_pattern(spool, 100);
    spool_close(spool);
}
END_TEST

START_TEST(a_directory_that_cannot_be_made) {
    struct spool_dir *none = NULL;
    ck_assert_int_ne(spool_dir_open(&op, "/proc/nowhere/spool", 1, &none), OK);
    ck_assert_ptr_null(none);
    ck_assert_ptr_null(strstr(op.fault.detail, "/proc")); /* paths stay out of faults */
}
END_TEST

struct tail {
    struct spool *spool;
    atomic_bool done;
    atomic_uint wrong;
};

static void *tail_main(void *argument) {
    struct tail *tail = argument;
    struct op own_op;
    op_init(&own_op, 0, 0);
    uint64_t at = 0;
    while (!atomic_load(&tail->done) || at < spool_size_bytes(tail->spool)) {
        char bytes[500];
        size_t count = 0;
        if (at == spool_size_bytes(tail->spool)) {
            continue;
        }
        atomic_fetch_add(&tail->wrong,
                         spool_read(tail->spool, &own_op, at, bytes, sizeof bytes, &count) != OK);
        for (size_t i = 0; i < count; i++) {
            atomic_fetch_add(&tail->wrong, bytes[i] != (char)((at + i) % 251));
        }
        at += count;
    }
    return NULL;
}

START_TEST(readers_tail_the_writer) {
    struct tail tail = {0};
    ck_assert_int_eq(spool_open(&op, dir, 3000, &tail.spool), OK);
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, tail_main, &tail), 0);
    }
    for (size_t at = 0; at < 50000; at += 100) {
        write_pattern(tail.spool, at, 100);
    }
    atomic_store(&tail.done, true);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(atomic_load(&tail.wrong), 0);
    spool_close(tail.spool);
}
END_TEST

Suite *spool_suite(void) {
    Suite *suite = suite_create("spool");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, memory_then_file);
    tcase_add_test(tcase, the_file_has_no_name);
    tcase_add_test(tcase, one_budget_for_all);
    tcase_add_test(tcase, without_a_directory_memory_is_all);
    tcase_add_test(tcase, a_directory_that_cannot_be_made);
    tcase_add_test(tcase, readers_tail_the_writer);
    suite_add_tcase(suite, tcase);
    return suite;
}
