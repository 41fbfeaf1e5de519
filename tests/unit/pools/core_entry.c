/* core_entry.c - metadata, entity tags, reference counts, the note. */
#include "tests/unit/pools/core_suites.h"

#include "pools/entry.h"

START_TEST(meta_begins_empty) {
    struct meta meta;
    memset(&meta, 0xff, sizeof meta);
    meta_init(&meta);
    ck_assert_uint_eq(meta.size_bytes, SIZE_UNKNOWN);
    ck_assert_str_eq(meta.content_type, META_DEFAULT_TYPE);
    ck_assert_str_eq(meta.content_encoding, "");
    ck_assert_str_eq(meta.validator, "");
    ck_assert_int_eq(meta.hold, HOLD_OWNED);
    ck_assert(!meta.has_sha256);
    ck_assert_ptr_null(meta.extension);
    meta_fini(&meta);
}
END_TEST

START_TEST(copies_share_the_extension) {
    struct meta meta;
    meta_init(&meta);
    meta.extension = blob_copy("ext", 3);
    struct meta copy;
    meta_copy(&copy, &meta);
    ck_assert_ptr_eq(copy.extension, meta.extension);
    meta_fini(&meta);
    ck_assert_mem_eq(copy.extension->data, "ext", 3);
    meta_fini(&copy);
    meta_fini(&copy); /* twice does no harm */
}
END_TEST

START_TEST(etags) {
    struct meta meta;
    meta_init(&meta);
    char etag[ETAG_BYTES];
    meta_etag(&meta, etag);
    ck_assert_str_eq(etag, "");
    memset(meta.validator, 'v', META_VALIDATOR_BYTES - 1);
    meta_etag(&meta, etag);
    ck_assert_uint_eq(strlen(etag), META_VALIDATOR_BYTES + 1);
    ck_assert_int_eq(etag[0], '"');
    ck_assert_int_eq(etag[META_VALIDATOR_BYTES], '"');
    meta.has_sha256 = true;
    digest_sha256("abc", 3, meta.sha256);
    meta_etag(&meta, etag);
    ck_assert_str_eq(etag, "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
}
END_TEST

struct counted_note {
    struct entry_note note;
    unsigned *freed;
};

static void free_counted(void *note) {
    struct counted_note *counted = note;
    (*counted->freed)++;
    free(counted);
}

static struct counted_note *counted_new(unsigned *freed) {
    struct counted_note *counted = malloc(sizeof *counted);
    *counted = (struct counted_note){.note = {.free_note = free_counted}, .freed = freed};
    return counted;
}

START_TEST(an_entry_and_its_body) {
    struct blob *body = blob_copy("body", 4);
    struct meta meta;
    meta_init(&meta);
    meta.size_bytes = 99; /* corrected */
    struct entry *entry = entry_new(&meta, body);
    blob_unref(body);
    ck_assert_uint_eq(entry->meta.size_bytes, 4);
    ck_assert_mem_eq(entry->body->data, "body", 4);
    ck_assert_uint_gt(entry_overhead_bytes(entry), sizeof *entry);
    ck_assert_ptr_eq(entry_ref(entry), entry);
    entry_unref(entry);
    entry_unref(entry);
    entry_unref(NULL);
}
END_TEST

START_TEST(the_first_note_stays_and_dies_with_the_entry) {
    struct blob *body = blob_copy("", 0);
    struct meta meta;
    meta_init(&meta);
    struct entry *entry = entry_new(&meta, body);
    blob_unref(body);
    unsigned freed = 0;
    struct counted_note *first = counted_new(&freed);
    struct counted_note *second = counted_new(&freed);
    ck_assert(entry_set_note(entry, &first->note));
    ck_assert(!entry_set_note(entry, &second->note));
    ck_assert_uint_eq(freed, 0);
    free(second);
    entry_unref(entry);
    ck_assert_uint_eq(freed, 1);
}
END_TEST

START_TEST(overhead_counts_the_extension) {
    struct blob *body = blob_copy("", 0);
    struct meta meta;
    meta_init(&meta);
    struct entry *plain = entry_new(&meta, body);
    meta.extension = blob_new(2000);
    memset(meta.extension->data, 0, 2000);
    struct entry *extended = entry_new(&meta, body);
    ck_assert_uint_ge(entry_overhead_bytes(extended), entry_overhead_bytes(plain) + 2000);
    meta_fini(&meta);
    blob_unref(body);
    entry_unref(plain);
    entry_unref(extended);
}
END_TEST

Suite *entry_suite(void) {
    Suite *suite = suite_create("entry");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, meta_begins_empty);
    tcase_add_test(tcase, copies_share_the_extension);
    tcase_add_test(tcase, etags);
    tcase_add_test(tcase, an_entry_and_its_body);
    tcase_add_test(tcase, the_first_note_stays_and_dies_with_the_entry);
    tcase_add_test(tcase, overhead_counts_the_extension);
    suite_add_tcase(suite, tcase);
    return suite;
}
