/* test_state.c - what is remembered between runs, and what is refused. */
#include "pools/base/hash.h"
#include "pools/state.h"

#include <check.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];
static struct op op;

static void setup(void) {
    snprintf(dir, sizeof dir, "%s", "/tmp/lailad-state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    op_init(&op, 0, 0);
}

static const char *path_of(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void teardown(void) {
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm", "state.key", "lock"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        unlink(path_of(names[i]));
    }
    rmdir(dir);
}

static struct state *open_state(void) {
    struct state *state = NULL;
    ck_assert_msg(state_open(&op, dir, &state) == OK, "%s", op.fault.detail);
    return state;
}

static void expect_fail(enum err expected, const char *says) {
    struct state *state = NULL;
    ck_assert_int_eq(state_open(&op, dir, &state), expected);
    ck_assert_ptr_null(state);
    ck_assert_msg(strstr(op.fault.detail, says) != NULL, "%s", op.fault.detail);
    ck_assert_ptr_null(strstr(op.fault.detail, dir));
}

struct seen {
    char text[1024];
};

static enum err see(void *context, struct op *visit_op, const char *nickname, const char *kind,
                    const struct state_option *options, size_t count) {
    (void)visit_op;
    struct seen *seen = context;
    size_t used = strlen(seen->text);
    used += (size_t)snprintf(seen->text + used, sizeof seen->text - used, "%s:%s", nickname, kind);
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(seen->text + used, sizeof seen->text - used, " %s%s=%s", options[i].name,
                                 options[i].sealed ? "!" : "", options[i].text ? options[i].text : "(lost)");
    }
    snprintf(seen->text + used, sizeof seen->text - used, ";");
    return OK;
}

static void expect_pools(struct state *state, const char *expected) {
    struct seen seen = {{0}};
    ck_assert_int_eq(state_each_pool(state, &op, see, &seen), OK);
    ck_assert_str_eq(seen.text, expected);
}

static const struct state_option s3_options[] = {
    {"bucket", "b", false}, {"key", "TOP-SECRET-VALUE", true}, {"prefix", "", false}};

START_TEST(pools_survive_reopening) {
    struct state *state = open_state();
    expect_pools(state, "");
    ck_assert_int_eq(state_put_pool(state, &op, "s3", "s3", s3_options, 3), OK);
    ck_assert_int_eq(state_put_pool(state, &op, "mem", "memory", NULL, 0), OK);
    state_close(state);
    state = open_state();
    expect_pools(state, "mem:memory;s3:s3 bucket=b key!=TOP-SECRET-VALUE prefix=;");
    ck_assert_int_eq(state_put_pool(state, &op, "s3", "gcs", s3_options, 1), OK); /* replaces */
    const struct state_wiring none = {0};
    ck_assert_int_eq(state_save_wiring(state, &op, &none, "mem"), OK);
    ck_assert_int_eq(state_save_wiring(state, &op, &none, "never"), OK);
    state_close(state);
    state = open_state();
    expect_pools(state, "s3:gcs bucket=b;");
    state_close(state);
}
END_TEST

static bool file_holds(const char *name, const char *needle) {
    int fd = open(path_of(name), O_RDONLY);
    if (fd < 0) {
        return false;
    }
    static char bytes[1 << 20];
    ssize_t count = read(fd, bytes, sizeof bytes);
    close(fd);
    return count > 0 && memmem(bytes, (size_t)count, needle, strlen(needle));
}

START_TEST(a_sealed_secret_is_not_in_the_files) {
    struct state *state = open_state();
    ck_assert_int_eq(access(path_of("state.key"), F_OK), -1); /* made at first need */
    ck_assert_int_eq(state_put_pool(state, &op, "s3", "s3", s3_options, 3), OK);
    ck_assert(file_holds("state.db-wal", "bucket")); /* we look at the right files */
    ck_assert(!file_holds("state.db-wal", "TOP-SECRET"));
    state_close(state);
    ck_assert(file_holds("state.db", "bucket"));
    ck_assert(!file_holds("state.db", "TOP-SECRET"));
    struct stat status;
    ck_assert_int_eq(stat(path_of("state.key"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
    ck_assert_int_eq(status.st_size, 32);
    ck_assert_int_eq(stat(path_of("state.db"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_lost_key_loses_the_secrets_only) {
    struct state *state = open_state();
    ck_assert_int_eq(state_put_pool(state, &op, "s3", "s3", s3_options, 3), OK);
    state_close(state);
    unlink(path_of("state.key"));
    state = open_state();
    expect_pools(state, "s3:s3 bucket=b key!=(lost) prefix=;");
    /* A new secret makes a new key; the old secret stays lost. */
    const struct state_option other = {"key", "other", true};
    ck_assert_int_eq(state_put_pool(state, &op, "t3", "s3", &other, 1), OK);
    state_close(state);
    state = open_state();
    expect_pools(state, "s3:s3 bucket=b key!=(lost) prefix=;t3:s3 key!=other;");
    state_close(state);
}
END_TEST

static void expect_key_refused(const char *word) {
    struct state *state = open_state();
    expect_pools(state, "s3:s3 bucket=b key!=(lost) prefix=;");
    const struct state_option other = {"key", "other", true};
    ck_assert_int_eq(state_put_pool(state, &op, "t3", "s3", &other, 1), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, word));
    state_close(state);
}

START_TEST(a_key_that_is_no_secret_is_refused) {
    struct state *state = open_state();
    ck_assert_int_eq(state_put_pool(state, &op, "s3", "s3", s3_options, 3), OK);
    state_close(state);
    const char *path = path_of("state.key");
    ck_assert_int_eq(chmod(path, 0640), 0);
    expect_key_refused("0600");
    path = path_of("state.key");
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(truncate(path, 33), 0);
    expect_key_refused("exactly 32 bytes");
    path = path_of("state.key");
    ck_assert_int_eq(truncate(path, 31), 0);
    expect_key_refused("exactly 32 bytes");
}
END_TEST

START_TEST(the_wiring_survives_reopening) {
    struct state *state = open_state();
    struct state_wiring loaded = {0};
    ck_assert_int_eq(state_load_wiring(state, &op, &loaded), OK);
    ck_assert_ptr_null(loaded.chain_text);
    ck_assert_uint_eq(loaded.count, 0);
    struct state_link links[] = {
        {.pool = "hdf5", .origin = "s3", .fail_on_tier_error = true, .generation = 7},
        {.pool = "alpha", .origin = "hdf5", .generation = UINT64_C(1) << 40},
        {.pool = "beta", .origin = "", .generation = 3}};
    char chain_text[] = "alpha << hdf5";
    struct state_wiring wiring = {.links = links, .count = 3, .generation = 9, .chain_text = chain_text};
    ck_assert_int_eq(state_save_wiring(state, &op, &wiring, NULL), OK);
    state_close(state);
    state = open_state();
    ck_assert_int_eq(state_load_wiring(state, &op, &loaded), OK);
    ck_assert_uint_eq(loaded.count, 3);
    ck_assert_uint_eq(loaded.generation, 9);
    ck_assert_str_eq(loaded.chain_text, chain_text);
    ck_assert_str_eq(loaded.links[0].pool, "alpha"); /* sorted */
    ck_assert_uint_eq(loaded.links[0].generation, UINT64_C(1) << 40);
    ck_assert_str_eq(loaded.links[1].pool, "beta");
    ck_assert_str_eq(loaded.links[1].origin, "");
    ck_assert_str_eq(loaded.links[2].origin, "s3");
    ck_assert(loaded.links[2].fail_on_tier_error && !loaded.links[0].fail_on_tier_error);
    free(loaded.links);
    free(loaded.chain_text);
    wiring.count = 1; /* the whole of it: what is not named is gone */
    ck_assert_int_eq(state_save_wiring(state, &op, &wiring, NULL), OK);
    ck_assert_int_eq(state_load_wiring(state, &op, &loaded), OK);
    ck_assert_uint_eq(loaded.count, 1);
    free(loaded.links);
    free(loaded.chain_text);
    state_close(state);
}
END_TEST

START_TEST(one_daemon_per_directory) {
    struct state *state = open_state();
    expect_fail(ERR_CONFLICT, "another lailad is running on this data directory");
    state_close(state);
    state_close(open_state());
}
END_TEST

static void write_file(const char *name, const char *bytes, size_t count, off_t at) {
    int fd = open(path_of(name), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, count, at), (ssize_t)count);
    close(fd);
}

START_TEST(a_damaged_database_is_named) {
    char noise[8192];
    memset(noise, 0x5a, sizeof noise);
    write_file("state.db", noise, sizeof noise, 0);
    expect_fail(ERR_CORRUPT, "state.db in the data directory is damaged");
    unlink(path_of("state.db"));
    /* Damage inside: the header is good, a page is not. */
    struct state *state = open_state();
    ck_assert_int_eq(state_put_pool(state, &op, "mem", "memory", NULL, 0), OK);
    state_close(state);
    write_file("state.db", noise, 4096, 4096);
    expect_fail(ERR_CORRUPT, "damaged");
}
END_TEST

static void run_sql(const char *sql) {
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path_of("state.db"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

START_TEST(a_newer_schema_is_refused) {
    state_close(open_state());
    run_sql("PRAGMA user_version = 2");
    expect_fail(ERR_UNSUPPORTED, "newer lailad");
}
END_TEST

START_TEST(a_foreign_database_is_refused) {
    run_sql("CREATE TABLE theirs (x)");
    expect_fail(ERR_CORRUPT, "not lailad's");
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("state");
    TCase *tcase = tcase_create("state");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, pools_survive_reopening);
    tcase_add_test(tcase, a_sealed_secret_is_not_in_the_files);
    tcase_add_test(tcase, a_lost_key_loses_the_secrets_only);
    tcase_add_test(tcase, a_key_that_is_no_secret_is_refused);
    tcase_add_test(tcase, the_wiring_survives_reopening);
    tcase_add_test(tcase, one_daemon_per_directory);
    tcase_add_test(tcase, a_damaged_database_is_named);
    tcase_add_test(tcase, a_newer_schema_is_refused);
    tcase_add_test(tcase, a_foreign_database_is_refused);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
