/* test_hdf5_copies.c - what a copy of the file must be before it is trusted, and what goes over into it: by the calls that can fail at its
 * end (the linker's --wrap), its permissions, what was known of its entries, and that nothing keeps the old file. */
#include "compact_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/h5.h"
#include "pools/hdf5_tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- calls that fail ---- */
static bool copy_close_fails, name_sync_fails;
static int copy_syncs_to_pass =
    -1;                     /* before they fail: its first makes an empty file of it; -1 = none fails */
static atomic_bool renamed; /* the copy has taken its path, and the name has not been synced since */

static bool is_copy(const char *path) {
    return strstr(path, COPY_NAME) || strstr(path, "out.h5");
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
    char name[64];
    char path[256] = "";
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(name, path, sizeof path - 1);
    bool counts = bytes > 0 && copy_syncs_to_pass >= 0 && is_copy(path);
    bool fails = counts && copy_syncs_to_pass == 0;
    copy_syncs_to_pass -= counts && !fails;
    fails = fails || (name_sync_fails && atomic_exchange(&renamed, false));
    if (fails) {
        errno = EIO;
        return -1;
    }
    return __real_fsync(fd);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to) {
    int result = __real_rename(from, to);
    if (result == 0 && is_copy(from)) {
        atomic_store(&renamed, true);
    }
    return result;
}

herr_t __real_H5Fclose(hid_t file);
herr_t __wrap_H5Fclose(hid_t file);
herr_t __wrap_H5Fclose(hid_t file) {
    herr_t result = __real_H5Fclose(file);
    return copy_close_fails ? -1 : result;
}

static void compact_in_vain(void) {
    ck_assert_int_eq(ask(UPKEEP_START), OK);
    (void)await(UPKEEP_ERROR);
    ck_assert_int_eq(size_of(COPY_NAME), -1);
}

static void export_in_vain(void) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    struct op op;
    op_init(&op, 0, 0);
    char *path = fixture_path(&fixture, "p.h5");
    char *out = fixture_path(&fixture, "out.h5");
    uint64_t entries = 0;
    ck_assert_int_ne(hdf5_tool_export(&op, path, out, &entries), OK);
    ck_assert_int_eq(size_of("out.h5"), -1);
    free(path);
    free(out);
}

START_TEST(a_copy_that_cannot_be_synced_is_not_trusted) {
    put_shapes();
    copy_syncs_to_pass = 1;
    compact_in_vain();
    ck_assert_int_eq(copy_syncs_to_pass, 0);
    expect_shapes();
    copy_syncs_to_pass = 1;
    export_in_vain();
    ck_assert_int_eq(copy_syncs_to_pass, 0);
    copy_syncs_to_pass = -1;
    fixture_reopen(&fixture, NULL);
    compact();
    expect_shapes();
}
END_TEST

START_TEST(a_copy_that_cannot_be_closed_is_not_trusted) {
    put_shapes();
    copy_close_fails = true;
    compact_in_vain();
    expect_shapes();
    export_in_vain();
    copy_close_fails = false;
    fixture_reopen(&fixture, NULL);
    compact();
    expect_shapes();
}
END_TEST

/* A power cut might give the old file back: nothing is acknowledged any more that would be lost with it. */
START_TEST(a_name_that_cannot_be_synced_poisons) {
    put_shapes();
    atomic_store(&renamed, false);
    name_sync_fails = true;
    compact();
    name_sync_fails = false;
    ck_assert(!atomic_load(&renamed));
    ck_assert_int_eq(put_as(fixture.pool, "next", "1", 1, HOLD_OWNED, NULL, NULL, NULL), ERR_BUSY);
    expect_shape_bodies();
    fixture_reopen(&fixture, NULL);
    expect_shapes();
    put_text(fixture.pool, "next", "again");
}
END_TEST

/* ---- what goes over ---- */
static struct stat status_of(const char *name) {
    char *path = fixture_path(&fixture, name);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    free(path);
    return status;
}

static void expect_owner(const char *name, const struct stat *before) {
    struct stat status = status_of(name);
    ck_assert_uint_ne(status.st_ino, before->st_ino);
    ck_assert_uint_eq(status.st_mode, before->st_mode);
    ck_assert_uint_eq(status.st_uid, before->st_uid);
    ck_assert_uint_eq(status.st_gid, before->st_gid);
}

START_TEST(a_copy_may_be_read_by_whom_the_file_may) {
    put_shapes();
    char *path = fixture_path(&fixture, "p.h5");
    char *out = fixture_path(&fixture, "out.h5");
    ck_assert_int_eq(chmod(path, 0640), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 4711, 4712), 0);
    }
    struct stat before = status_of("p.h5");
    compact();
    expect_owner("p.h5", &before);
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    before = status_of("p.h5");
    struct op op;
    op_init(&op, 0, 0);
    uint64_t entries = 0;
    ck_assert_int_eq(hdf5_tool_export(&op, path, out, &entries), OK);
    expect_owner("out.h5", &before);
    free(path);
    free(out);
}
END_TEST

static void damage(const char *found, size_t bytes) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    struct stat status = status_of("p.h5");
    char *path = fixture_path(&fixture, "p.h5");
    int fd = open(path, O_RDWR);
    free(path);
    char *content = malloc((size_t)status.st_size);
    ck_assert_int_eq(pread(fd, content, (size_t)status.st_size, 0), status.st_size);
    const char *at = memmem(content, (size_t)status.st_size, found, bytes);
    ck_assert_ptr_nonnull(at);
    ck_assert_int_eq(pwrite(fd, "damage", 6, at - content), 6);
    const struct timespec times[2] = {status.st_atim, status.st_mtim};
    ck_assert_int_eq(futimens(fd, times), 0);
    close(fd);
    free(content);
}

static enum err open_part(const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(text);
    const struct read_options part = {.offset = 2 * MIB, .length = 100};
    struct reader *reader = NULL;
    enum err err = pool_open_reader(fixture.pool, &op, &id, &part, &reader);
    if (!err) {
        reader_close(reader);
    }
    return err;
}

/* A part of a large body is not compared with a digest: only the mark keeps it from being served. */
START_TEST(what_is_quarantined_stays_so_in_the_copy) {
    char *body = make_body(3 * MIB, 3);
    put_made("damaged", 3 * MIB, 3, HOLD_OWNED);
    put_made("sound", 3 * MIB, 5, HOLD_OWNED);
    damage(body + MIB, 100);
    free(body);
    fixture_reopen(&fixture, NULL);
    ck_assert_int_eq(open_part("damaged"), OK); /* nobody knows yet */
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(pool_upkeep(fixture.pool, &op, UPKEEP_SCRUB, UPKEEP_START), OK);
    struct upkeep_status status;
    do {
        ck_assert_int_eq(pool_get_upkeep(fixture.pool, &op, UPKEEP_SCRUB, &status), OK);
        upkeep_status_fini(&status);
    } while (status.state == UPKEEP_RUNNING);
    ck_assert_uint_eq(status.corrupt, 1);
    ck_assert_int_eq(open_part("damaged"), ERR_CORRUPT);
    compact();
    ck_assert_int_eq(open_part("damaged"), ERR_CORRUPT);
    ck_assert_int_eq(open_part("sound"), OK);
    put_made("damaged", 3 * MIB, 7, HOLD_OWNED);
    ck_assert_int_eq(open_part("damaged"), OK);
}
END_TEST

/* ---- what does not stay ---- */
static unsigned count_deleted_maps(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    unsigned count = 0;
    while (fgets(line, sizeof line, maps)) {
        count += strstr(line, "p.h5 (deleted)") != NULL;
    }
    ck_assert_int_eq(fclose(maps), 0);
    return count;
}

static unsigned count_deleted_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[512] = "";
        if (readlinkat(dirfd(dir), entry->d_name, path, sizeof path - 1) > 0) {
            count += strstr(path, "p.h5 (deleted)") != NULL;
        }
    }
    closedir(dir);
    return count;
}

static struct reader *open_mapped(const char *text, const void **ret_bytes) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(text);
    const struct read_options whole = {.length = UINT64_MAX};
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, &whole, &reader), OK);
    ck_assert_int_eq(reader_map(reader, (size_t)reader->meta.size_bytes, ret_bytes), OK);
    return reader;
}

/* Its blocks are not free on the disk before the last descriptor and the last mapping have gone. */
START_TEST(nothing_keeps_the_old_file_once_its_readers_have_gone) {
    put_made("large", 3 * MIB, 3, HOLD_OWNED);
    put_made("small", 1000, 5, HOLD_OWNED);
    expect_made("large", 3 * MIB, 3);
    expect_made("small", 1000, 5); /* hot, from the old file */
    const void *bytes = NULL;
    struct reader *reader = open_mapped("large", &bytes);
    compact();
    ck_assert_uint_gt(count_deleted_maps(), 0);
    char *body = make_body(3 * MIB, 3);
    ck_assert_mem_eq(bytes, body, 3 * MIB);
    free(body);
    reader_close(reader);
    ck_assert_uint_eq(count_deleted_maps(), 0);
    ck_assert_uint_eq(count_deleted_descriptors(), 0);
    expect_made("large", 3 * MIB, 3);
    reader_close(open_mapped("large", &bytes)); /* stays for the next reader */
    compact();
    ck_assert_uint_eq(count_deleted_maps(), 0);
    ck_assert_uint_eq(count_deleted_descriptors(), 0);
    expect_made("large", 3 * MIB, 3);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 copies");
    TCase *tcase = new_case(suite, "calls that fail");
    tcase_add_test(tcase, a_copy_that_cannot_be_synced_is_not_trusted);
    tcase_add_test(tcase, a_copy_that_cannot_be_closed_is_not_trusted);
    tcase_add_test(tcase, a_name_that_cannot_be_synced_poisons);
    tcase = new_case(suite, "what goes over");
    tcase_add_test(tcase, a_copy_may_be_read_by_whom_the_file_may);
    tcase_add_test(tcase, what_is_quarantined_stays_so_in_the_copy);
    tcase = new_case(suite, "what does not stay");
    tcase_add_test(tcase, nothing_keeps_the_old_file_once_its_readers_have_gone);
    return run_suite(suite);
}
