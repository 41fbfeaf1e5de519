/* test_vfd_file.c - real files: what a process that ends without a word leaves, and that it is found again by plain HDF5. */
#include "pools/base/hash.h"
#include "pools/hdf5/vfd/recover.h"
#include "tests/crash/journaled.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE_BYTES ((size_t)600 << 10)

struct scene {
    char dir[64], path[80], journal[96];
    char *large;
};

static void scene_open(struct scene *scene) {
    snprintf(scene->dir, sizeof scene->dir, "/tmp/lailad-vfd-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scene->dir));
    snprintf(scene->path, sizeof scene->path, "%s/p.h5", scene->dir);
    snprintf(scene->journal, sizeof scene->journal, "%s-journal", scene->path);
    scene->large = malloc(LARGE_BYTES);
    for (size_t i = 0; i < LARGE_BYTES; i++) {
        scene->large[i] = (char)(i * 7 % 251);
    }
}

static void scene_close(struct scene *scene) {
    unlink(scene->journal);
    unlink(scene->path);
    ck_assert_int_eq(rmdir(scene->dir), 0);
    free(scene->large);
}

static struct medium *medium_on(const struct scene *scene, bool writable, int *ret_fd) {
    *ret_fd = open(scene->path, (writable ? O_RDWR | O_CREAT : O_RDONLY) | O_CLOEXEC, 0600);
    ck_assert_int_ge(*ret_fd, 0);
    struct op op;
    op_init(&op, 0, 0);
    struct medium *medium = NULL;
    enum err err = medium_open_posix(&op, *ret_fd, scene->path, writable, &medium);
    ck_assert_msg(err == OK, "%s", op.fault.detail);
    return medium;
}

/* In a process of its own, which ends in the middle of the next batch. */
static void in_a_process_that_dies(const struct scene *scene,
                                   void (*work)(const struct scene *scene, struct journaled *journaled)) {
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int fd = -1;
        struct journaled journaled;
        journaled_open(&journaled, medium_on(scene, true, &fd));
        work(scene, &journaled);
        _exit(7);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

struct expected {
    const char *const *names;
    const struct scene *scene;
    size_t count;
};

static void expect_entry(void *context, const char *name, const void *bytes, size_t count) {
    struct expected *expected = context;
    const char *wanted = expected->names[expected->count++];
    ck_assert_ptr_nonnull(wanted);
    ck_assert_str_eq(name, wanted);
    if (strncmp(name, "large", 5) == 0) {
        ck_assert_uint_eq(count, LARGE_BYTES);
        ck_assert(memcmp(bytes, expected->scene->large, count) == 0);
    } else {
        ck_assert_uint_eq(count, strlen(name));
        ck_assert(memcmp(bytes, name, count) == 0);
    }
}

/* With nothing of ours between the library and the file. */
static void expect_plain(const struct scene *scene, const char *const *names, size_t count) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t file = H5Fopen(scene->path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert(file >= 0);
    struct expected expected = {.names = names, .scene = scene};
    ck_assert(entries_each(file, expect_entry, &expected));
    ck_assert_uint_eq(expected.count, count);
    H5Fclose(file);
}

static void recover(const struct scene *scene, uint64_t least_commits) {
    int fd = -1;
    struct op op;
    op_init(&op, 0, 0);
    struct medium *medium = medium_on(scene, true, &fd);
    struct recover_report report;
    ck_assert_int_eq(recover_inspect(&op, medium, &report), OK);
    ck_assert(report.present && report.belongs);
    ck_assert_uint_ge(report.commits, least_commits);
    ck_assert_int_eq(recover_run(&op, medium, RECOVER_OWN, &report), OK);
    medium->ops->close(medium);
    close(fd);
    ck_assert_int_ne(access(scene->journal, F_OK), 0);
}

static void put_text(struct journaled *journaled, const char *name) {
    journaled_put(journaled, name, name, strlen(name), BODY_WRITTEN);
}

static void two_batches_and_a_half(const struct scene *scene, struct journaled *journaled) {
    put_text(journaled, "a");
    put_text(journaled, "b");
    journaled_commit(journaled);
    journaled_put(journaled, "large", scene->large, LARGE_BYTES, BODY_NOTED);
    journaled_put(journaled, "large2", scene->large, LARGE_BYTES, BODY_BY_LIBRARY);
    journaled_remove(journaled, "a");
    journaled_commit(journaled);
    put_text(journaled, "never committed");
    journaled_flush(journaled);
}

START_TEST(a_process_that_dies_loses_nothing_committed) {
    struct scene scene;
    scene_open(&scene);
    in_a_process_that_dies(&scene, two_batches_and_a_half);
    recover(&scene, 3);
    expect_plain(&scene, (const char *const[]){"b", "large", "large2", NULL}, 3);
    scene_close(&scene);
}
END_TEST

static void checkpoint_between(const struct scene *scene, struct journaled *journaled) {
    two_batches_and_a_half(scene, journaled);
    journaled_commit(journaled);
    ck_assert_int_eq(shadow_checkpoint(journaled->shadow, &journaled->op), OK);
    ck_assert_int_eq(shadow_state(journaled->shadow), SHADOW_CLEAN);
    put_text(journaled, "behind it");
    journaled_commit(journaled);
    journaled_remove(journaled, "b");
}

START_TEST(commits_behind_a_checkpoint_are_found) {
    struct scene scene;
    scene_open(&scene);
    in_a_process_that_dies(&scene, checkpoint_between);
    recover(&scene, 1);
    expect_plain(&scene, (const char *const[]){"b", "behind it", "large", "large2", "never committed", NULL},
                 5);
    scene_close(&scene);
}
END_TEST

START_TEST(a_clean_close_leaves_a_plain_file) {
    struct scene scene;
    scene_open(&scene);
    int fd = -1;
    struct journaled journaled;
    journaled_open(&journaled, medium_on(&scene, true, &fd));
    put_text(&journaled, "x");
    journaled_commit(&journaled);
    ck_assert_int_eq(access(scene.journal, F_OK), 0);
    put_text(&journaled, "y"); /* the close commits it */
    journaled_close(&journaled);
    close(fd);
    ck_assert_int_ne(access(scene.journal, F_OK), 0);
    expect_plain(&scene, (const char *const[]){"x", "y", NULL}, 2);
    scene_close(&scene);
}
END_TEST

START_TEST(going_back_undoes_a_batch) {
    struct scene scene;
    scene_open(&scene);
    int fd = -1;
    struct journaled journaled;
    journaled_open(&journaled, medium_on(&scene, true, &fd));
    put_text(&journaled, "kept");
    journaled_commit(&journaled);
    journaled_remove(&journaled, "kept");
    put_text(&journaled, "gone");
    shadow_discard(journaled.shadow);
    journaled_close_library(&journaled);
    ck_assert_int_eq(shadow_roll_back(journaled.shadow, &journaled.op), OK);
    ck_assert_int_eq(shadow_state(journaled.shadow), SHADOW_CLEAN);
    expect_plain(&scene, (const char *const[]){"kept", NULL}, 1);
    journaled_open_library(&journaled);
    put_text(&journaled, "later");
    journaled_commit(&journaled);
    journaled_close(&journaled);
    close(fd);
    expect_plain(&scene, (const char *const[]){"kept", "later", NULL}, 2);
    scene_close(&scene);
}
END_TEST

START_TEST(looking_changes_nothing_on_the_disk) {
    struct scene scene;
    scene_open(&scene);
    int fd = -1;
    struct journaled journaled;
    journaled_open(&journaled, medium_on(&scene, true, &fd));
    put_text(&journaled, "x");
    journaled_commit(&journaled);
    journaled_close(&journaled);
    close(fd);
    struct stat before;
    ck_assert_int_eq(stat(scene.path, &before), 0);
    journaled_open(&journaled, medium_on(&scene, true, &fd));
    ck_assert(H5Lexists(journaled.file, "x", H5P_DEFAULT) > 0);
    journaled_close(&journaled);
    close(fd);
    struct stat after;
    ck_assert_int_eq(stat(scene.path, &after), 0);
    ck_assert_int_ne(access(scene.journal, F_OK), 0);
    ck_assert_int_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
    ck_assert_int_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    ck_assert_int_eq(before.st_size, after.st_size);
    scene_close(&scene);
}
END_TEST

START_TEST(who_may_not_write_is_told_to_recover) {
    struct scene scene;
    scene_open(&scene);
    in_a_process_that_dies(&scene, two_batches_and_a_half);
    int fd = -1;
    struct medium *medium = medium_on(&scene, false, &fd);
    struct op op;
    op_init(&op, 0, 0);
    struct shadow *shadow = NULL;
    ck_assert_int_eq(shadow_open(&op, medium, &shadow), ERR_UNAVAILABLE);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_FAILED);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "lailad hdf5 recover"));
    medium->ops->close(medium);
    close(fd);
    recover(&scene, 3);
    scene_close(&scene);
}
END_TEST

START_TEST(a_journal_of_another_file_is_refused_until_adopted) {
    struct scene scene;
    scene_open(&scene);
    in_a_process_that_dies(&scene, two_batches_and_a_half);
    int fd = -1;
    struct medium *medium = medium_on(&scene, true, &fd);
    medium->main_identity++; /* as a copy of both files would be */
    struct op op;
    op_init(&op, 0, 0);
    struct shadow *shadow = NULL;
    ck_assert_int_eq(shadow_open(&op, medium, &shadow), ERR_UNAVAILABLE);
    ck_assert_int_eq(access(scene.journal, F_OK), 0);
    struct recover_report report;
    ck_assert_int_eq(recover_inspect(&op, medium, &report), OK);
    ck_assert(report.present && !report.belongs);
    ck_assert_int_eq(recover_run(&op, medium, RECOVER_ADOPT, &report), OK);
    medium->ops->close(medium);
    close(fd);
    expect_plain(&scene, (const char *const[]){"b", "large", "large2", NULL}, 3);
    scene_close(&scene);
}
END_TEST

START_TEST(a_journal_that_somebody_holds_is_in_use) {
    struct scene scene;
    scene_open(&scene);
    in_a_process_that_dies(&scene, two_batches_and_a_half);
    int journal = open(scene.journal, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(flock(journal, LOCK_EX | LOCK_NB), 0);
    int fd = open(scene.path, O_RDWR | O_CLOEXEC);
    struct op op;
    op_init(&op, 0, 0);
    struct medium *medium = NULL;
    ck_assert_int_eq(medium_open_posix(&op, fd, scene.path, true, &medium), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_FILE_IN_USE);
    close(journal);
    close(fd);
    scene_close(&scene);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("vfd file");
    TCase *tcase = tcase_create("file");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_process_that_dies_loses_nothing_committed);
    tcase_add_test(tcase, commits_behind_a_checkpoint_are_found);
    tcase_add_test(tcase, a_clean_close_leaves_a_plain_file);
    tcase_add_test(tcase, going_back_undoes_a_batch);
    tcase_add_test(tcase, looking_changes_nothing_on_the_disk);
    tcase_add_test(tcase, who_may_not_write_is_told_to_recover);
    tcase_add_test(tcase, a_journal_of_another_file_is_refused_until_adopted);
    tcase_add_test(tcase, a_journal_that_somebody_holds_is_in_use);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
