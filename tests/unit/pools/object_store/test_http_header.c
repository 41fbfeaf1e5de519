/* test_http_header.c - an answer's header as its lines come in. */
#include "object_store_suites.h"

#include "pools/object_store/http_header.h"

#include <check.h>

#include <string.h>

static void add(struct http_header *header, const char *const *lines) {
    for (; *lines; lines++) {
        ck_assert_int_eq(http_header_add(header, *lines, strlen(*lines)), OK);
    }
}
#define ADD(header, ...) add(header, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(fields_by_name) {
    struct http_header header;
    http_header_init(&header, 4096);
    ADD(&header, "HTTP/1.1 206 Partial Content\r\n", "ETag: \"a\"\r\n", "x-amz-meta-a-b: 2\r\n",
        "X-AMZ-META-A:1\r\n", "Empty:  \r\n", "Padded: \ta b \t \r\n", "twice: 1\n", "Twice: \t2\n",
        "Returned: c\r \r\n");
    ck_assert(!header.complete);
    ADD(&header, "\r\n", "ETag: trailer\r\n");
    ck_assert(header.complete);
    ck_assert_uint_eq(header.status, 206);
    ck_assert_str_eq(http_header_field(&header, "etag"), "\"a\"");
    ck_assert_str_eq(http_header_field(&header, "x-amz-meta-a"), "1");
    ck_assert_str_eq(http_header_field(&header, "x-amz-meta-a-b"), "2");
    ck_assert_str_eq(http_header_field(&header, "empty"), "");
    ck_assert_str_eq(http_header_field(&header, "padded"), "a b");
    ck_assert_str_eq(http_header_field(&header, "twice"), "2");
    ck_assert_str_eq(http_header_field(&header, "returned"), "c");
    ck_assert_ptr_null(http_header_field(&header, "x-amz-meta"));
    http_header_fini(&header);
}
END_TEST

START_TEST(a_nul_hides_no_field) {
    static const char line[] = "A: 1 \r\0ETag: \"smuggled\"\r\n";
    struct http_header header;
    http_header_init(&header, 4096);
    ADD(&header, "HTTP/1.1 200 OK\r\n");
    ck_assert_int_eq(http_header_add(&header, line, sizeof line - 1), OK);
    ck_assert_str_eq(http_header_field(&header, "a"), "1");
    ck_assert_ptr_null(http_header_field(&header, "etag"));
    http_header_fini(&header);
}
END_TEST

START_TEST(interim_answers_are_forgotten) {
    struct http_header header;
    http_header_init(&header, 4096);
    ADD(&header, "HTTP/1.1 100 Continue\r\n", "A: 1\r\n", "\r\n");
    ck_assert(!header.complete);
    ADD(&header, "HTTP/1.1 200 OK\r\n", "B: 2\r\n", "\r\n");
    ck_assert(header.complete);
    ck_assert_ptr_null(http_header_field(&header, "A"));
    ck_assert_str_eq(http_header_field(&header, "B"), "2");
    http_header_fini(&header);
}
END_TEST

START_TEST(odd_status_lines) {
    const char *const odd[] = {"HTTP/1.1",    "HTTP/1.1 ",       "HTTP/1.1 2",
                               "HTTP/1.1 20", "HTTP/1.1 2x0 OK", "HTTP/"};
    for (size_t i = 0; i < ARRAY_COUNT(odd); i++) {
        struct http_header header;
        http_header_init(&header, 4096);
        ADD(&header, odd[i], "\r\n");
        ck_assert_uint_eq(header.status, 0);
        ck_assert(!header.complete);
        http_header_fini(&header);
    }
}
END_TEST

START_TEST(the_limit_holds) {
    struct http_header header;
    http_header_init(&header, 16);
    ADD(&header, "HTTP/1.1 200 OK\r\n", "A: 3456789\r\n");
    ck_assert_int_eq(http_header_add(&header, "B: 34567\r\n", 10), ERR_TOO_LARGE);
    http_header_fini(&header);
}
END_TEST

TCase *http_header_case(void) {
    TCase *tcase = tcase_create("http_header");
    tcase_add_test(tcase, fields_by_name);
    tcase_add_test(tcase, a_nul_hides_no_field);
    tcase_add_test(tcase, interim_answers_are_forgotten);
    tcase_add_test(tcase, odd_status_lines);
    tcase_add_test(tcase, the_limit_holds);
    return tcase;
}
