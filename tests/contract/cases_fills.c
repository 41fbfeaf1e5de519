/* cases_fills.c - copies that reads leave: a local write beats a fill whichever comes first, owned entries stay, the hold is kept.
 *
 * Each case runs twice: the copy arrives through a writer, or as a whole entry.
 */
#include "tests/contract/support.h"

START_TEST(a_fill_is_an_entry_like_any_other) {
    struct fill fill;
    fill_begin(&fill, "copy", "from below");
    assert_absent("copy");
    ck_assert_err(fill_end(&fill, _i), OK);
    assert_holds_text("copy", "from below");
    struct names names = list("", 10);
    ck_assert_uint_eq(names.count, 1);
    names_free(&names);
    remove_id("copy");
    assert_absent("copy");
}
END_TEST

START_TEST(a_put_beats_a_fill_that_began_before_it) {
    struct fill fill;
    fill_begin(&fill, "key", "older, from below");
    put_text("key", "newer");
    ck_assert_err(fill_end(&fill, _i), ERR_SUPERSEDED);
    assert_holds_text("key", "newer");
}
END_TEST

START_TEST(a_delete_beats_a_fill_that_began_before_it) {
    struct fill fill;
    fill_begin(&fill, "key", "must not come back");
    remove_id("key");
    ck_assert_err(fill_end(&fill, _i), ERR_SUPERSEDED);
    assert_absent("key");
}
END_TEST

START_TEST(an_empty_beats_a_fill_that_began_before_it) {
    struct fill fill;
    fill_begin(&fill, "key", "must not come back");
    uint64_t removed = 0;
    ck_assert_err(pool_empty(the_pool(), fresh_op(), &removed), OK);
    ck_assert_err(fill_end(&fill, _i), ERR_SUPERSEDED);
    assert_absent("key");
}
END_TEST

START_TEST(a_put_of_another_key_does_not) {
    struct fill fill;
    fill_begin(&fill, "key", "from below");
    put_text("other", "x");
    ck_assert_err(fill_end(&fill, _i), OK);
    assert_holds_text("key", "from below");
}
END_TEST

START_TEST(a_fill_that_a_delete_overtook_halfway) {
    /* The writer is open and has its bytes when the delete comes. */
    struct fill fill;
    fill_begin(&fill, "key", "from below");
    struct write_options options;
    memset(&options, 0, sizeof options);
    meta_init(&options.meta);
    options.meta.hold = HOLD_CACHED;
    options.fence = &fill.fence;
    struct id id = id_of("key");
    struct pool_writer *writer = NULL;
    ck_assert_err(pool_open_writer(the_pool(), fresh_op(), &id, &options, &writer), OK);
    ck_assert_err(pool_writer_write(writer, fresh_op(), fill.body.bytes, fill.body.count), OK);
    remove_id("key");
    struct commit_result result;
    ck_assert_err(pool_writer_commit(writer, fresh_op(), &result), ERR_SUPERSEDED);
    pool_writer_close(writer);
    fence_lower(&the_pool()->fences, &fill.fence);
    body_free(&fill.body);
    assert_absent("key");
}
END_TEST

START_TEST(a_fill_does_not_replace_an_owned_entry) {
    put_text("mine", "owned");
    struct fill fill;
    fill_begin(&fill, "mine", "from below");
    ck_assert_err(fill_end(&fill, _i), ERR_SUPERSEDED);
    assert_holds_text("mine", "owned");
}
END_TEST

START_TEST(a_fill_refreshes_a_cached_copy) {
    if (!the_pool()->capabilities.stores_hold || !the_pool()->capabilities.fill_fence) {
        return;
    }
    fill_text("copy", "first");
    struct fill fill;
    fill_begin(&fill, "copy", "second");
    ck_assert_err(fill_end(&fill, _i), OK);
    assert_holds_text("copy", "second");
    assert_hold("copy", HOLD_CACHED);
}
END_TEST

START_TEST(the_hold_is_kept) {
    put_text("owned", "x");
    fill_text("cached", "x");
    assert_hold("owned", HOLD_OWNED);
    if (!the_pool()->capabilities.stores_hold) {
        return;
    }
    assert_hold("cached", HOLD_CACHED);
    struct id owned = id_of("owned");
    ck_assert(!pool_proves_not_owned(the_pool(), &owned));
    put_text("cached", "y");
    assert_hold("cached", HOLD_OWNED);
    struct id cached = id_of("cached");
    ck_assert(!pool_proves_not_owned(the_pool(), &cached));
}
END_TEST

START_TEST(while_a_copy_settles_a_miss_is_not_final) {
    struct fill fill;
    fill_begin(&fill, "key", "from below");
    struct id id = id_of("key");
    fence_settling(&the_pool()->fences, &fill.fence);
    struct entry *entry = NULL;
    ck_assert_err(pool_peek(the_pool(), &id, &entry), ERR_AGAIN);
    struct meta meta;
    ck_assert_err(pool_peek_meta(the_pool(), &id, &meta), ERR_AGAIN);
    ck_assert_err(fill_end(&fill, _i), OK);
    assert_holds_text("key", "from below");
}
END_TEST

/* ---- eviction ---- */

static const struct setting small_pool[] = {{"max_bytes", "262144"}};

static size_t fill_many(unsigned count, size_t bytes) {
    size_t kept = 0;
    for (unsigned i = 0; i < count; i++) {
        struct fill fill;
        char id[32];
        snprintf(id, sizeof id, "fill-%u", i);
        fill_begin(&fill, id, "");
        body_free(&fill.body);
        fill.body = body_make(bytes, i);
        kept += fill_end(&fill, false) == OK;
    }
    return kept;
}

static bool may_evict(void) {
    return the_pool()->capabilities.evicts && subject_has_option("max_bytes");
}

START_TEST(cached_copies_make_room) {
    if (!may_evict()) {
        return;
    }
    reopen_with(small_pool, ARRAY_COUNT(small_pool));
    pool_set_cached_evictable(the_pool(), true);
    put_text("mine", "owned");
    ck_assert_uint_eq(fill_many(60, 10000), 60);
    assert_holds_text("mine", "owned");
    struct pool_status status;
    pool_get_status(the_pool(), &status);
    ck_assert_uint_le(status.bytes, 262144);
    ck_assert_uint_gt(status.entries, 10);
    struct body big = body_make(200000, 7);
    put("big", &big); /* an owned write finds its room too */
    assert_holds("big", &big);
    assert_holds_text("mine", "owned");
    body_free(&big);
}
END_TEST

START_TEST(without_a_proxy_nothing_is_evicted) {
    if (!may_evict()) {
        return;
    }
    reopen_with(small_pool, ARRAY_COUNT(small_pool));
    size_t kept = fill_many(60, 10000);
    ck_assert_uint_gt(kept, 10);
    ck_assert_uint_lt(kept, 60);
    for (unsigned i = 0; i < kept; i++) {
        char id[32];
        snprintf(id, sizeof id, "fill-%u", i);
        struct body body = body_make(10000, i);
        assert_holds(id, &body);
        body_free(&body);
    }
    struct body big = body_make(200000, 7);
    assert_put_fails("big", &big, NULL, ERR_NO_SPACE);
    body_free(&big);
}
END_TEST

TCase *cases_fills(void) {
    TCase *tcase = tcase_create("fills");
    tcase_add_loop_test(tcase, a_fill_is_an_entry_like_any_other, 0, 2);
    tcase_add_loop_test(tcase, a_put_beats_a_fill_that_began_before_it, 0, 2);
    tcase_add_loop_test(tcase, a_delete_beats_a_fill_that_began_before_it, 0, 2);
    tcase_add_loop_test(tcase, an_empty_beats_a_fill_that_began_before_it, 0, 2);
    tcase_add_loop_test(tcase, a_put_of_another_key_does_not, 0, 2);
    tcase_add_test(tcase, a_fill_that_a_delete_overtook_halfway);
    tcase_add_loop_test(tcase, a_fill_does_not_replace_an_owned_entry, 0, 2);
    tcase_add_loop_test(tcase, a_fill_refreshes_a_cached_copy, 0, 2);
    tcase_add_test(tcase, the_hold_is_kept);
    tcase_add_loop_test(tcase, while_a_copy_settles_a_miss_is_not_final, 0, 2);
    tcase_add_test(tcase, cached_copies_make_room);
    tcase_add_test(tcase, without_a_proxy_nothing_is_evicted);
    return tcase;
}
