/* test_hdf5_changed.c - our own file after somebody else changed or damaged it. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/h5.h"
#include "pools/hdf5/vfd/shadow.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fixture fixture;

static void set_up(void) {
    fixture_open(&fixture);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

/* Replaces one text by another of the same length in the file. */
static void change_file(const char *from, const char *to, bool keep_time) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    char *path = fixture_path(&fixture, "p.h5");
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    int fd = open(path, O_RDWR);
    free(path);
    char *bytes = malloc((size_t)status.st_size);
    ck_assert_int_eq(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
    char *found = memmem(bytes, (size_t)status.st_size, from, strlen(from));
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(pwrite(fd, to, strlen(to), found - bytes), (ssize_t)strlen(to));
    if (keep_time) {
        const struct timespec times[2] = {status.st_atim, status.st_mtim};
        ck_assert_int_eq(futimens(fd, times), 0);
    }
    free(bytes);
    close(fd);
}

static enum err stat_of(const char *name) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(name);
    struct meta meta;
    enum err err = pool_peek_meta(fixture.pool, &id, &meta);
    if (err == ERR_AGAIN) {
        err = pool_stat(fixture.pool, &op, &id, &meta);
    }
    if (!err) {
        meta_fini(&meta);
    }
    return err;
}

START_TEST(damage_is_found) {
    put_text(fixture.pool, "own", "an owned text");
    put_cached(fixture.pool, "copy", "a cached text");
    change_file("an owned", "am owned", true);
    change_file("a cached", "b cached", true);
    fixture_reopen(&fixture, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct id own = id_of("own");
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &own, NULL, &reader), ERR_CORRUPT);
    ck_assert_int_eq(op.fault.reason, REASON_CORRUPT);
    ck_assert_int_eq(stat_of("own"), ERR_CORRUPT); /* now that it is known */
    expect_absent(fixture.pool, "copy");
    ck_assert_uint_eq(count_listed(fixture.pool, "", 10), 1); /* the copy is dropped, the owned one is kept */
    put_text(fixture.pool, "own", "healed");
    expect_text(fixture.pool, "own", "healed");
}
END_TEST

/* The header of an entry's object is overwritten. */
static void damage_header(const char *name) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    H5L_info_t info;
    ck_assert_int_ge(H5Lget_info(file, name, &info, H5P_DEFAULT), 0);
    H5Fclose(file);
    int fd = open(path, O_RDWR);
    free(path);
    ck_assert_int_eq(pwrite(fd, "damaged", 7, (off_t)info.u.address + 4), 7);
    close(fd);
}

static void put_ten(void) {
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "e%d", i);
        put_text(fixture.pool, id, "an owned text");
    }
}

START_TEST(an_unreadable_entry_can_be_replaced_and_removed) {
    put_ten();
    damage_header("e3");
    damage_header("e5");
    fixture_reopen(&fixture, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct id replaced = id_of("e3");
    struct id removed = id_of("e5");
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &replaced, NULL, &reader), ERR_CORRUPT);
    struct condition match = {.kind = CONDITION_MATCH};
    bool existed = false;
    ck_assert_int_eq(pool_remove(fixture.pool, &op, &removed, &match, &existed), ERR_CORRUPT);
    put_text(fixture.pool, "e3", "healed");
    ck_assert_int_eq(pool_remove(fixture.pool, &op, &removed, NULL, &existed), OK);
    ck_assert(existed);
    for (int round = 0; round < 2; round++) {
        expect_text(fixture.pool, "e3", "healed");
        expect_absent(fixture.pool, "e5");
        expect_text(fixture.pool, "e2", "an owned text");
        expect_text(fixture.pool, "e9", "an owned text");
        ck_assert_uint_eq(count_listed(fixture.pool, "", 100), 9);
        fixture_reopen(&fixture, NULL);
    }
}
END_TEST

START_TEST(an_unreadable_entry_does_not_stop_emptying) {
    put_ten();
    damage_header("e3");
    fixture_reopen(&fixture, NULL);
    struct op op;
    op_init(&op, 0, 0);
    uint64_t removed = 0;
    ck_assert_msg(pool_empty(fixture.pool, &op, &removed) == OK, "%s", op.fault.detail);
    ck_assert_uint_eq(removed, 10);
    fixture_reopen(&fixture, NULL);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 100), 0);
    put_text(fixture.pool, "e3", "again");
    expect_text(fixture.pool, "e3", "again");
}
END_TEST

/* 2 MB that hold the text, stored as `hold`, and then damaged. */
static void damage_long(enum hold hold, const char *const *pairs) {
    size_t bytes = 2 * 1000 * 1000;
    char *body = malloc(bytes);
    memset(body, 'x', bytes);
    memcpy(body + bytes - 100, "an owned text", 13);
    ck_assert_int_eq(put_as(fixture.pool, "long", body, bytes, hold, NULL, NULL, NULL), OK);
    free(body);
    change_file("an owned", "am owned", true);
    fixture_reopen(&fixture, pairs);
}

/* Reads what the options ask for; *ret_bytes is how much there was before the end or the failure. */
static enum err read_long(const struct read_options *options, size_t *ret_bytes) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("long");
    AUTO(reader_close) struct reader *reader = NULL;
    enum err err = pool_open_reader(fixture.pool, &op, &id, options, &reader);
    char piece[65536];
    *ret_bytes = 0;
    for (size_t count = 1; !err && count; *ret_bytes += count) {
        count = 0;
        err = reader_read(reader, &op, piece, sizeof piece, &count);
    }
    return err;
}

START_TEST(damage_in_a_long_body_is_found_while_it_streams) {
    damage_long(HOLD_OWNED, NULL);
    struct read_options part = {.offset = 1000, .length = 10};
    size_t bytes = 0;
    ck_assert_int_eq(stat_of("long"), OK);
    ck_assert_int_eq(read_long(&part, &bytes), OK);
    ck_assert_int_eq(read_long(NULL, &bytes), ERR_CORRUPT);
    ck_assert_uint_gt(bytes, 0);
    ck_assert_uint_lt(bytes, 2 * 1000 * 1000);
    /* Nobody has to find it again. */
    ck_assert_int_eq(read_long(NULL, &bytes), ERR_CORRUPT);
    ck_assert_uint_eq(bytes, 0);
    ck_assert_int_eq(read_long(&part, &bytes), ERR_CORRUPT);
    ck_assert_int_eq(stat_of("long"), ERR_CORRUPT);
    put_text(fixture.pool, "long", "healed");
    ck_assert_int_eq(stat_of("long"), OK);
    expect_text(fixture.pool, "long", "healed");
}
END_TEST

START_TEST(a_damaged_long_copy_is_absent_afterwards) {
    damage_long(HOLD_CACHED, NULL);
    size_t bytes = 0;
    ck_assert_int_eq(read_long(NULL, &bytes), ERR_CORRUPT);
    ck_assert_int_eq(read_long(NULL, &bytes), ERR_NOT_FOUND);
    ck_assert_int_eq(stat_of("long"), ERR_NOT_FOUND);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 10), 0);
}
END_TEST

START_TEST(so_is_one_that_cannot_be_removed) {
    static const char *const read_only[] = {"read_only=true", NULL};
    damage_long(HOLD_CACHED, read_only);
    size_t bytes = 0;
    ck_assert_int_eq(read_long(NULL, &bytes), ERR_CORRUPT);
    ck_assert_int_eq(read_long(NULL, &bytes), ERR_NOT_FOUND);
    ck_assert_int_eq(stat_of("long"), ERR_NOT_FOUND);
}
END_TEST

START_TEST(what_another_writer_changed_is_digested_again) {
    put_text(fixture.pool, "own", "an owned text");
    put_text(fixture.pool, "own2", "another text");
    change_file("an owned", "am owned", false);
    for (int round = 0; round < 2; round++) {
        fixture_reopen(&fixture, NULL);
        expect_text(fixture.pool, "own", "am owned text");
        struct op op;
        op_init(&op, 0, 0);
        struct id id = id_of("own");
        struct meta meta;
        uint8_t sha256[SHA256_BYTES];
        digest_sha256("am owned text", 13, sha256);
        ck_assert_int_eq(pool_stat(fixture.pool, &op, &id, &meta), OK);
        ck_assert_mem_eq(meta.sha256, sha256, SHA256_BYTES);
        meta_fini(&meta);
    }
    /* own2 was not read since: the file is still taken for mixed, so its change is no damage either. */
    change_file("another text", "anothes text", true);
    fixture_reopen(&fixture, NULL);
    expect_text(fixture.pool, "own2", "anothes text");
    expect_text(fixture.pool, "own", "am owned text");
    /* Everything has been compared: from now on the file is ours alone again. */
    change_file("am owned", "an owned", true);
    fixture_reopen(&fixture, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("own");
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, NULL, &reader), ERR_CORRUPT);
}
END_TEST

/* ---- kills at awkward moments ---- */
static enum { AT_NO_MOMENT, BEFORE_THE_TIME_IS_SET, AFTER_A_BODY } dies;

static void die_at(int moment) {
    if ((int)dies == moment) {
        (void)raise(SIGKILL);
    }
}

int __real_futimens(int fd, const struct timespec times[2]);
int __wrap_futimens(int fd, const struct timespec times[2]);
int __wrap_futimens(int fd, const struct timespec times[2]) {
    die_at(BEFORE_THE_TIME_IS_SET);
    return __real_futimens(fd, times);
}

enum err __real_shadow_write_body(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                                  size_t count);
enum err __wrap_shadow_write_body(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                                  size_t count);
enum err __wrap_shadow_write_body(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                                  size_t count) {
    enum err err = __real_shadow_write_body(shadow, op, offset, bytes, count);
    die_at(AFTER_A_BODY);
    return err;
}

/* A process opens the pool, writes and closes it, and is killed meanwhile. */
static void be_killed(int moment) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dies = moment;
        fixture_reopen(&fixture, NULL);
        (void)put_as(fixture.pool, "other", "another text", 12, HOLD_OWNED, NULL, NULL, NULL);
        pool_unref(fixture.pool);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
}

/* Nobody else wrote, whatever the file's time is: what does not match is damage, and stays that. */
static void expect_damage_after_a_kill(int moment) {
    put_text(fixture.pool, "own", "an owned text");
    be_killed(moment);
    change_file("an owned", "am owned", true);
    for (int round = 0; round < 2; round++) {
        fixture_reopen(&fixture, NULL);
        struct op op;
        op_init(&op, 0, 0);
        struct id id = id_of("own");
        struct reader *reader = NULL;
        ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, NULL, &reader), ERR_CORRUPT);
    }
}

START_TEST(a_kill_while_the_file_is_closed_does_not_look_like_another_writer) {
    expect_damage_after_a_kill(BEFORE_THE_TIME_IS_SET);
}
END_TEST

START_TEST(a_kill_at_the_first_write_does_not_look_like_another_writer) {
    expect_damage_after_a_kill(AFTER_A_BODY);
}
END_TEST

static void expect_tag_of(const char *id, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct id key = id_of(id);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(text, strlen(text), sha256);
    struct meta meta;
    ck_assert_int_eq(pool_stat(fixture.pool, &op, &key, &meta), OK);
    ck_assert(meta.has_sha256);
    ck_assert_mem_eq(meta.sha256, sha256, SHA256_BYTES);
    meta_fini(&meta);
}

static struct condition match_text(const char *text) {
    struct meta meta;
    meta_init(&meta);
    meta.has_sha256 = true;
    digest_sha256(text, strlen(text), meta.sha256);
    struct condition condition = {.kind = CONDITION_MATCH, .count = 1};
    meta_etag(&meta, condition.tag[0]);
    return condition;
}

START_TEST(a_stale_digest_is_neither_told_nor_accepted) {
    put_text(fixture.pool, "told", "an owned text");
    put_text(fixture.pool, "put", "one more text");
    put_text(fixture.pool, "removed", "the last text");
    change_file("an owned", "am owned", false);
    change_file("one more", "one mote", false);
    change_file("the last", "the lost", false);
    fixture_reopen(&fixture, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct id told = id_of("told");
    struct id removed = id_of("removed");
    struct meta meta;
    ck_assert_int_eq(pool_peek_meta(fixture.pool, &told, &meta), ERR_AGAIN);
    expect_tag_of("told", "am owned text");
    ck_assert_int_eq(pool_peek_meta(fixture.pool, &told, &meta), OK);
    meta_fini(&meta);
    struct condition stale = match_text("one more text");
    struct condition right = match_text("one mote text");
    ck_assert_int_eq(put_as(fixture.pool, "put", "2", 1, HOLD_OWNED, NULL, &stale, NULL), ERR_PRECONDITION);
    ck_assert_int_eq(put_as(fixture.pool, "put", "2", 1, HOLD_OWNED, NULL, &right, NULL), OK);
    stale = match_text("the last text");
    right = match_text("the lost text");
    bool existed = false;
    ck_assert_int_eq(pool_remove(fixture.pool, &op, &removed, &stale, &existed), ERR_PRECONDITION);
    ck_assert_int_eq(pool_remove(fixture.pool, &op, &removed, &right, &existed), OK);
    ck_assert(existed);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 changed");
    TCase *tcase = tcase_create("changed");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, damage_is_found);
    tcase_add_test(tcase, an_unreadable_entry_can_be_replaced_and_removed);
    tcase_add_test(tcase, an_unreadable_entry_does_not_stop_emptying);
    tcase_add_test(tcase, damage_in_a_long_body_is_found_while_it_streams);
    tcase_add_test(tcase, a_damaged_long_copy_is_absent_afterwards);
    tcase_add_test(tcase, so_is_one_that_cannot_be_removed);
    tcase_add_test(tcase, what_another_writer_changed_is_digested_again);
    tcase_add_test(tcase, a_kill_while_the_file_is_closed_does_not_look_like_another_writer);
    tcase_add_test(tcase, a_kill_at_the_first_write_does_not_look_like_another_writer);
    tcase_add_test(tcase, a_stale_digest_is_neither_told_nor_accepted);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
