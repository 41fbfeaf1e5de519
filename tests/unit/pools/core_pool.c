/* core_pool.c - the front door over a backend that only counts: what it refuses, what it breaks, what it counts. */
#include "tests/unit/pools/core_pool_fake.h"
#include "tests/unit/pools/core_suites.h"

#include "pools/base/clock.h"

static struct fake_pool *fake;
static struct pool *pool;
static struct op op;
static struct id id;
static bool closed;

static void open_fake(const struct pool_capabilities *capabilities, bool has_put_entry) {
    pool_unref(pool);
    closed = false;
    fake = fake_new(capabilities, has_put_entry, &closed);
    pool = &fake->pool;
}

static void setup(void) {
    op_init(&op, 0, 60 * NS_PER_S);
    id = id_trusted("some:id", 7);
    open_fake(&(struct pool_capabilities){0}, false);
}

static void teardown(void) {
    pool_unref(pool);
    pool = NULL;
}

static enum err put(const char *text, const struct write_options *options) {
    struct pool_writer *writer = NULL;
    struct commit_result result;
    enum err err = pool_open_writer(pool, &op, &id, options, &writer);
    if (err == OK) {
        err = pool_writer_write(writer, &op, text, strlen(text));
    }
    if (err == OK) {
        err = pool_writer_commit(writer, &op, &result);
    }
    if (err == OK) {
        meta_fini(&result.meta);
    }
    pool_writer_close(writer);
    return err;
}

static struct write_options plain_options(void) {
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    return options;
}

static struct entry *entry_of(const char *text) {
    struct meta meta;
    meta_init(&meta);
    meta.has_sha256 = true;
    digest_sha256(text, strlen(text), meta.sha256);
    struct blob *body = blob_copy(text, strlen(text));
    struct entry *entry = entry_new(&meta, body);
    blob_unref(body);
    return entry;
}

START_TEST(the_last_reference_closes) {
    pool_ref(pool);
    pool_unref(pool);
    ck_assert(!closed);
    struct write_options options = plain_options();
    struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(pool, &op, &id, &options, &writer), OK);
    pool_unref(pool);
    pool = NULL;
    ck_assert(!closed); /* a writer keeps its pool */
    pool_writer_close(writer);
    ck_assert(closed);
}
END_TEST

START_TEST(without_a_peek_ask_again) {
    struct entry *entry = NULL;
    struct meta meta;
    ck_assert_int_eq(pool_peek(pool, &id, &entry), ERR_AGAIN);
    ck_assert_int_eq(pool_peek_meta(pool, &id, &meta), ERR_AGAIN);
    ck_assert(!pool_proves_not_owned(pool, &id));
    pool_set_cached_evictable(pool, true); /* nobody to tell */
}
END_TEST

START_TEST(ranges_need_the_capability) {
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, &(struct read_options){1, UINT64_MAX}, &reader),
                     ERR_UNSUPPORTED);
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, &(struct read_options){0, 5}, &reader),
                     ERR_UNSUPPORTED);
    ck_assert_uint_eq(fake->reads, 0);
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, &(struct read_options){0, UINT64_MAX}, &reader), OK);
    reader_close(reader);
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), OK);
    reader_close(reader);
    reader_close(NULL);
}
END_TEST

START_TEST(conditions_need_the_capability) {
    static const enum condition_kind kinds[] = {CONDITION_ABSENT, CONDITION_PRESENT, CONDITION_MATCH,
                                                CONDITION_NONE_MATCH};
    for (int can = 0; can < 2; can++) {
        open_fake(&(struct pool_capabilities){.create_only = can, .if_match = can}, true);
        for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
            const struct condition condition = {.kind = kinds[i]};
            struct write_options options = plain_options();
            options.condition = &condition;
            bool existed = false;
            enum err expected = can ? OK : ERR_UNSUPPORTED;
            ck_assert_int_eq(put("x", &options), expected);
            ck_assert_int_eq(pool_remove(pool, &op, &id, &condition, &existed), expected);
            struct entry *entry = entry_of("x");
            struct commit_result result = {0};
            ck_assert_int_eq(pool_put_entry(pool, &op, &id, entry, &condition, NULL, &result), expected);
            entry_unref(entry);
        }
        ck_assert_uint_eq(fake->writers, can ? ARRAY_COUNT(kinds) : 0);
        ck_assert_uint_eq(fake->removes, can ? ARRAY_COUNT(kinds) : 0);
        ck_assert_uint_eq(fake->puts, can ? ARRAY_COUNT(kinds) : 0);
    }
}
END_TEST

START_TEST(ids_that_do_not_fit) {
    open_fake(&(struct pool_capabilities){.max_key_bytes = 9}, true);
    struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), OK); /* some%3Aid is exactly 9 bytes */
    reader_close(reader);
    id = id_trusted("some::id", 8);
    struct write_options options = plain_options();
    ck_assert_int_eq(put("x", &options), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_ID_TOO_LONG_FOR_POOL);
    struct meta meta;
    bool existed = true;
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), ERR_NOT_FOUND);
    ck_assert_int_eq(pool_stat(pool, &op, &id, &meta), ERR_NOT_FOUND);
    ck_assert_int_eq(pool_remove(pool, &op, &id, NULL, &existed), OK);
    ck_assert(!existed);
    ck_assert_uint_eq(fake->reads + fake->writers + fake->stats + fake->removes, 1);
}
END_TEST

START_TEST(declared_sizes) {
    struct write_options options = plain_options();
    options.meta.size_bytes = 3;
    ck_assert_int_eq(put("123", &options), OK);
    ck_assert_int_eq(put("12", &options), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_BODY_INCOMPLETE);
    ck_assert_int_eq(put("1234", &options), ERR_INVALID);
    ck_assert_uint_eq(fake->commits, 1);
    ck_assert_uint_eq(fake->writer_closes, 3);
    ck_assert_uint_eq(fake->written_bytes, 5); /* the fourth byte of four never got there */
}
END_TEST

START_TEST(declared_digests) {
    struct write_options options = plain_options();
    options.meta.has_sha256 = true;
    digest_sha256("abc", 3, options.meta.sha256);
    ck_assert_int_eq(put("abc", &options), OK);
    ck_assert_int_eq(put("abd", &options), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_DIGEST_MISMATCH);
    ck_assert_uint_eq(fake->commits, 1);
}
END_TEST

static enum err put_expecting(const char *text, const struct write_options *options, const char *expected) {
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(expected, strlen(expected), sha256);
    struct pool_writer *writer = NULL;
    struct commit_result result;
    ck_assert_int_eq(pool_open_writer(pool, &op, &id, options, &writer), OK);
    ck_assert_int_eq(pool_writer_write(writer, &op, text, strlen(text)), OK);
    enum err err = pool_writer_expect_sha256(writer, &op, sha256);
    err = err ? err : pool_writer_commit(writer, &op, &result);
    if (err == OK) {
        meta_fini(&result.meta);
    }
    pool_writer_close(writer);
    return err;
}

START_TEST(late_digests) {
    struct write_options options = plain_options();
    ck_assert_int_eq(put_expecting("abc", &options, "abc"), OK);
    ck_assert_int_eq(put_expecting("abd", &options, "abc"), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_DIGEST_MISMATCH);
    options.meta.has_sha256 = true;
    digest_sha256("abc", 3, options.meta.sha256);
    ck_assert_int_eq(put_expecting("abc", &options, "abc"), OK);
    ck_assert_int_eq(put_expecting("abc", &options, "abd"), ERR_INVALID);
    ck_assert_int_eq(put_expecting("abd", &options, "abd"), ERR_INVALID);
    ck_assert_uint_eq(fake->commits, 2);
}
END_TEST

START_TEST(the_largest_object) {
    open_fake(&(struct pool_capabilities){.max_object_bytes = 4}, true);
    struct write_options options = plain_options();
    ck_assert_int_eq(put("1234", &options), OK);
    ck_assert_int_eq(put("12345", &options), ERR_TOO_LARGE);
    options.meta.size_bytes = 5;
    ck_assert_int_eq(put("12345", &options), ERR_TOO_LARGE);
    ck_assert_uint_eq(fake->writers, 2); /* the last one never opened */
    struct entry *entry = entry_of("12345");
    struct commit_result result = {0};
    ck_assert_int_eq(pool_put_entry(pool, &op, &id, entry, NULL, NULL, &result), ERR_TOO_LARGE);
    ck_assert_uint_eq(fake->puts, 0);
    entry_unref(entry);
}
END_TEST

/* Each local write breaks the key's fence before the backend publishes; a fill breaks none. */
START_TEST(fences_break_before_the_backend) {
    open_fake(&(struct pool_capabilities){0}, _i == 1);
    struct fence fence;
    struct write_options options = plain_options();
    struct entry *entry = entry_of("x");
    struct commit_result result = {0};
    for (int is_fill = 1; is_fill >= 0; is_fill--) {
        ck_assert_int_eq(fence_raise(&pool->fences, &op, &fence, &id), OK);
        fake->fence_to_watch = &fence;
        options.fence = is_fill ? &fence : NULL;
        ck_assert_int_eq(put("x", &options), OK);
        ck_assert(fake->fence_held_at_commit == is_fill);
        fence_lower(&pool->fences, &fence);
        ck_assert_int_eq(fence_raise(&pool->fences, &op, &fence, &id), OK);
        ck_assert_int_eq(pool_put_entry(pool, &op, &id, entry, NULL, is_fill ? &fence : NULL, &result), OK);
        ck_assert(fake->fence_held_at_commit == is_fill);
        fence_lower(&pool->fences, &fence);
    }
    bool existed = false;
    uint64_t removed = 0;
    ck_assert_int_eq(fence_raise(&pool->fences, &op, &fence, &id), OK);
    ck_assert_int_eq(pool_remove(pool, &op, &id, NULL, &existed), OK);
    ck_assert(!fence_holds(&fence));
    fence_lower(&pool->fences, &fence);
    ck_assert_int_eq(fence_raise(&pool->fences, &op, &fence, &id), OK);
    ck_assert_int_eq(pool_empty(pool, &op, &removed), OK);
    ck_assert(!fence_holds(&fence));
    fence_lower(&pool->fences, &fence);
    ck_assert_uint_eq(pool->stats.fills, 2);
    ck_assert_uint_eq(pool->stats.writes, 2);
    entry_unref(entry);
}
END_TEST

static enum err change(unsigned way, const struct fence *fence) {
    struct write_options options = plain_options();
    options.fence = fence;
    struct commit_result result = {0};
    bool existed = false;
    uint64_t removed = 0;
    switch (way) {
    case 0:
        return put("x", &options);
    case 1: {
        struct entry *entry = entry_of("x");
        enum err err = pool_put_entry(pool, &op, &id, entry, NULL, fence, &result);
        entry_unref(entry);
        return err;
    }
    case 2:
        return pool_remove(pool, &op, &id, NULL, &existed);
    default:
        return pool_empty(pool, &op, &removed);
    }
}

/* A flight that looks while the backend is at work has seen the pool as it was before: its fence is broken when the call returns, also
 * by a change that failed, because that may have been made all the same. */
START_TEST(fences_break_after_the_backend_too) {
    open_fake(&(struct pool_capabilities){0}, true);
    struct id other = id_trusted("other", 5);
    for (int failing = 0; failing < 2; failing++) {
        fake->answer = failing ? reason_kind(REASON_IO) : OK;
        struct fence fence = {0};
        fake->fence_id = id;
        fake->fence_to_raise = &fence;
        ck_assert_int_eq(change((unsigned)_i, NULL), fake->answer);
        ck_assert_ptr_null(fake->fence_to_raise);
        ck_assert(!fence_holds(&fence));
        fence_lower(&pool->fences, &fence);
        fake->fence_id = other;
        fake->fence_to_raise = &fence;
        ck_assert_int_eq(change((unsigned)_i, NULL), fake->answer);
        ck_assert(fence_holds(&fence) == (_i < 3)); /* another key's only when the pool is emptied */
        fence_lower(&pool->fences, &fence);
    }
}
END_TEST

/* A copy is nothing new: whoever looks while one is put down has seen nothing old. */
START_TEST(a_fill_breaks_no_fence_afterwards) {
    open_fake(&(struct pool_capabilities){0}, true);
    struct fence own, fence = {0};
    ck_assert_int_eq(fence_raise(&pool->fences, &op, &own, &id), OK);
    fake->fence_id = id;
    fake->fence_to_raise = &fence;
    ck_assert_int_eq(change((unsigned)_i, &own), OK);
    ck_assert_ptr_null(fake->fence_to_raise);
    ck_assert(fence_holds(&fence));
    fence_lower(&pool->fences, &fence);
    fence_lower(&pool->fences, &own);
}
END_TEST

START_TEST(failures_are_signed_and_counted) {
    struct reader *reader = NULL;
    fake->answer = ERR_NOT_FOUND;
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), ERR_NOT_FOUND);
    ck_assert_str_eq(op.fault.pool, "fake-1");
    ck_assert_uint_eq(pool->stats.misses, 1);
    ck_assert_uint_eq(pool->stats.failures, 0); /* a miss is an answer */
    fake->answer = reason_kind(REASON_IO);
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), reason_kind(REASON_IO));
    ck_assert_uint_eq(pool->stats.failures, 1);
    ck_assert_uint_eq(pool->stats.misses, 1);
    struct write_options options = plain_options();
    ck_assert_int_eq(put("x", &options), reason_kind(REASON_IO));
    ck_assert_uint_eq(pool->stats.writes, 0);
    fake->answer = ERR_SUPERSEDED;
    ck_assert_int_eq(put("x", &options), ERR_SUPERSEDED);
    ck_assert_uint_eq(pool->stats.failures, 2);
    fake->answer = OK;
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), OK);
    reader_close(reader);
    ck_assert_uint_eq(pool->stats.hits, 1);
}
END_TEST

START_TEST(a_failed_listing_is_freed) {
    struct listing listing = {0};
    fake->answer = reason_kind(REASON_IO);
    ck_assert_int_eq(pool_list(pool, &op, "p", NULL, 10, &listing), reason_kind(REASON_IO));
    ck_assert_uint_eq(listing.count, 0);
    fake->answer = OK;
    ck_assert_int_eq(pool_list(pool, &op, "p", NULL, 10, &listing), OK);
    ck_assert_uint_eq(listing.count, 1);
    ck_assert_str_eq(listing.ids[0], "p");
    listing_fini(&listing);
    listing_fini(&listing);
}
END_TEST

START_TEST(listings_grow) {
    struct listing listing = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char text[16];
        ck_assert_int_eq(listing_add(&listing, &op, text, (size_t)snprintf(text, sizeof text, "%u", i)), OK);
    }
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_uint_eq(strtoul(listing.ids[i], NULL, 10), i);
    }
    listing_fini(&listing);
}
END_TEST

START_TEST(an_ended_op_stops_a_body) {
    struct write_options options = plain_options();
    struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(pool, &op, &id, &options, &writer), OK);
    atomic_store(&op.cancelled, true);
    ck_assert_int_eq(pool_writer_write(writer, &op, "x", 1), ERR_CANCELLED);
    ck_assert_uint_eq(fake->written_bytes, 0);
    pool_writer_close(writer);
    pool_writer_close(NULL);
}
END_TEST

START_TEST(words_and_status) {
    for (unsigned state = POOL_OK; state <= POOL_NEEDS_CREDENTIALS; state++) {
        ck_assert_ptr_nonnull(pool_state_word((enum pool_state)state));
    }
    ck_assert_str_eq(pool_state_word(POOL_READ_ONLY), "read-only");
    struct pool_status status;
    memset(&status, 0xff, sizeof status);
    pool_get_status(pool, &status);
    ck_assert_int_eq(status.state, POOL_LOADING);
    ck_assert_str_eq(status.reason, "");
    ck_assert(!status.counts_known);
}
END_TEST

Suite *pool_suite(void) {
    Suite *suite = suite_create("pool");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_last_reference_closes);
    tcase_add_test(tcase, without_a_peek_ask_again);
    tcase_add_test(tcase, ranges_need_the_capability);
    tcase_add_test(tcase, conditions_need_the_capability);
    tcase_add_test(tcase, ids_that_do_not_fit);
    tcase_add_test(tcase, declared_sizes);
    tcase_add_test(tcase, declared_digests);
    tcase_add_test(tcase, late_digests);
    tcase_add_test(tcase, the_largest_object);
    tcase_add_loop_test(tcase, fences_break_before_the_backend, 0, 2);
    tcase_add_loop_test(tcase, fences_break_after_the_backend_too, 0, 4);
    tcase_add_loop_test(tcase, a_fill_breaks_no_fence_afterwards, 0, 2);
    tcase_add_test(tcase, failures_are_signed_and_counted);
    tcase_add_test(tcase, a_failed_listing_is_freed);
    tcase_add_test(tcase, listings_grow);
    tcase_add_test(tcase, an_ended_op_stops_a_body);
    tcase_add_test(tcase, words_and_status);
    suite_add_tcase(suite, tcase);
    return suite;
}
