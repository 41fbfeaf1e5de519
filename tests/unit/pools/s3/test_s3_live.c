/* test_s3_live.c - the kind "s3" against a real store: LAILAD_TEST_S3="http://host:port[/bucket] ACCESS SECRET"
 *
 * The bucket must exist (tests/servers/start_swift makes one). Everything happens under a prefix of its own. Without the variable the program says
 * so and ends with status 77: skipped.
 */
#include "s3_fixture.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"

#include <check.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
    char endpoint[256], bucket[128], access[128], secret[128];
    char prefix[64];
} store;

/* The next word of the address, or an empty one. */
static const char *take_word(const char *text, const char *ends, char *ret_word, size_t room) {
    text += strspn(text, " ");
    size_t bytes = strcspn(text, ends);
    snprintf(ret_word, room, "%.*s", (int)bytes, text);
    return text + bytes;
}

static bool read_address(void) {
    const char *text = getenv("LAILAD_TEST_S3");
    const char *host = text ? strstr(text, "://") : NULL;
    if (!host) {
        return false;
    }
    host += strcspn(host + 3, "/ ") + 3;
    snprintf(store.endpoint, sizeof store.endpoint, "%.*s", (int)(host - text), text);
    snprintf(store.bucket, sizeof store.bucket, "lailad-test");
    if (*host == '/') {
        host = take_word(host + 1, " ", store.bucket, sizeof store.bucket);
    }
    host = take_word(host, " ", store.access, sizeof store.access);
    take_word(host, " ", store.secret, sizeof store.secret);
    if (!store.secret[0]) {
        return false;
    }
    snprintf(store.prefix, sizeof store.prefix, "live-%lld-%d/", (long long)clock_wall_ms(), (int)getpid());
    return true;
}

/* A pool on the store, with one option changed (name NULL = none). */
static struct pool *open_with(const char *name, const char *text, s3_clock_fn *clock) {
    const struct s3_setting settings[] = {{"bucket", store.bucket},
                                          {"prefix", store.prefix},
                                          {"access_key_id", store.access},
                                          {"secret_access_key", store.secret},
                                          {name, text},
                                          {NULL, NULL}};
    return s3_fixture_open(store.endpoint, &(struct s3_how){.settings = settings, .clock = clock});
}

static struct pool *open_plain(void) {
    return open_with(NULL, NULL, NULL);
}

static void empty_and_close(struct pool *pool) {
    uint64_t removed;
    struct op *op = fresh_op();
    ck_assert_msg(pool_empty(pool, op, &removed) == OK, "%s", op->fault.detail);
    pool_unref(pool);
}

static enum err get_only(struct pool *pool, const char *id) {
    uint8_t *bytes = NULL;
    size_t count;
    enum err err = get(pool, id, &bytes, &count, NULL);
    free(bytes);
    return err;
}

/* ---- keys ---- */

static const char *const awkward[] = {
    "LAILA:ENTRY:GLOBAL_ID:337c29d3-0d76-5c15-a560-7e5cf329259e",
    "a%3Ab",
    "a:b",
    "a%253Ab",
    "%",
    "%%",
    "/",
    "//",
    "/a",
    "a/",
    "a//b",
    "a/../b",
    "a/./b",
    "...",
    " ",
    "  a  b  ",
    "+",
    "a+b c",
    "\xc3\xa4\xe2\x82\xac",
    "\xf0\x9f\x98\x80",
    "\x01\x1f\x7f",
    "\r\n",
    "\"'<>&;?#=\\^`{|}~!*()[]$,@",
    "a",
    "A",
    ".",
    "..",
};

static bool contains(const struct listing *listing, const char *id) {
    for (size_t i = 0; i < listing->count; i++) {
        if (strcmp(listing->ids[i], id) == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(awkward_ids_are_themselves) {
    struct pool *pool = open_plain();
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        struct put_how how = {.as_entry = i % 2 == 0};
        enum err err = put(pool, awkward[i], awkward[i], strlen(awkward[i]), &how);
        ck_assert_msg(err == OK, "'%s': %s", awkward[i], err_word(err));
    }
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        expect_body(pool, awkward[i], awkward[i], strlen(awkward[i]));
        struct id id = id_of(awkward[i]);
        struct meta meta;
        ck_assert_int_eq(pool_stat(pool, fresh_op(), &id, &meta), OK);
        ck_assert_uint_eq(meta.size_bytes, strlen(awkward[i]));
        meta_fini(&meta);
    }
    struct listing listing;
    ck_assert_int_eq(pool_list(pool, fresh_op(), "", NULL, 1000, &listing), OK);
    ck_assert_uint_eq(listing.count, ARRAY_COUNT(awkward));
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        ck_assert_msg(contains(&listing, awkward[i]), "'%s' is not listed", awkward[i]);
    }
    listing_fini(&listing);
    for (size_t i = 0; i < ARRAY_COUNT(awkward); i++) {
        struct id id = id_of(awkward[i]);
        bool existed;
        ck_assert_int_eq(pool_remove(pool, fresh_op(), &id, NULL, &existed), OK);
        ck_assert_int_eq(get_only(pool, awkward[i]), ERR_NOT_FOUND);
        if (i + 1 < ARRAY_COUNT(awkward)) {
            expect_body(pool, awkward[i + 1], awkward[i + 1], strlen(awkward[i + 1]));
        }
    }
    empty_and_close(pool);
}
END_TEST

START_TEST(the_longest_name) {
    struct pool *pool = open_plain();
    char id[ID_MOST_BYTES + 1];
    size_t room = 1024 - strlen(store.prefix);
    memset(id, 'n', room + 1);
    id[room + 1] = '\0';
    expect_fault(put(pool, id, "1", 1, NULL), ERR_INVALID, REASON_ID_TOO_LONG_FOR_POOL);
    id[room] = '\0';
    ck_assert_int_eq(put(pool, id, "1", 1, NULL), OK);
    expect_body(pool, id, "1", 1);
    empty_and_close(pool);
}
END_TEST

/* ---- bodies and metadata ---- */

static uint8_t *noise(size_t count) {
    uint8_t *bytes = malloc(count + 1);
    ck_assert_ptr_nonnull(bytes);
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[i] = (uint8_t)state;
    }
    return bytes;
}

static const size_t sizes[] = {0, 1, 16384, 262144, 262145, (1 << 20) + 1, 5 << 20, 70 << 20};

START_TEST(bodies_are_byte_for_byte) {
    struct pool *pool = open_plain();
    size_t count = sizes[_i];
    uint8_t *bytes = noise(count);
    ck_assert_int_eq(put(pool, "body", bytes, count, NULL), OK);
    expect_body(pool, "body", bytes, count);
    struct id id = id_of("body");
    struct meta meta;
    ck_assert_int_eq(pool_stat(pool, fresh_op(), &id, &meta), OK);
    ck_assert_uint_eq(meta.size_bytes, count);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(bytes, count, sha256);
    ck_assert(meta.has_sha256 && memcmp(meta.sha256, sha256, SHA256_BYTES) == 0);
    meta_fini(&meta);
    if (count > 100) {
        struct reader *reader = NULL;
        struct read_options options = {.offset = count - 100, .length = 50};
        uint8_t piece[64];
        size_t got = 0, all = 0;
        ck_assert_int_eq(pool_open_reader(pool, fresh_op(), &id, &options, &reader), OK);
        ck_assert_uint_eq(reader->meta.size_bytes, count);
        do {
            ck_assert_int_eq(reader_read(reader, fresh_op(), piece + all, sizeof piece - all, &got), OK);
            all += got;
        } while (got > 0);
        ck_assert_uint_eq(all, 50);
        ck_assert_mem_eq(piece, bytes + count - 100, 50);
        reader_close(reader);
    }
    free(bytes);
    empty_and_close(pool);
}
END_TEST

START_TEST(metadata_come_back) {
    struct pool *pool = open_plain();
    struct meta meta;
    meta_init(&meta);
    snprintf(meta.content_type, sizeof meta.content_type, "application/json; charset=\"utf-8\"");
    snprintf(meta.content_encoding, sizeof meta.content_encoding, "gzip");
    snprintf(meta.validator, sizeof meta.validator, "gcs-1795340229973001");
    meta.hold = HOLD_CACHED;
    meta.created_ms = INT64_C(1795340229973);
    meta.has_sha256 = true;
    digest_sha256("not gzip", 8, meta.sha256);
    uint8_t extension[1536]; /* ext4 gives Swift 4 KiB for all of an object's metadata */
    memset(extension, 0xfe, sizeof extension);
    meta.extension = blob_copy(extension, sizeof extension);
    struct blob *body = blob_copy("not gzip", 8);
    struct entry *entry = entry_new(&meta, body);
    struct commit_result result;
    struct id id = id_of("m");
    ck_assert_int_eq(pool_put_entry(pool, fresh_op(), &id, entry, NULL, NULL, &result), OK);
    meta_fini(&result.meta);
    struct meta back;
    ck_assert_int_eq(pool_stat(pool, fresh_op(), &id, &back), OK);
    ck_assert_str_eq(back.content_type, meta.content_type);
    ck_assert_str_eq(back.content_encoding, "gzip");
    ck_assert_str_eq(back.validator, meta.validator);
    ck_assert_int_eq(back.hold, HOLD_CACHED);
    ck_assert_int_eq(back.created_ms, meta.created_ms);
    ck_assert_mem_eq(back.sha256, meta.sha256, SHA256_BYTES);
    ck_assert_ptr_nonnull(back.extension);
    ck_assert_uint_eq(back.extension->size, sizeof extension);
    ck_assert_mem_eq(back.extension->data, extension, sizeof extension);
    ck_assert_int_gt(back.stored_ms, 0);
    meta_fini(&back);
    expect_body(pool, "m", "not gzip", 8);
    entry_unref(entry);
    blob_unref(body);
    meta_fini(&meta);
    empty_and_close(pool);
}
END_TEST

/* ---- listing ---- */

START_TEST(what_is_foreign_stays) {
    struct pool *pool = open_plain();
    char below[sizeof store.prefix + 8];
    snprintf(below, sizeof below, "%ssub/", store.prefix);
    struct pool *other = open_with("prefix", below, NULL);
    ck_assert_int_eq(put(other, "x", "foreign", 7, NULL), OK);
    ck_assert_int_eq(put(pool, "a", "1", 1, NULL), OK);
    ck_assert_int_eq(put(pool, "z", "2", 1, NULL), OK);
    struct listing listing;
    ck_assert_int_eq(pool_list(pool, fresh_op(), "", NULL, 1000, &listing), OK);
    ck_assert_uint_eq(listing.count, 2);
    listing_fini(&listing);
    struct pool_status status;
    pool_get_status(pool, &status);
    ck_assert(status.foreign_known && status.foreign == 1);
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(pool, fresh_op(), &removed), OK);
    ck_assert_uint_eq(removed, 2);
    expect_body(other, "x", "foreign", 7);
    empty_and_close(other);
    pool_unref(pool);
}
END_TEST

START_TEST(pages_meet_every_id_once) {
    enum { IDS = 25 };
    struct pool *pool = open_plain();
    char id[64];
    for (int i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "k:%d %%\xc3\xa4", i);
        ck_assert_int_eq(put(pool, id, "", 0, NULL), OK);
    }
    ck_assert_int_eq(put(pool, "other", "", 0, NULL), OK);
    bool seen[IDS] = {false};
    char *cursor = NULL;
    int pages = 0;
    do {
        struct listing listing;
        ck_assert_int_eq(pool_list(pool, fresh_op(), "k:", cursor, 4, &listing), OK);
        free(cursor);
        for (size_t i = 0; i < listing.count; i++) {
            long number = strtol(listing.ids[i] + 2, NULL, 10);
            ck_assert(number >= 0 && number < IDS && !seen[number]);
            seen[number] = true;
        }
        cursor = listing.next_cursor;
        listing.next_cursor = NULL;
        listing_fini(&listing);
        pages++;
    } while (cursor);
    for (int i = 0; i < IDS; i++) {
        ck_assert(seen[i]);
    }
    ck_assert_int_ge(pages, 7);
    empty_and_close(pool);
}
END_TEST

/* ---- what can be wrong ---- */

static int64_t late(void) {
    return clock_wall_ms() + 30 * 60 * 1000;
}

static int64_t early(void) {
    return clock_wall_ms() - 30 * 60 * 1000;
}

/* The same failure from every operation, since each speaks another method. */
static void expect_everywhere(struct pool *pool, enum err err, enum reason reason) {
    struct id id = id_of("x");
    struct meta meta;
    struct listing listing;
    uint64_t removed;
    bool existed;
    expect_fault(get_only(pool, "x"), err, reason);
    expect_fault(put(pool, "x", "1", 1, NULL), err, reason);
    expect_fault(pool_stat(pool, fresh_op(), &id, &meta), err, reason);
    expect_fault(pool_list(pool, fresh_op(), "", NULL, 1, &listing), err, reason);
    expect_fault(pool_remove(pool, fresh_op(), &id, NULL, &existed), err, reason);
    expect_fault(pool_empty(pool, fresh_op(), &removed), err, reason);
    struct pool_status status;
    pool_get_status(pool, &status);
    ck_assert_int_eq(status.state, POOL_OK); /* reached, and refused */
    pool_unref(pool);
}

START_TEST(each_mistake_has_its_name) {
    expect_everywhere(open_with("secret_access_key", FIXTURE_SECRET, NULL), ERR_DENIED, REASON_DENIED);
    expect_everywhere(open_with("access_key_id", FIXTURE_ACCESS, NULL), ERR_DENIED, REASON_DENIED);
    expect_everywhere(open_with("bucket", "no-such-bucket-of-lailad", NULL), ERR_CONFIG,
                      REASON_NO_SUCH_BUCKET);
    expect_everywhere(open_with(NULL, NULL, late), ERR_DENIED, REASON_CLOCK_SKEW);
    expect_everywhere(open_with(NULL, NULL, early), ERR_DENIED, REASON_CLOCK_SKEW);
}
END_TEST

START_TEST(a_wrong_region_is_told) {
    struct pool *pool = open_with("region", "eu-west-7", NULL);
    enum err err = get_only(pool, "x");
    if (err == ERR_NOT_FOUND && getenv("LAILAD_TEST_S3_ANY_REGION")) {
        pool_unref(pool); /* Ceph looks at no region */
        return;
    }
    expect_fault(err, ERR_CONFIG, REASON_WRONG_REGION);
    expect_everywhere(pool, ERR_CONFIG, REASON_WRONG_REGION);
}
END_TEST

START_TEST(preconditions_hold_or_are_refused) {
    struct pool *pool = open_plain();
    struct condition absent = {.kind = CONDITION_ABSENT};
    const struct put_how if_absent = {.condition = &absent};
    enum err err = put(pool, "c", "1", 1, &if_absent);
    if (err == ERR_UNSUPPORTED) {
        expect_fault(err, ERR_UNSUPPORTED, REASON_CONDITIONAL_WRITE_UNSUPPORTED);
        ck_assert_int_eq(get_only(pool, "c"), ERR_NOT_FOUND);
        ck_assert_int_eq(put(pool, "c", "1", 1, NULL), OK);
    } else {
        ck_assert_int_eq(err, OK);
        expect_fault(put(pool, "c", "2", 1, &if_absent), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    }
    struct id id = id_of("c");
    struct meta meta;
    ck_assert_int_eq(pool_stat(pool, fresh_op(), &id, &meta), OK);
    struct condition match = {.kind = CONDITION_MATCH, .count = 1};
    snprintf(match.tag[0], sizeof match.tag[0], "\"%s\"", meta.validator);
    struct condition other = {.kind = CONDITION_MATCH, .count = 1, .tag = {"\"s3-other\""}};
    const struct put_how if_other = {.condition = &other};
    const struct put_how if_match = {.condition = &match};
    expect_fault(put(pool, "c", "3", 1, &if_other), ERR_PRECONDITION, REASON_PRECONDITION_FAILED);
    expect_body(pool, "c", "1", 1);
    err = put(pool, "c", "4", 1, &if_match);
    ck_assert(err == OK || err == ERR_UNSUPPORTED);
    expect_body(pool, "c", err == OK ? "4" : "1", 1);
    bool existed;
    expect_fault(pool_remove(pool, fresh_op(), &id, &other, &existed), ERR_PRECONDITION,
                 REASON_PRECONDITION_FAILED);
    meta_fini(&meta);
    empty_and_close(pool);
}
END_TEST

START_TEST(a_fill_never_overwrites_an_owned_object) {
    struct pool *pool = open_plain();
    struct id id = id_of("f");
    for (int round = 0; round < 2; round++) {
        struct fence fence = {.is_raised = false};
        ck_assert_int_eq(fence_raise(&pool->fences, fresh_op(), &fence, &id), OK);
        enum err err = put(pool, "f", "fill", 4, &(struct put_how){.fence = &fence, .hold = HOLD_CACHED});
        fence_lower(&pool->fences, &fence);
        ck_assert_int_eq(err, round == 0 ? OK : ERR_SUPERSEDED);
        expect_body(pool, "f", round == 0 ? "fill" : "mine", 4);
        ck_assert_int_eq(put(pool, "f", "mine", 4, NULL), OK);
    }
    empty_and_close(pool);
}
END_TEST

int main(void) {
    hash_setup();
    if (!read_address()) {
        printf("skipped: LAILAD_TEST_S3 is not set (tests/run.sh starts a server)\n");
        return 77;
    }
    TCase *tcase = tcase_create("live");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, awkward_ids_are_themselves);
    tcase_add_test(tcase, the_longest_name);
    tcase_add_loop_test(tcase, bodies_are_byte_for_byte, 0, (int)ARRAY_COUNT(sizes));
    tcase_add_test(tcase, metadata_come_back);
    tcase_add_test(tcase, what_is_foreign_stays);
    tcase_add_test(tcase, pages_meet_every_id_once);
    tcase_add_test(tcase, each_mistake_has_its_name);
    tcase_add_test(tcase, a_wrong_region_is_told);
    tcase_add_test(tcase, preconditions_hold_or_are_refused);
    tcase_add_test(tcase, a_fill_never_overwrites_an_owned_object);
    Suite *suite = suite_create("s3_live");
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
