/* test_hdf5_damage.c - a file whose own structure is damaged: what it holds is never called absent, and never served wrong.
 *
 * Bytes change as rot changes them, so the file's time stays. The fuzzing part takes its numbers from seeds; LAILAD_DAMAGE_TRIALS says how many.
 */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "tests/crash/chance.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES 60
#define MOST_BYTES 2000u
#define TRIALS 100u
#define MOST_FLIPS 8u

/* The library does not free all that it made of a damaged file before it gave it up. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

static struct fixture fixture;
static struct stat sound_status;
static uint8_t *sound; /* the file's bytes */

static size_t body_of(int number, char ret_body[MOST_BYTES]) {
    size_t count = (size_t)number * number % MOST_BYTES;
    struct chance chance = chance_of((uint64_t)number, 0);
    for (size_t i = 0; i < count; i++) {
        ret_body[i] = (char)chance_below(&chance, 256);
    }
    return count;
}

static const char *id_text(int number) {
    static char text[16];
    snprintf(text, sizeof text, "id-%d", number);
    return text;
}

static void set_up(void) {
    fixture_open(&fixture);
    for (int i = 0; i < ENTRIES; i++) {
        char body[MOST_BYTES];
        size_t count = body_of(i, body);
        ck_assert_int_eq(put_as(fixture.pool, id_text(i), body, count, HOLD_OWNED, NULL, NULL, NULL), OK);
    }
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    char *path = fixture_path(&fixture, "p.h5");
    int fd = open(path, O_RDONLY);
    ck_assert_int_eq(fstat(fd, &sound_status), 0);
    sound = malloc((size_t)sound_status.st_size);
    ck_assert_int_eq(read(fd, sound, (size_t)sound_status.st_size), sound_status.st_size);
    close(fd);
    free(path);
}

static void tear_down(void) {
    free(sound);
    sound = NULL;
    fixture_close(&fixture);
}

static void write_file(const uint8_t *bytes) {
    char *path = fixture_path(&fixture, "p.h5");
    int fd = open(path, O_WRONLY | O_TRUNC);
    ck_assert_int_eq(write(fd, bytes, (size_t)sound_status.st_size), sound_status.st_size);
    const struct timespec times[2] = {sound_status.st_atim, sound_status.st_mtim};
    ck_assert_int_eq(futimens(fd, times), 0);
    close(fd);
    free(path);
}

/* The damaged file as a pool, or ERR_UNAVAILABLE. */
static enum err open_damaged(const uint8_t *bytes) {
    write_file(bytes);
    struct op op;
    op_init(&op, 0, 0);
    return fixture_try_open(&fixture, &op, NULL, &fixture.pool);
}

static enum err read_entry(int number, bool *ret_right) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(id_text(number));
    AUTO(reader_close) struct reader *reader = NULL;
    char expected[MOST_BYTES];
    char body[MOST_BYTES + 1];
    size_t count = 0;
    size_t length = body_of(number, expected);
    enum err err = pool_open_reader(fixture.pool, &op, &id, NULL, &reader);
    size_t at = 0;
    while (!err && at < sizeof body) {
        err = reader_read(reader, &op, body + at, sizeof body - at, &count);
        at += err ? 0 : count;
        if (!err && !count) {
            break;
        }
    }
    *ret_right = !err && at == length && memcmp(body, expected, length) == 0;
    return err;
}

static enum err stat_entry(int number) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(id_text(number));
    struct meta meta;
    enum err err = pool_stat(fixture.pool, &op, &id, &meta);
    if (!err) {
        meta_fini(&meta);
    }
    return err;
}

static enum err peek_entry(int number) {
    struct id id = id_of(id_text(number));
    struct entry *entry = NULL;
    enum err err = pool_peek(fixture.pool, &id, &entry);
    if (!err) {
        entry_unref(entry);
    }
    return err;
}

/* ---- the root group cannot be read ---- */
static void expect_failure(enum err err, const struct op *op) {
    ck_assert_int_eq(err, ERR_BUSY);
    ck_assert_int_eq(op->fault.reason, REASON_POOL_POISONED);
    ck_assert_msg(strstr(op->fault.detail, "the file is damaged") != NULL, "%s", op->fault.detail);
}

static void open_without_group(void) {
    uint8_t *heap = memmem(sound, (size_t)sound_status.st_size, "FRHP", 4);
    ck_assert_ptr_nonnull(heap);
    heap[20] ^= 1;
    ck_assert_int_eq(open_damaged(sound), OK);
}

START_TEST(nothing_is_absent_from_a_group_that_cannot_be_read) {
    open_without_group();
    struct op op;
    op_init(&op, 0, 0);
    struct pool_status status;
    pool_get_status(fixture.pool, &status);
    ck_assert_int_eq(status.state, POOL_POISONED);
    for (int i = 0; i <= ENTRIES; i++) { /* one more: nobody knows whether that is there either */
        struct id id = id_of(id_text(i));
        struct reader *reader = NULL;
        struct meta meta;
        struct entry *entry = NULL;
        expect_failure(pool_open_reader(fixture.pool, &op, &id, NULL, &reader), &op);
        expect_failure(pool_stat(fixture.pool, &op, &id, &meta), &op);
        ck_assert_int_eq(pool_peek(fixture.pool, &id, &entry), ERR_AGAIN);
        ck_assert_int_eq(pool_peek_meta(fixture.pool, &id, &meta), ERR_AGAIN);
        ck_assert(!pool_proves_not_owned(fixture.pool, &id));
    }
}
END_TEST

START_TEST(nothing_is_changed_in_a_group_that_cannot_be_read) {
    open_without_group();
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(id_text(1));
    bool existed = false;
    uint64_t removed = 0;
    expect_failure(pool_remove(fixture.pool, &op, &id, NULL, &existed), &op);
    expect_failure(pool_empty(fixture.pool, &op, &removed), &op);
    ck_assert_int_eq(put_as(fixture.pool, "new", "1", 1, HOLD_OWNED, NULL, NULL, NULL), ERR_BUSY);
    ck_assert(!pool_takes_fill(fixture.pool, 1));
}
END_TEST

/* ---- any damage ---- */
static unsigned trials(void) {
    const char *text = getenv("LAILAD_DAMAGE_TRIALS");
    return text ? (unsigned)strtoul(text, NULL, 10) : TRIALS;
}

/* Half of it at the beginning, where the file keeps its structure; the rest anywhere. */
static void flip_some(uint8_t *bytes, struct chance *chance) {
    uint64_t size = (uint64_t)sound_status.st_size;
    uint64_t flips = 1 + chance_below(chance, MOST_FLIPS);
    for (uint64_t i = 0; i < flips; i++) {
        uint64_t below = chance_percent(chance, 50) && size > 8192 ? 8192 : size;
        bytes[chance_below(chance, below)] ^= (uint8_t)(1 + chance_below(chance, 255));
    }
}

static void look_at_all(unsigned seed) {
    for (int i = 0; i < ENTRIES; i++) {
        bool right = false;
        enum err err = peek_entry(i);
        ck_assert_msg(err != ERR_NOT_FOUND, "seed %u: a peek misses %s", seed, id_text(i));
        err = read_entry(i, &right);
        ck_assert_msg(err != ERR_NOT_FOUND, "seed %u: a read misses %s", seed, id_text(i));
        ck_assert_msg(err || right, "seed %u: %s is wrong", seed, id_text(i));
        err = stat_entry(i);
        ck_assert_msg(err != ERR_NOT_FOUND, "seed %u: a stat misses %s", seed, id_text(i));
    }
}

START_TEST(no_damage_makes_an_entry_absent_or_wrong) {
    uint8_t *bytes = malloc((size_t)sound_status.st_size);
    unsigned opened = 0;
    for (unsigned seed = 1; seed <= trials(); seed++) {
        struct chance chance = chance_of(seed, 1);
        memcpy(bytes, sound, (size_t)sound_status.st_size);
        flip_some(bytes, &chance);
        if (open_damaged(bytes)) {
            continue; /* it says so */
        }
        opened++;
        look_at_all(seed);
        pool_unref(fixture.pool);
        fixture.pool = NULL;
    }
    free(bytes);
    ck_assert_uint_gt(opened, 0);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 damage");
    TCase *tcase = tcase_create("damage");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, nothing_is_absent_from_a_group_that_cannot_be_read);
    tcase_add_test(tcase, nothing_is_changed_in_a_group_that_cannot_be_read);
    tcase_add_test(tcase, no_damage_makes_an_entry_absent_or_wrong);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
