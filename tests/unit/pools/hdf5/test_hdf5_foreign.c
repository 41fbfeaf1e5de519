/* test_hdf5_foreign.c - files that others wrote: LAILA's own and other shapes of HDF5; and where a file may be. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/h5.h"
#include "pools/settings.h"

#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct fixture fixture;

static void set_up(void) {
    fixture_open(&fixture);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

/* ---- the file LAILA wrote ---- */
static char *interop_path(const char *name) {
    const char *folder = getenv("LAILA_INTEROP");
    char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/%s", folder ? folder : "../shared/interop", name), 0);
    return path;
}

static bool copy_file(const char *from, const char *to) {
    FILE *in = fopen(from, "rb");
    if (!in) {
        return false;
    }
    FILE *out = fopen(to, "wb");
    ck_assert_ptr_nonnull(out);
    char bytes[65536];
    for (size_t count; (count = fread(bytes, 1, sizeof bytes, in)) > 0;) {
        ck_assert_uint_eq(fwrite(bytes, 1, count, out), count);
    }
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
    return true;
}

/* A copy of the fixture as the pool's file; false (and a message) where the fixtures are not. */
static bool use_laila_file(void) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    char *from = interop_path("laila_pool.h5");
    char *to = fixture_path(&fixture, "p.h5");
    bool there = copy_file(from, to);
    free(from);
    free(to);
    if (!there) {
        printf("skipped: LAILA's fixtures are not here (set LAILA_INTEROP)\n");
    }
    return there;
}

static size_t expect_laila_entries(void) {
    char *path = interop_path("laila_fixtures.json");
    json_t *fixtures = json_load_file(path, 0, NULL);
    free(path);
    ck_assert_ptr_nonnull(fixtures);
    json_t *entries = json_object_get(fixtures, "entries");
    size_t count = json_array_size(entries);
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *id = json_string_value(json_object_get(entry, "global_id"));
        const json_t *raw = json_object_get(json_object_get(entry, "hdf5"), "raw");
        struct op op;
        op_init(&op, 0, 0);
        struct id key = id_of(id);
        struct meta meta;
        ck_assert_int_eq(pool_stat(fixture.pool, &op, &key, &meta), OK);
        ck_assert_uint_eq(meta.size_bytes, json_string_length(raw));
        ck_assert_str_eq(meta.content_type, "application/json");
        ck_assert_int_eq(meta.hold, HOLD_OWNED);
        ck_assert_str_ne(meta.validator, "");
        meta_fini(&meta);
        size_t bytes = 0;
        char *body = get(fixture.pool, id, &bytes);
        ck_assert_uint_eq(bytes, json_string_length(raw));
        ck_assert_mem_eq(body, json_string_value(raw), bytes);
        free(body);
        ck_assert_int_eq(pool_stat(fixture.pool, &op, &key, &meta), OK);
        ck_assert(meta.has_sha256); /* learned by reading */
        meta_fini(&meta);
    }
    json_decref(fixtures);
    return count;
}

START_TEST(laila_files_are_served_as_they_are) {
    if (!use_laila_file()) {
        return;
    }
    static const char *const read_only[] = {"read_only=true", NULL};
    fixture_reopen(&fixture, read_only);
    size_t count = expect_laila_entries();
    ck_assert_uint_eq(count, 16);
    ck_assert_uint_eq(count_listed(fixture.pool, "LAILA:", 5), count);
}
END_TEST

static off_t size_of(const char *name) {
    char *path = fixture_path(&fixture, name);
    struct stat status;
    off_t size = stat(path, &status) == 0 ? status.st_size : -1;
    free(path);
    return size;
}

START_TEST(the_first_write_converts_a_laila_file) {
    if (!use_laila_file()) {
        return;
    }
    off_t size = size_of("p.h5");
    fixture_reopen(&fixture, NULL);
    size_t count = expect_laila_entries();
    ck_assert_int_eq(size_of("p.h5.original"), -1);
    put_text(fixture.pool, "new", "1");
    ck_assert_int_eq(size_of("p.h5.original"), size);
    ck_assert_int_eq(size_of(".p.h5.lailad-compact"), -1);
    expect_text(fixture.pool, "new", "1");
    ck_assert_uint_eq(expect_laila_entries(), count);
    fixture_reopen(&fixture, NULL);
    expect_text(fixture.pool, "new", "1");
    ck_assert_uint_eq(expect_laila_entries(), count);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), count + 1);
    struct pool_status status;
    pool_get_status(fixture.pool, &status);
    ck_assert_int_eq(status.state, POOL_OK);
}
END_TEST

/* ---- other shapes ---- */
static void write_data(hid_t file, const char *name, hid_t type, hid_t space, hid_t list, const void *data) {
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
    ck_assert_int_ge(dataset, 0);
    ck_assert_int_ge(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), 0);
    H5Dclose(dataset);
}

static void make_foreign_file(void) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    ck_assert_int_ge(file, 0);
    hsize_t ten = 10;
    hsize_t none = 0;
    hid_t scalar = H5Screate(H5S_SCALAR);
    hid_t row = H5Screate_simple(1, &ten, NULL);
    hid_t nothing = H5Screate_simple(1, &none, NULL);
    static const int16_t numbers[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    static const unsigned char octets[10] = "\0\1\2\3\4\5\6\7\x08";
    hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(chunked, 1, (const hsize_t[]){4});
    H5Pset_deflate(chunked, 6);
    write_data(file, "chunked", H5T_STD_I16LE, row, chunked, numbers);
    hid_t compact = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(compact, H5D_COMPACT);
    write_data(file, "compact", H5T_STD_U8LE, row, compact, octets);
    write_data(file, "plain", H5T_STD_I16LE, row, H5P_DEFAULT, numbers);
    write_data(file, "nothing", H5T_STD_I16LE, nothing, H5P_DEFAULT, numbers);
    hid_t padded = H5Tcopy(H5T_C_S1);
    H5Tset_size(padded, 9);
    H5Tset_strpad(padded, H5T_STR_NULLPAD);
    write_data(file, "padded", padded, scalar, H5P_DEFAULT, "text\0\0\0\0\0");
    hid_t variable = H5Tcopy(H5T_C_S1);
    H5Tset_size(variable, H5T_VARIABLE);
    const char *text = "{\"v\": 1}";
    write_data(file, "a:b", variable, scalar, H5P_DEFAULT, &text);
    const char *other = "[1]";
    write_data(file, "c%3Ad", variable, scalar, H5P_DEFAULT, &other);
    write_data(file, "c:d", variable, scalar, H5P_DEFAULT, &text); /* the same id: foreign */
    write_data(file, "%3a", variable, scalar, H5P_DEFAULT, &text);
    hsize_t two = 2;
    hid_t pair = H5Screate_simple(1, &two, NULL);
    const char *texts[2] = {"a", "b"};
    write_data(file, "texts", variable, pair, H5P_DEFAULT, texts); /* pointers: foreign */
    H5Gclose(H5Gcreate2(file, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Lcreate_soft("/plain", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    hid_t ids[] = {scalar, row, nothing, chunked, compact, padded, variable, pair, access};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        H5Idec_ref(ids[i]);
    }
    ck_assert_int_ge(H5Fclose(file), 0);
    free(path);
}

static void expect_bytes(const char *id, const void *bytes, size_t count) {
    size_t got = 0;
    char *body = get(fixture.pool, id, &got);
    ck_assert_ptr_nonnull(body);
    ck_assert_uint_eq(got, count);
    ck_assert_mem_eq(body, bytes, count);
    free(body);
}

static void expect_foreign_entries(void) {
    static const unsigned char numbers[] = {1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0};
    expect_bytes("chunked", numbers, sizeof numbers);
    expect_bytes("plain", numbers, sizeof numbers);
    expect_bytes("compact", "\0\1\2\3\4\5\6\7\x08", 10);
    expect_bytes("nothing", "", 0);
    expect_text(fixture.pool, "padded", "text");
    expect_text(fixture.pool, "c:d", "[1]");
    expect_text(fixture.pool, "%3a", "{\"v\": 1}");
    expect_absent(fixture.pool, "group");
    expect_absent(fixture.pool, "soft");
    expect_absent(fixture.pool, "texts");
    struct pool_status status;
    pool_get_status(fixture.pool, &status);
    ck_assert(status.foreign_known);
    ck_assert_uint_eq(status.foreign, 4); /* c:d under its plain name, texts, group, soft */
}

START_TEST(other_shapes_are_read_and_kept) {
    make_foreign_file();
    fixture_reopen(&fixture, NULL);
    expect_foreign_entries();
    expect_text(fixture.pool, "a:b", "{\"v\": 1}");
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), 8);
    ck_assert_int_eq(put_as(fixture.pool, "group", "x", 1, HOLD_OWNED, NULL, NULL, NULL), ERR_UNSUPPORTED);
    put_text(fixture.pool, "a:b", "2"); /* under the name it has */
    put_text(fixture.pool, "new", "3");
    uint64_t expected = 9;
    fixture_reopen(&fixture, NULL);
    expect_foreign_entries();
    expect_text(fixture.pool, "a:b", "2");
    expect_text(fixture.pool, "new", "3");
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), expected);
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    free(path);
    ck_assert_int_gt(H5Lexists(file, "a:b", H5P_DEFAULT), 0);
    ck_assert_int_eq(H5Lexists(file, "a%3Ab", H5P_DEFAULT), 0);
    ck_assert_int_gt(H5Lexists(file, "group", H5P_DEFAULT), 0);
    H5Fclose(file);
}
END_TEST

/* What cannot be written in place: a user block, and free space kept in the file. */
static void make_awkward_file(bool user_block) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t list = H5Pcreate(H5P_FILE_CREATE);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
    if (user_block) {
        H5Pset_userblock(list, 512);
    } else {
        H5Pset_file_space_strategy(list, H5F_FSPACE_STRATEGY_FSM_AGGR, true, 1);
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, list, access);
    free(path);
    ck_assert_int_ge(file, 0);
    hsize_t ten = 10;
    hid_t row = H5Screate_simple(1, &ten, NULL);
    write_data(file, "old", H5T_STD_U8LE, row, H5P_DEFAULT, "0123456789");
    hid_t note = H5Acreate2(file, "note", H5T_STD_U8LE, row, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(note, H5T_STD_U8LE, "abcdefghij");
    H5Aclose(note);
    H5Sclose(row);
    H5Pclose(list);
    H5Pclose(access);
    ck_assert_int_ge(H5Fclose(file), 0);
}

START_TEST(a_file_that_cannot_be_written_in_place_is_copied) {
    make_awkward_file(_i == 1);
    off_t size = size_of("p.h5");
    fixture_reopen(&fixture, NULL);
    expect_text(fixture.pool, "old", "0123456789");
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("old");
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, NULL, &reader), OK);
    put_text(fixture.pool, "new", "1");
    put_text(fixture.pool, "old", "2");
    char bytes[16];
    size_t count = 0;
    ck_assert_int_eq(reader_read(reader, &op, bytes, sizeof bytes, &count), OK); /* in the original */
    ck_assert_uint_eq(count, 10);
    ck_assert_mem_eq(bytes, "0123456789", 10);
    reader_close(reader);
    ck_assert_int_eq(size_of("p.h5.original"), size);
    fixture_reopen(&fixture, NULL);
    expect_text(fixture.pool, "new", "1");
    expect_text(fixture.pool, "old", "2");
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    free(path);
    ck_assert_int_gt(H5Aexists(file, "note"), 0);
    H5Fclose(file);
}
END_TEST

/* A crash in a conversion may leave the file with both names. */
START_TEST(the_original_has_its_second_name_once) {
    make_awkward_file(true);
    off_t size = size_of("p.h5");
    char *path = fixture_path(&fixture, "p.h5");
    char *kept = fixture_path(&fixture, "p.h5.original");
    ck_assert_int_eq(link(path, kept), 0);
    free(path);
    free(kept);
    fixture_reopen(&fixture, NULL);
    put_text(fixture.pool, "new", "1");
    ck_assert_int_eq(size_of("p.h5.original"), size);
    ck_assert_int_eq(size_of("p.h5.original.1"), -1);
    expect_text(fixture.pool, "old", "0123456789");
}
END_TEST

static void write_text(const char *name, const char *text) {
    char *path = fixture_path(&fixture, name);
    FILE *file = fopen(path, "wb");
    free(path);
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_conversion_touches_no_file_of_others) {
    make_awkward_file(true);
    write_text("p.h5.new", "somebody's");
    write_text(".p.h5.lailad-compact", "left by a crash, or being written");
    char *path = fixture_path(&fixture, ".p.h5.lailad-compact");
    int fd = open(path, O_RDONLY);
    free(path);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    fixture_reopen(&fixture, NULL);
    ck_assert_int_eq(put_as(fixture.pool, "new", "1", 1, HOLD_OWNED, NULL, NULL, NULL), ERR_CONFLICT);
    ck_assert_int_eq(size_of(".p.h5.lailad-compact"), 33); /* not emptied, not unlinked */
    close(fd);
    fixture_reopen(&fixture, NULL);
    put_text(fixture.pool, "new", "1");
    expect_text(fixture.pool, "old", "0123456789");
    ck_assert_int_eq(size_of("p.h5.new"), 10);
    ck_assert_int_eq(size_of(".p.h5.lailad-compact"), -1);
    static const char *const reserved[] = {"path=.q.h5.lailad-compact", NULL};
    struct op op;
    struct pool *pool = NULL;
    ck_assert_int_eq(fixture_try_open(&fixture, &op, reserved, &pool), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_CONFIG);
}
END_TEST

START_TEST(what_is_no_hdf5_file_is_refused) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    char *path = fixture_path(&fixture, "p.h5");
    FILE *file = fopen(path, "wb");
    fputs("this is a text file, and a long enough one", file);
    fclose(file);
    free(path);
    struct op op;
    ck_assert_int_eq(fixture_try_open(&fixture, &op, NULL, &fixture.pool), ERR_UNAVAILABLE);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_FAILED);
    ck_assert_str_eq(op.fault.detail, "the file is not an HDF5 file");
    static const char *const nowhere[] = {"path=no/such/dir.h5", NULL};
    ck_assert_int_eq(fixture_try_open(&fixture, &op, nowhere, &fixture.pool), ERR_UNAVAILABLE);
    ck_assert_ptr_null(strstr(op.fault.detail, "no/such"));
}
END_TEST

/* ---- the path option ---- */
static enum err see_path(void *context, const struct option *option, const char *text, uint64_t number,
                         bool flag) {
    (void)number;
    (void)flag;
    if (strcmp(option->name, "path") == 0) {
        snprintf(context, 64, "%s", text);
    }
    return OK;
}

START_TEST(paths_are_shown_without_their_folder) {
    char shown[64] = "";
    ck_assert_int_eq(settings_each(fixture.pool->settings, see_path, shown), OK);
    ck_assert_str_eq(shown, "p.h5");
    char absolute[128];
    snprintf(absolute, sizeof absolute, "path=%s/q.h5", fixture.dir);
    const char *const inside[] = {absolute, NULL};
    fixture_reopen(&fixture, inside);
    ck_assert_int_eq(settings_each(fixture.pool->settings, see_path, shown), OK);
    ck_assert_str_eq(shown, "q.h5");
    char outside_dir[] = "/tmp/lailad-hdf5-other-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(outside_dir));
    snprintf(absolute, sizeof absolute, "path=%s/r.h5", outside_dir);
    fixture_reopen(&fixture, inside);
    ck_assert_int_eq(settings_each(fixture.pool->settings, see_path, shown), OK);
    ck_assert_str_eq(shown, "r.h5");
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    ck_assert_int_eq(unlink(absolute + strlen("path=")), 0);
    ck_assert_int_eq(rmdir(outside_dir), 0);
}
END_TEST

static enum err open_over_rest(struct op *op, const char *path) {
    struct pool_environment environment = {
        .data_dir = fixture.dir, .spool_dir = fixture.spool_dir, .from_rest = true};
    op_init(op, 0, 0);
    AUTO(settings_free)
    struct settings *settings = settings_new(hdf5_pool_kind.options, hdf5_pool_kind.option_count);
    ck_assert_int_eq(settings_set_text(settings, op, "path", path), OK);
    ck_assert_int_eq(settings_finish(settings, op), OK);
    struct pool *pool = NULL;
    enum err err = hdf5_pool_kind.open(op, &environment, "q", settings, &pool);
    if (!err) {
        (void)STEAL(settings);
        ck_assert_str_eq(settings_text(pool->settings, "path"), path);
        pool_unref(pool);
    }
    return err;
}

static void make_link(const char *to, const char *name) {
    char *path = fixture_path(&fixture, name);
    ck_assert_int_eq(symlink(to, path), 0);
    free(path);
}

START_TEST(links_do_not_lead_rest_pools_out_of_the_data_directory) {
    char outside[] = "/tmp/lailad-outside-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(outside));
    char target[64];
    snprintf(target, sizeof target, "%s/x.h5", outside);
    char *inner = fixture_path(&fixture, "inner");
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    make_link(outside, "out");
    make_link("..", "up");
    make_link("inner", "in");
    make_link(target, "absent.h5"); /* opening would make the file */
    make_link("inner/x.h5", "near.h5");
    static const char *const refused[] = {"out/x.h5", "up/x.h5", "in/../out/x.h5", "absent.h5", "near.h5"};
    struct op op;
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        ck_assert_msg(open_over_rest(&op, refused[i]) == ERR_INVALID, "%s", refused[i]);
        ck_assert_int_eq(op.fault.reason, REASON_INVALID_CONFIG);
        ck_assert_ptr_null(strstr(op.fault.detail, "/tmp"));
    }
    ck_assert_int_eq(access(target, F_OK), -1);
    ck_assert_int_eq(open_over_rest(&op, "no/such/x.h5"), ERR_UNAVAILABLE);
    ck_assert_int_eq(open_over_rest(&op, "in/x.h5"), OK); /* stays below */
    ck_assert_int_gt(size_of("inner/x.h5"), 0);
    static const char *const made[] = {"out", "up", "in", "absent.h5", "near.h5", "inner/x.h5"};
    for (size_t i = 0; i < ARRAY_COUNT(made); i++) {
        char *path = fixture_path(&fixture, made[i]);
        ck_assert_int_eq(unlink(path), 0);
        free(path);
    }
    ck_assert_int_eq(rmdir(inner), 0);
    ck_assert_int_eq(rmdir(outside), 0);
    free(inner);
}
END_TEST

START_TEST(rest_pools_stay_below_the_data_directory) {
    static const char *const refused[] = {"/tmp/x.h5", "../x.h5", "a/../x.h5", "a/..",    "..",  "state.key",
                                          "state.db",  "lock",    "listen",    "spool/x", ".h5", ".x.h5",
                                          "a/.x.h5",   ".a/x.h5", "x.h5/",     "x.h5 ",   "x.H5"};
    struct pool_environment environment = {
        .data_dir = fixture.dir, .spool_dir = fixture.spool_dir, .from_rest = true};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        struct op op;
        op_init(&op, 0, 0);
        AUTO(settings_free)
        struct settings *settings = settings_new(hdf5_pool_kind.options, hdf5_pool_kind.option_count);
        ck_assert_int_eq(settings_set_text(settings, &op, "path", refused[i]), OK);
        ck_assert_int_eq(settings_finish(settings, &op), OK);
        struct pool *pool = NULL;
        ck_assert_int_eq(hdf5_pool_kind.open(&op, &environment, "q", settings, &pool), ERR_INVALID);
        ck_assert_int_eq(op.fault.reason, REASON_INVALID_CONFIG);
    }
    ck_assert_int_eq(size_of("state.key"), -1);
    static const char *const allowed[] = {"x.h5", "own name.hdf5", "a..b.h5"};
    for (size_t i = 0; i < ARRAY_COUNT(allowed); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct settings *settings = settings_new(hdf5_pool_kind.options, hdf5_pool_kind.option_count);
        ck_assert_int_eq(settings_set_text(settings, &op, "path", allowed[i]), OK);
        ck_assert_int_eq(settings_finish(settings, &op), OK);
        struct pool *pool = NULL;
        ck_assert_int_eq(hdf5_pool_kind.open(&op, &environment, "q", settings, &pool), OK);
        ck_assert_int_gt(size_of(allowed[i]), 0);
        pool_unref(pool);
    }
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 foreign");
    TCase *tcase = tcase_create("foreign");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, laila_files_are_served_as_they_are);
    tcase_add_test(tcase, the_first_write_converts_a_laila_file);
    tcase_add_test(tcase, other_shapes_are_read_and_kept);
    tcase_add_loop_test(tcase, a_file_that_cannot_be_written_in_place_is_copied, 0, 2);
    tcase_add_test(tcase, the_original_has_its_second_name_once);
    tcase_add_test(tcase, a_conversion_touches_no_file_of_others);
    tcase_add_test(tcase, what_is_no_hdf5_file_is_refused);
    tcase_add_test(tcase, paths_are_shown_without_their_folder);
    tcase_add_test(tcase, rest_pools_stay_below_the_data_directory);
    tcase_add_test(tcase, links_do_not_lead_rest_pools_out_of_the_data_directory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
