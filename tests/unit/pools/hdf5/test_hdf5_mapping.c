/* test_hdf5_mapping.c - bodies lent as memory to be sent from: when, which bytes, how long they stay, and what becomes of a file cut short. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/mapping.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define BODY_BYTES (3 * MIB + 123)

static struct fixture fixture;
static char *body;

/* Differs from itself at every shift, and from another number's everywhere. */
static void fill(char *bytes, size_t count, unsigned number) {
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (char)(number * 59 + i + i / 251 + i / 65521);
    }
}

static void set_up(void) {
    fixture_open(&fixture);
    body = malloc(BODY_BYTES);
    ck_assert_ptr_nonnull(body);
    fill(body, BODY_BYTES, 0);
}

static void tear_down(void) {
    fixture_close(&fixture);
    free(body);
}

static void put(const char *id, const char *bytes, size_t count) {
    ck_assert_int_eq(put_as(fixture.pool, id, bytes, count, HOLD_OWNED, NULL, NULL, NULL), OK);
}

static struct reader *open_at(const char *text, uint64_t offset, uint64_t length) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(text);
    struct read_options options = {.offset = offset, .length = length};
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, &options, &reader), OK);
    return reader;
}

static void read_once(const char *id) {
    size_t bytes = 0;
    free(get(fixture.pool, id, &bytes));
}

/* A reader of the whole that was lent it. */
static struct reader *open_mapped(const char *id, const void **ret_bytes) {
    struct reader *reader = open_at(id, 0, UINT64_MAX);
    ck_assert_int_eq(reader_map(reader, (size_t)reader->meta.size_bytes, ret_bytes), OK);
    return reader;
}

START_TEST(a_body_that_is_read_again_is_lent) {
    put("k", body, BODY_BYTES);
    const void *bytes = NULL;
    struct reader *first = open_at("k", 0, UINT64_MAX);
    ck_assert_int_eq(reader_map(first, BODY_BYTES, &bytes), ERR_AGAIN);
    reader_close(first);
    struct reader *reader = open_mapped("k", &bytes);
    ck_assert_mem_eq(bytes, body, BODY_BYTES);
    ck_assert_int_eq(reader_map(reader, BODY_BYTES, &bytes), ERR_AGAIN); /* once is enough */
    char piece[1000];
    size_t count = 0;
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(reader_read(reader, &op, piece, sizeof piece, &count), OK);
    ck_assert_mem_eq(piece, body, count); /* the place did not move */
    reader_close(reader);
}
END_TEST

START_TEST(a_part_is_lent) {
    put("k", body, BODY_BYTES);
    read_once("k");
    static const size_t offsets[] = {1, 4095, 4096, 70001, BODY_BYTES - MIB - 1};
    for (size_t i = 0; i < ARRAY_COUNT(offsets); i++) {
        const void *bytes = NULL;
        size_t count = MIB + i % 2;
        struct reader *reader = open_at("k", offsets[i], count);
        ck_assert_int_eq(reader_map(reader, count + 1, &bytes), ERR_AGAIN); /* more than the reader has */
        ck_assert_int_eq(reader_map(reader, count, &bytes), OK);
        ck_assert_mem_eq(bytes, body + offsets[i], count);
        reader_close(reader);
    }
}
END_TEST

START_TEST(a_small_body_is_not_lent) {
    put("k", body, MIB - 1);
    read_once("k");
    const void *bytes = NULL;
    struct reader *reader = open_at("k", 0, UINT64_MAX);
    ck_assert_int_eq(reader_map(reader, MIB - 1, &bytes), ERR_AGAIN);
    reader_close(reader);
}
END_TEST

START_TEST(only_what_was_compared_with_its_digest_is_lent) {
    put("k", body, BODY_BYTES);
    fixture_reopen(&fixture, (const char *const[]){NULL});
    const void *bytes = NULL;
    for (int i = 0; i < 3; i++) { /* reads of parts compare nothing */
        struct reader *part = open_at("k", 1, 2 * MIB);
        ck_assert_int_eq(reader_map(part, 2 * MIB, &bytes), ERR_AGAIN);
        reader_close(part);
    }
    struct reader *whole = open_at("k", 0, UINT64_MAX);
    ck_assert_int_eq(reader_map(whole, BODY_BYTES, &bytes), ERR_AGAIN);
    reader_close(whole);
    read_once("k");
    reader_close(open_mapped("k", &bytes));
}
END_TEST

START_TEST(what_is_lent_stays_whatever_is_written) {
    char *other = malloc(BODY_BYTES);
    ck_assert_ptr_nonnull(other);
    put("k", body, BODY_BYTES);
    read_once("k");
    const void *bytes = NULL;
    struct reader *reader = open_mapped("k", &bytes);
    for (unsigned i = 1; i < 6; i++) { /* the same size: free space would be taken at once */
        fill(other, BODY_BYTES, i);
        put("k", other, BODY_BYTES);
    }
    drop(fixture.pool, "k");
    put("other", other, BODY_BYTES);
    ck_assert_mem_eq(bytes, body, BODY_BYTES);
    reader_close(reader);
    read_once("other");
    reader = open_mapped("other", &bytes);
    ck_assert_mem_eq(bytes, other, BODY_BYTES);
    reader_close(reader);
    free(other);
}
END_TEST

START_TEST(readers_share_a_mapping) {
    put("k", body, BODY_BYTES);
    read_once("k");
    const void *bytes[3] = {NULL};
    struct reader *first = open_mapped("k", &bytes[0]);
    struct reader *second = open_mapped("k", &bytes[1]);
    reader_close(first);
    reader_close(second);
    reader_close(open_mapped("k", &bytes[2])); /* and it stays for the next one */
    ck_assert_ptr_eq(bytes[0], bytes[1]);
    ck_assert_ptr_eq(bytes[0], bytes[2]);
}
END_TEST

/* ---- mappings by themselves ---- */

static int new_file(size_t written_bytes) {
    char *path = fixture_path(&fixture, "plain");
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    free(path);
    for (size_t at = 0; at < written_bytes; at += MIB) {
        ck_assert_int_eq(pwrite(fd, body, MIB, (off_t)at), (ssize_t)MIB);
    }
    return fd;
}

/* How much of the file "plain" is in the address space. */
static size_t mapped_bytes(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    char *line = NULL;
    size_t room = 0;
    size_t sum = 0;
    while (getline(&line, &room, maps) > 0) {
        if (strstr(line, "/plain")) {
            char *end = NULL;
            size_t begin = strtoull(line, &end, 16);
            sum += strtoull(end + 1, NULL, 16) - begin;
        }
    }
    free(line);
    fclose(maps);
    return sum;
}

START_TEST(idle_mappings_are_bounded) {
    const size_t piece = 30 * MIB;
    int fd = new_file(6 * piece);
    struct mappings mappings;
    mappings_init(&mappings);
    struct mapping *taken[6] = {NULL};
    const void *bytes = NULL;
    for (size_t i = 0; i < 6; i++) {
        ck_assert_int_eq(mapping_take(&mappings, fd, i * piece, piece, &taken[i], &bytes), OK);
    }
    ck_assert_uint_eq(mapped_bytes(), 6 * piece); /* used ones are not counted */
    for (size_t i = 0; i < 6; i++) {
        mapping_release(&mappings, taken[i]);
    }
    ck_assert_uint_eq(mapped_bytes(), 4 * piece);
    struct mapping *again = NULL;
    ck_assert_int_eq(mapping_take(&mappings, fd, 5 * piece, piece, &again, &bytes), OK);
    ck_assert_ptr_eq(again, taken[5]); /* the last one was kept */
    mapping_release(&mappings, again);
    mappings_fini(&mappings);
    ck_assert_uint_eq(mapped_bytes(), 0);
    close(fd);
}
END_TEST

START_TEST(what_is_not_in_memory_is_not_lent) {
    int fd = new_file(0);
    ck_assert_int_eq(ftruncate(fd, (off_t)(8 * MIB)), 0); /* a hole: nobody has read it */
    struct mappings mappings;
    mappings_init(&mappings);
    struct mapping *mapping = NULL;
    const void *bytes = NULL;
    ck_assert_int_eq(mapping_take(&mappings, fd, MIB, 2 * MIB, &mapping, &bytes), ERR_AGAIN);
    mappings_fini(&mappings);
    close(fd);
}
END_TEST

START_TEST(a_file_cut_short_fails_the_send) {
    int fd = new_file(8 * MIB);
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct mappings mappings;
    mappings_init(&mappings);
    struct mapping *mapping = NULL;
    const void *bytes = NULL;
    ck_assert_int_eq(mapping_take(&mappings, fd, 100, 4 * MIB, &mapping, &bytes), OK);
    ck_assert_int_eq(send(ends[0], bytes, 1000, MSG_NOSIGNAL), 1000);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    errno = 0;
    ck_assert_int_eq(send(ends[0], bytes, 1000, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EFAULT);
    mapping_release(&mappings, mapping);
    ck_assert_int_eq(mapping_take(&mappings, fd, 100, 4 * MIB, &mapping, &bytes), ERR_AGAIN);
    mappings_fini(&mappings);
    close(ends[0]);
    close(ends[1]);
    close(fd);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5_mapping");
    TCase *tests = tcase_create("mapping");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_body_that_is_read_again_is_lent);
    tcase_add_test(tests, a_part_is_lent);
    tcase_add_test(tests, a_small_body_is_not_lent);
    tcase_add_test(tests, only_what_was_compared_with_its_digest_is_lent);
    tcase_add_test(tests, what_is_lent_stays_whatever_is_written);
    tcase_add_test(tests, readers_share_a_mapping);
    tcase_add_test(tests, idle_mappings_are_bounded);
    tcase_add_test(tests, what_is_not_in_memory_is_not_lent);
    tcase_add_test(tests, a_file_cut_short_fails_the_send);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
