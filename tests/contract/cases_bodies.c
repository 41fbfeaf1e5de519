/* cases_bodies.c - what was put is what is got: bodies of every size, and their metadata. */
#include "tests/contract/support.h"

#include "pools/base/clock.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)

static const size_t sizes[] = {0, 1, 2, 7, KIB - 1, KIB, 64 * KIB + 1, MIB, 5 * MIB};

static void round_trip(size_t count, const struct how *how) {
    struct body body = body_make(count, count);
    put_how("round", &body, how);
    assert_holds("round", &body);
    body_free(&body);
}

START_TEST(known_length) {
    round_trip(sizes[_i], NULL);
}
END_TEST

START_TEST(unknown_length_in_odd_pieces) {
    round_trip(sizes[_i], &(struct how){.unknown_size = true, .piece = 61 * KIB + 3});
}
END_TEST

START_TEST(whole_entry) {
    round_trip(sizes[_i], &(struct how){.as_entry = true});
}
END_TEST

START_TEST(text_and_bytes_that_look_alike) {
    /* A kind that stores text as text must give back these bytes all the same. */
    static const struct {
        const char *bytes;
        size_t count;
    } rows[] = {
        {"plain", 5},          {"", 0},         {"\0", 1},          {"a\0b", 3},         {"trailing\0", 9},
        {"\xff\xfe", 2},       {"\xc3", 1},     {"caf\xc3\xa9", 5}, {"null", 4},         {"0", 1},
        {"\xef\xbb\xbf{}", 5}, {"line\r\n", 6}, {" spaced ", 8},    {"\xed\xa0\x80", 3},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct body body = {.bytes = malloc(rows[i].count + 1), .count = rows[i].count};
        memcpy(body.bytes, rows[i].bytes, rows[i].count);
        put("alike", &body);
        assert_holds("alike", &body);
        body_free(&body);
    }
}
END_TEST

START_TEST(text_that_turns_into_bytes_late) {
    struct body body = body_make(200 * KIB, 0);
    memset(body.bytes, 'x', body.count);
    body.bytes[150 * KIB] = 0xff;
    put_how("late", &body, &(struct how){.unknown_size = true, .piece = 8 * KIB});
    assert_holds("late", &body);
    body_free(&body);
}
END_TEST

START_TEST(a_character_across_two_pieces) {
    struct body body = body_text("ab\xe2\x82\xac\xf0\x9f\x98\x80z");
    put_how("cut", &body, &(struct how){.unknown_size = true, .piece = 1});
    assert_holds("cut", &body);
    body_free(&body);
}
END_TEST

START_TEST(overwrite_longer_and_shorter) {
    static const size_t counts[] = {10, 100 * 1024, 3, 0, 1024 * 1024, 1};
    for (size_t i = 0; i < ARRAY_COUNT(counts); i++) {
        struct body body = body_make(counts[i], i);
        put("again", &body);
        assert_holds("again", &body);
        body_free(&body);
    }
    struct names names = list("", 100);
    ck_assert_uint_eq(names.count, 1);
    names_free(&names);
}
END_TEST

START_TEST(many_entries_do_not_mix) {
    unsigned count = subject_rounds(300, 20);
    for (unsigned i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "many-%u", i);
        struct body body = body_make((size_t)i * 37, i);
        put(id, &body);
        body_free(&body);
    }
    for (unsigned i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "many-%u", i);
        struct body body = body_make((size_t)i * 37, i);
        assert_holds(id, &body);
        body_free(&body);
    }
}
END_TEST

static struct meta rich_meta(size_t extension_bytes) {
    struct meta meta;
    meta_init(&meta);
    snprintf(meta.content_type, sizeof meta.content_type, "application/x-thing; v=\"1, 2\"");
    snprintf(meta.content_encoding, sizeof meta.content_encoding, "gzip");
    meta.created_ms = INT64_C(1700000000123);
    struct body extension = body_make(extension_bytes, 5);
    meta.extension = blob_copy(extension.bytes, extension.count);
    body_free(&extension);
    return meta;
}

static void assert_rich(const struct meta *meta, const struct meta *expected, const struct body *body) {
    ck_assert_str_eq(meta->content_type, expected->content_type);
    ck_assert_str_eq(meta->content_encoding, expected->content_encoding);
    ck_assert_int_eq(meta->created_ms, expected->created_ms);
    ck_assert_uint_eq(meta->size_bytes, body->count);
    ck_assert(meta->has_sha256);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(body->bytes, body->count, sha256);
    ck_assert_mem_eq(meta->sha256, sha256, SHA256_BYTES);
    ck_assert_ptr_nonnull(meta->extension);
    ck_assert_uint_eq(meta->extension->size, expected->extension->size);
    ck_assert_mem_eq(meta->extension->data, expected->extension->data, expected->extension->size);
}

START_TEST(metadata_comes_back) {
    if (!the_pool()->capabilities.stores_meta) {
        return;
    }
    struct body body = body_make(1000, 1);
    /* Object stores bound all metadata of an object to 2 KiB together. */
    struct meta meta = rich_meta(the_pool()->capabilities.remote ? 256 : META_EXTENSION_MOST_BYTES);
    int64_t before_ms = clock_wall_ms();
    put_how("rich", &body, &(struct how){.meta = &meta, .as_entry = _i == 1});

    struct got got = get(fresh_op(), "rich");
    ck_assert_err(got.err, OK);
    assert_rich(&got.meta, &meta, &body);
    if (!the_pool()->capabilities.remote && _i == 0) {
        ck_assert_int_ge(got.meta.stored_ms, before_ms);
        ck_assert_int_le(got.meta.stored_ms, clock_wall_ms());
    }
    got_free(&got);

    struct meta seen = stat_of("rich");
    assert_rich(&seen, &meta, &body);
    meta_fini(&seen);
    meta_fini(&meta);
    body_free(&body);
}
END_TEST

START_TEST(overwrite_replaces_metadata) {
    if (!the_pool()->capabilities.stores_meta) {
        return;
    }
    struct body body = body_make(10, 1);
    struct meta meta = rich_meta(100);
    put_how("rich", &body, &(struct how){.meta = &meta});
    put("rich", &body);
    struct meta seen = stat_of("rich");
    ck_assert_str_eq(seen.content_type, META_DEFAULT_TYPE);
    ck_assert_str_eq(seen.content_encoding, "");
    ck_assert_ptr_null(seen.extension);
    meta_fini(&seen);
    meta_fini(&meta);
    body_free(&body);
}
END_TEST

START_TEST(entries_outlive_the_pool_object) {
    if (!subject_survives_close()) {
        return;
    }
    struct body body = body_make(5000, 9);
    struct meta meta = rich_meta(100);
    put_how("kept", &body, &(struct how){.meta = &meta});
    put_text("caf\xc3\xa9/..", "text");
    put_text("gone", "x");
    ck_assert(remove_id("gone") || !the_pool()->capabilities.tells_created);
    reopen_with(NULL, 0);
    assert_holds("kept", &body);
    assert_holds_text("caf\xc3\xa9/..", "text");
    assert_absent("gone");
    if (the_pool()->capabilities.stores_meta) {
        struct meta seen = stat_of("kept");
        assert_rich(&seen, &meta, &body);
        meta_fini(&seen);
    }
    struct names names = list("", 100);
    ck_assert_uint_eq(names.count, 2);
    names_free(&names);
    meta_fini(&meta);
    body_free(&body);
}
END_TEST

TCase *cases_bodies(void) {
    TCase *tcase = tcase_create("bodies");
    tcase_add_loop_test(tcase, known_length, 0, (int)ARRAY_COUNT(sizes));
    tcase_add_loop_test(tcase, unknown_length_in_odd_pieces, 0, (int)ARRAY_COUNT(sizes));
    tcase_add_loop_test(tcase, whole_entry, 0, (int)ARRAY_COUNT(sizes));
    tcase_add_test(tcase, text_and_bytes_that_look_alike);
    tcase_add_test(tcase, text_that_turns_into_bytes_late);
    tcase_add_test(tcase, a_character_across_two_pieces);
    tcase_add_test(tcase, overwrite_longer_and_shorter);
    tcase_add_test(tcase, many_entries_do_not_mix);
    tcase_add_loop_test(tcase, metadata_comes_back, 0, 2);
    tcase_add_test(tcase, overwrite_replaces_metadata);
    tcase_add_test(tcase, entries_outlive_the_pool_object);
    return tcase;
}
