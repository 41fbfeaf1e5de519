/* test_hdf5_compact_ends.c - whatever stops a compaction, the pool is as it was; and when one begins by itself. */
#include "compact_fixture.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/hdf5_tool.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what stops it ---- */
START_TEST(paused_resumed_cancelled) {
    put_shapes();
    put_made("very large", 32 * MIB, 21, HOLD_OWNED);
    ck_assert_int_eq(ask(UPKEEP_START), OK);
    ck_assert_int_eq(ask(UPKEEP_PAUSE), OK);
    put_text(fixture.pool, "text", "written while it is paused");
    drop(fixture.pool, "very large");
    ck_assert_int_eq(look().state, UPKEEP_PAUSED);
    ck_assert_int_eq(ask(UPKEEP_RESUME), OK);
    (void)await(UPKEEP_FINISHED);
    expect_text(fixture.pool, "text", "written while it is paused");
    expect_absent(fixture.pool, "very large");
    put_shapes();
    put_made("very large", 32 * MIB, 22, HOLD_OWNED);
    int64_t before = size_of("p.h5");
    ck_assert_int_eq(ask(UPKEEP_START), OK);
    ck_assert_int_eq(ask(UPKEEP_CANCEL), OK);
    ck_assert_int_eq(look().state, UPKEEP_CANCELLED);
    put_text(fixture.pool, "one", "written afterwards");
    ck_assert_int_eq(ask(UPKEEP_START), OK); /* waits for the end of the one before */
    ck_assert_int_eq(ask(UPKEEP_CANCEL), OK);
    fixture_reopen(&fixture, NULL);
    ck_assert_int_eq(size_of(COPY_NAME), -1);
    ck_assert_int_ge(size_of("p.h5"), before);
    expect_text(fixture.pool, "one", "written afterwards");
    expect_made("very large", 32 * MIB, 22);
}
END_TEST

static bool full_disk; /* what statvfs says (under the name it has with large files) */

int __real_statvfs64(const char *path, struct statvfs *ret_disk);
int __wrap_statvfs64(const char *path, struct statvfs *ret_disk);
int __wrap_statvfs64(const char *path, struct statvfs *ret_disk) {
    int result = __real_statvfs64(path, ret_disk);
    if (full_disk) {
        ret_disk->f_bavail = 100;
    }
    return result;
}

START_TEST(no_room_on_the_disk_is_told_at_once) {
    put_shapes();
    full_disk = true;
    ck_assert_int_eq(ask(UPKEEP_START), ERR_NO_SPACE);
    full_disk = false;
    ck_assert_int_eq(look().state, UPKEEP_ERROR);
    ck_assert_int_eq(look().fault.reason, REASON_NO_SPACE);
    ck_assert_int_eq(size_of(COPY_NAME), -1);
    expect_shapes();
    compact();
    expect_shapes();
}
END_TEST

/* A limit on the size of files stands in for a disk that becomes full half way. */
START_TEST(a_disk_that_becomes_full_changes_nothing) {
    ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    put_shapes();
    int64_t before = size_of("p.h5");
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    const struct rlimit low = {.rlim_cur = (rlim_t)before / 2, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    ck_assert_int_eq(ask(UPKEEP_START), OK);
    while (look().state == UPKEEP_RUNNING) {
        sched_yield();
    }
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(look().state, UPKEEP_ERROR);
    ck_assert_int_eq(look().fault.reason, REASON_NO_SPACE);
    ck_assert_int_eq(size_of(COPY_NAME), -1);
    ck_assert_int_eq(size_of("p.h5"), before);
    expect_shapes();
    put_text(fixture.pool, "text", "still writable");
    put_made("text", 1000, 2, HOLD_OWNED);
    compact();
    fixture_reopen(&fixture, NULL);
    expect_shapes();
}
END_TEST

START_TEST(a_pool_that_is_only_read_is_not_compacted) {
    put_shapes();
    static const char *const fixed[] = {"read_only=true", NULL};
    fixture_reopen(&fixture, fixed);
    ck_assert_int_eq(ask(UPKEEP_START), ERR_CONFLICT);
    ck_assert_int_eq(look().fault.reason, REASON_POOL_READ_ONLY);
    expect_shapes();
}
END_TEST

/* ---- crashes ---- */
#define CRASHES 20

static void key_of(unsigned number, char id[32]) {
    snprintf(id, 32, "key-%u", number % 7);
}

/* Compacts and writes until it is killed. What is acknowledged goes to `told`. */
static void work_until_killed(int told) {
    fixture_reopen(&fixture, NULL);
    for (unsigned number = 1;; number++) {
        char id[32];
        key_of(number, id);
        if (ask(UPKEEP_START) != OK) {
            _exit(1);
        }
        put_made(id, number * 1000, number, HOLD_OWNED);
        if (write(told, &number, sizeof number) != (ssize_t)sizeof number) {
            _exit(1);
        }
    }
}

/* At a random moment after the first write. The last number that was acknowledged. */
static unsigned kill_at_work(unsigned random) {
    int ends[2];
    unsigned last = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        work_until_killed(ends[1]);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &last, sizeof last), sizeof last);
    const struct timespec moment = {.tv_nsec = (long)(random % 100) * 1000000L};
    nanosleep(&moment, NULL);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    while (read(ends[0], &last, sizeof last) == (ssize_t)sizeof last) {
    }
    close(ends[0]);
    return last;
}

/* Of the keys written last, the one after the last acknowledged may or may not be there. */
static void expect_acknowledged(unsigned last) {
    for (unsigned number = last > 6 ? last - 6 : 1; number <= last; number++) {
        char id[32];
        char next[32];
        key_of(number, id);
        key_of(last + 1, next);
        if (strcmp(id, next) != 0) {
            expect_made(id, number * 1000, number);
        }
    }
}

/* A moment without a journal is none at which the file says that there is one. */
static void expect_no_journal_missed(void) {
    if (size_of("p.h5-journal") >= 0) {
        return;
    }
    char *path = fixture_path(&fixture, "p.h5");
    struct op op;
    op_init(&op, 0, 0);
    AUTO(hdf5_report_fini) struct hdf5_report report;
    ck_assert_int_eq(hdf5_tool_check(&op, path, &report), OK);
    ck_assert(!report.journal.missing);
    free(path);
}

START_TEST(a_crash_leaves_one_whole_file) {
    put_shapes();
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    unsigned state = (unsigned)clock_now_ns();
    unsigned left = 0;
    for (unsigned i = 0; i < CRASHES; i++) {
        state = state * 1103515245u + 12345u;
        unsigned last = kill_at_work(state >> 8);
        left += size_of(COPY_NAME) >= 0;
        expect_no_journal_missed();
        fixture_reopen(&fixture, NULL);
        ck_assert_int_eq(size_of(COPY_NAME), -1);
        expect_shape_bodies();
        expect_acknowledged(last);
        for (unsigned key = 0; key < 7; key++) {
            char id[32];
            key_of(key, id);
            drop(fixture.pool, id);
        }
        expect_shapes();
        pool_unref(fixture.pool);
        fixture.pool = NULL;
    }
    ck_assert_uint_gt(left, 0); /* some moments were within */
}
END_TEST

/* ---- by itself ---- */
START_TEST(a_file_that_is_mostly_unused_is_compacted_by_itself) {
    static const char *const eager[] = {"compact_min_bytes=1MiB", NULL};
    fixture_reopen(&fixture, eager);
    put_made("kept", 1000, 1, HOLD_OWNED);
    put_made("gone", 24 * MIB, 3, HOLD_OWNED);
    put_made("behind", 100000, 5, HOLD_OWNED); /* the file cannot just be cut off */
    drop(fixture.pool, "gone");
    int64_t before = size_of("p.h5");
    struct upkeep_status status = await(UPKEEP_FINISHED);
    ck_assert_uint_ge(status.bytes_before, 24 * MIB);
    ck_assert_int_lt(size_of("p.h5"), before / 4);
    expect_made("kept", 1000, 1);
    expect_made("behind", 100000, 5);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 compact ends");
    TCase *tcase = new_case(suite, "what stops it");
    tcase_add_test(tcase, paused_resumed_cancelled);
    tcase_add_test(tcase, no_room_on_the_disk_is_told_at_once);
    tcase_add_test(tcase, a_disk_that_becomes_full_changes_nothing);
    tcase_add_test(tcase, a_pool_that_is_only_read_is_not_compacted);
    tcase = new_case(suite, "crashes");
    tcase_add_test(tcase, a_crash_leaves_one_whole_file);
    tcase = new_case(suite, "by itself");
    tcase_add_test(tcase, a_file_that_is_mostly_unused_is_compacted_by_itself);
    return run_suite(suite);
}
