/* test_buf.c - growth, the stated maximum, NUL behind the bytes; and blobs, which are buffers that are done. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/blob.h"
#include "pools/base/buf.h"

START_TEST(appends_and_terminates) {
    struct buf buf;
    buf_init(&buf, 10000);
    ck_assert_ptr_null(buf.data);
    ck_assert_int_eq(buf_append(&buf, "a\0b", 3), OK);
    ck_assert_int_eq(buf_append_text(&buf, "cd"), OK);
    ck_assert_int_eq(buf_printf(&buf, "%d-%s", 42, "x"), OK);
    ck_assert_uint_eq(buf.size, 9);
    ck_assert_mem_eq(buf.data, "a\0bcd42-x", 10); /* the NUL too */
    buf_clear(&buf);
    ck_assert_uint_eq(buf.size, 0);
    ck_assert_str_eq(buf.data, "");
    buf_fini(&buf);
}
END_TEST

START_TEST(grows_without_losing_bytes) {
    struct buf buf;
    buf_init(&buf, 1 << 20);
    for (unsigned i = 0; i < 20000; i++) {
        ck_assert_int_eq(buf_printf(&buf, "%05u", i), OK);
    }
    ck_assert_uint_eq(buf.size, 100000);
    ck_assert_mem_eq(buf.data + 5 * 12345, "12345", 5);
    for (unsigned bytes = 0; bytes < 600; bytes++) { /* around the room that a new one has */
        buf_fini(&buf);
        ck_assert_int_eq(buf_printf(&buf, "%0*d!", bytes, 0), OK);
        ck_assert_uint_eq(buf.size, (bytes ? bytes : 1) + 1);
        ck_assert_str_eq(buf.data + buf.size - 2, "0!");
    }
    buf_fini(&buf);
}
END_TEST

START_TEST(the_maximum_is_exact) {
    struct buf buf;
    buf_init(&buf, 8);
    ck_assert_int_eq(buf_append_text(&buf, "12345678"), OK);
    ck_assert_int_eq(buf_append_text(&buf, "9"), ERR_TOO_LARGE);
    ck_assert_int_eq(buf_printf(&buf, "%d", 9), ERR_TOO_LARGE);
    ck_assert_int_eq(buf_append(&buf, "", 0), OK);
    ck_assert_str_eq(buf.data, "12345678");
    char *space = NULL;
    ck_assert_int_eq(buf_reserve(&buf, SIZE_MAX, &space), ERR_TOO_LARGE);
    buf_fini(&buf);
}
END_TEST

START_TEST(reserve_and_commit) {
    struct buf buf;
    buf_init(&buf, 100);
    char *space = NULL;
    ck_assert_int_eq(buf_reserve(&buf, 10, &space), OK);
    memcpy(space, "hello", 5);
    buf_commit(&buf, 5);
    ck_assert_str_eq(buf.data, "hello");
    buf_fini(&buf);
}
END_TEST

START_TEST(steal_leaves_it_empty) {
    struct buf buf;
    buf_init(&buf, 100);
    ck_assert_ptr_null(buf_steal(&buf));
    ck_assert_int_eq(buf_append_text(&buf, "mine"), OK);
    char *text = buf_steal(&buf);
    ck_assert_str_eq(text, "mine");
    ck_assert_uint_eq(buf.size, 0);
    ck_assert_int_eq(buf_append_text(&buf, "next"), OK);
    ck_assert_str_eq(text, "mine");
    free(text);
    buf_fini(&buf);
}
END_TEST

START_TEST(blobs_are_shared) {
    struct blob *blob = blob_copy("body", 4);
    ck_assert_uint_eq(blob->size, 4);
    ck_assert_ptr_eq(blob_ref(blob), blob);
    blob_unref(blob);
    ck_assert_mem_eq(blob->data, "body", 4);
    blob_unref(blob);
    blob_unref(NULL);
    struct blob *empty = blob_copy(NULL, 0);
    ck_assert_uint_eq(empty->size, 0);
    blob_unref(empty);
    ck_assert_ptr_null(blob_new(SIZE_MAX));
}
END_TEST

Suite *buf_suite(void) {
    Suite *suite = suite_create("buf");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, appends_and_terminates);
    tcase_add_test(tcase, grows_without_losing_bytes);
    tcase_add_test(tcase, the_maximum_is_exact);
    tcase_add_test(tcase, reserve_and_commit);
    tcase_add_test(tcase, steal_leaves_it_empty);
    tcase_add_test(tcase, blobs_are_shared);
    suite_add_tcase(suite, tcase);
    return suite;
}
