/* test_limits.c - this kind's options and what they bound: fills, bodies on their way in, the sharing of bodies. */
#include "tests/unit/pools/memory/memory_suites.h"

#include "pools/memory/memory_pool.h"

static struct op op;
static struct pool *pool;

static void setup(void) {
    op_init(&op, 0, 0);
}

static void teardown(void) {
    pool_unref(pool);
    pool = NULL;
}

static enum err open_pool(const char *max_bytes, const char *max_fill_bytes) {
    AUTO(settings_free)
    struct settings *settings = settings_new(memory_pool_kind.options, memory_pool_kind.option_count);
    enum err err = max_bytes ? settings_set_text(settings, &op, "max_bytes", max_bytes) : OK;
    if (err == OK && max_fill_bytes) {
        err = settings_set_text(settings, &op, "max_fill_bytes", max_fill_bytes);
    }
    if (err == OK) {
        err = settings_finish(settings, &op);
    }
    if (err == OK) {
        const struct pool_environment environment = {.data_dir = "/nonexistent"};
        err = memory_pool_kind.open(&op, &environment, "alpha", settings, &pool);
    }
    if (err == OK) {
        (void)STEAL(settings);
    }
    return err;
}

static struct write_options options_for(const struct fence *fence) {
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    options.meta.hold = fence ? HOLD_CACHED : HOLD_OWNED;
    options.fence = fence;
    return options;
}

START_TEST(options_and_their_bounds) {
    ck_assert_int_eq(open_pool(NULL, NULL), OK);
    ck_assert_uint_eq(pool->capabilities.max_object_bytes, UINT64_C(256) << 20);
    ck_assert(pool->capabilities.never_blocks);
    ck_assert(!pool->capabilities.durable);
    teardown();
    ck_assert_int_eq(open_pool("1MiB", "2MiB"), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_CONFIG);
    ck_assert_int_eq(open_pool("100", NULL), ERR_INVALID);
    ck_assert_int_eq(open_pool("0", NULL), ERR_INVALID);
}
END_TEST

static enum err fill_of(size_t count, size_t declared, bool as_entry) {
    struct id id = id_trusted("fill", 4);
    struct fence fence;
    ck_assert_int_eq(fence_raise(&pool->fences, &op, &fence, &id), OK);
    struct commit_result result = {0};
    struct entry *entry = entry_make(count, HOLD_CACHED);
    struct pool_writer *writer = NULL;
    enum err err = OK;
    if (as_entry) {
        err = pool_put_entry(pool, &op, &id, entry, NULL, &fence, &result);
    } else {
        struct write_options options = options_for(&fence);
        options.meta.size_bytes = declared;
        err = pool_open_writer(pool, &op, &id, &options, &writer);
        if (err == OK) {
            err = pool_writer_write(writer, &op, entry->body->data, count);
        }
        if (err == OK) {
            err = pool_writer_commit(writer, &op, &result);
        }
    }
    pool_writer_close(writer);
    entry_unref(entry);
    fence_lower(&pool->fences, &fence);
    meta_fini(&result.meta);
    return err;
}

START_TEST(large_fills_are_refused_and_large_puts_are_not) {
    ck_assert_int_eq(open_pool("800000", _i ? "50000" : NULL), OK);
    size_t most = _i ? 50000 : 100000;
    ck_assert_int_eq(fill_of(most, most, false), OK);
    ck_assert_int_eq(fill_of(most, most, true), OK);
    ck_assert_int_eq(fill_of(most + 1, most + 1, false), ERR_TOO_LARGE);
    ck_assert_int_eq(fill_of(most + 1, SIZE_UNKNOWN, false), ERR_TOO_LARGE);
    ck_assert_int_eq(fill_of(most + 1, most + 1, true), ERR_TOO_LARGE);
    struct id id = id_trusted("put", 3);
    struct entry *entry = entry_make(most + 1, HOLD_OWNED);
    struct commit_result result = {0};
    ck_assert_int_eq(pool_put_entry(pool, &op, &id, entry, NULL, NULL, &result), OK);
    entry_unref(entry);
}
END_TEST

START_TEST(bodies_on_their_way_are_bounded) {
    ck_assert_int_eq(open_pool("100000", NULL), OK);
    struct id id = id_trusted("in", 2);
    struct write_options options = options_for(NULL);
    struct pool_writer *first = NULL;
    struct pool_writer *second = NULL;
    uint8_t *bytes = calloc(1, 60000);
    ck_assert_int_eq(pool_open_writer(pool, &op, &id, &options, &first), OK);
    ck_assert_int_eq(pool_open_writer(pool, &op, &id, &options, &second), OK);
    ck_assert_int_eq(pool_writer_write(first, &op, bytes, 60000), OK);
    ck_assert_int_eq(pool_writer_write(second, &op, bytes, 60000), ERR_BUSY);
    ck_assert_int_eq(pool_writer_write(second, &op, bytes, 40000), OK);
    ck_assert_int_eq(pool_writer_write(second, &op, bytes, 1), ERR_BUSY);
    pool_writer_close(first); /* an aborted body gives its room back */
    ck_assert_int_eq(pool_writer_write(second, &op, bytes, 20000), OK);
    struct commit_result result;
    ck_assert_int_eq(pool_writer_commit(second, &op, &result), OK);
    ck_assert_uint_eq(result.meta.size_bytes, 60000);
    pool_writer_close(second);
    free(bytes);
}
END_TEST

START_TEST(a_put_entry_shares_its_body) {
    ck_assert_int_eq(open_pool(NULL, NULL), OK);
    struct id id = id_trusted("shared", 6);
    struct entry *entry = entry_make(100000, HOLD_OWNED);
    struct commit_result result = {0};
    ck_assert_int_eq(pool_put_entry(pool, &op, &id, entry, NULL, NULL, &result), OK);
    struct entry *peeked = NULL;
    ck_assert_int_eq(pool_peek(pool, &id, &peeked), OK);
    ck_assert_ptr_eq(peeked->body, entry->body);
    entry_unref(peeked);
    entry_unref(entry);
    bool existed = false;
    ck_assert_int_eq(pool_remove(pool, &op, &id, NULL, &existed), OK);
    ck_assert(existed);
}
END_TEST

START_TEST(the_index_proves_what_is_not_owned) {
    ck_assert_int_eq(open_pool(NULL, NULL), OK);
    struct id absent = id_trusted("absent", 6);
    ck_assert(pool_proves_not_owned(pool, &absent));
    ck_assert_int_eq(fill_of(10, 10, true), OK);
    struct id cached = id_trusted("fill", 4);
    ck_assert(pool_proves_not_owned(pool, &cached));
}
END_TEST

START_TEST(another_pools_cursor_is_refused) {
    ck_assert_int_eq(open_pool(NULL, NULL), OK);
    struct entry *entry = entry_make(1, HOLD_OWNED);
    struct commit_result result = {0};
    struct id one = id_trusted("1", 1);
    struct id two = id_trusted("2", 1);
    ck_assert_int_eq(pool_put_entry(pool, &op, &one, entry, NULL, NULL, &result), OK);
    ck_assert_int_eq(pool_put_entry(pool, &op, &two, entry, NULL, NULL, &result), OK);
    entry_unref(entry);
    struct listing listing = {0};
    ck_assert_int_eq(pool_list(pool, &op, "", NULL, 1, &listing), OK);
    ck_assert_ptr_nonnull(listing.next_cursor);
    struct listing next = {0};
    ck_assert_int_eq(pool_list(pool, &op, "", listing.next_cursor, 1, &next), OK);
    ck_assert_uint_eq(next.count, 1);
    listing_fini(&next);
    listing.next_cursor[0] = listing.next_cursor[0] == '0' ? '1' : '0';
    ck_assert_int_eq(pool_list(pool, &op, "", listing.next_cursor, 1, &next), ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_QUERY);
    listing_fini(&listing);
}
END_TEST

Suite *limits_suite(void) {
    Suite *suite = suite_create("limits");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, options_and_their_bounds);
    tcase_add_loop_test(tcase, large_fills_are_refused_and_large_puts_are_not, 0, 2);
    tcase_add_test(tcase, bodies_on_their_way_are_bounded);
    tcase_add_test(tcase, a_put_entry_shares_its_body);
    tcase_add_test(tcase, the_index_proves_what_is_not_owned);
    tcase_add_test(tcase, another_pools_cursor_is_refused);
    suite_add_tcase(suite, tcase);
    return suite;
}
