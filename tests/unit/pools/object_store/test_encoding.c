/* test_encoding.c - base64 (RFC 4648 section 10), Content-MD5 (RFC 1864), dates. */
#include "object_store_suites.h"

#include "pools/object_store/encoding.h"

#include <check.h>

#include <string.h>

static const char *const known[][2] = {{"", ""},
                                       {"f", "Zg=="},
                                       {"fo", "Zm8="},
                                       {"foo", "Zm9v"},
                                       {"foob", "Zm9vYg=="},
                                       {"fooba", "Zm9vYmE="},
                                       {"foobar", "Zm9vYmFy"}};

START_TEST(base64_both_ways) {
    struct buf text, bytes;
    buf_init(&text, 64);
    buf_init(&bytes, 64);
    ck_assert_int_eq(base64_encode(&text, known[_i][0], strlen(known[_i][0])), OK);
    ck_assert_uint_eq(text.size, strlen(known[_i][1]));
    ck_assert_mem_eq(text.data, known[_i][1], text.size);
    ck_assert_int_eq(base64_decode(&bytes, text.data, text.size), OK);
    ck_assert_uint_eq(bytes.size, strlen(known[_i][0]));
    ck_assert(bytes.size == 0 || memcmp(bytes.data, known[_i][0], bytes.size) == 0);
    buf_fini(&text);
    buf_fini(&bytes);
}
END_TEST

START_TEST(base64_refuses_the_rest) {
    const char *const bad[] = {"Z",    "Zg=",      "Zg",   "Z===",     "====", "Zm9v\n",
                               " Zm9", "Zm9v    ", "Z=9v", "Zg==Zg==", "Zm_v"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct buf bytes;
        buf_init(&bytes, 64);
        ck_assert_msg(base64_decode(&bytes, bad[i], strlen(bad[i])) == ERR_INVALID, "%s", bad[i]);
        buf_fini(&bytes);
    }
}
END_TEST

START_TEST(md5_of_nothing_and_of_something) {
    char text[CONTENT_MD5_BYTES];
    ck_assert(content_md5("", 0, text));
    ck_assert_str_eq(text, "1B2M2Y8AsgTpgAmY7PhCfg==");
    ck_assert(content_md5("abc", 3, text));
    ck_assert_str_eq(text, "kAFQmDzST7DWlj99KOF/cg==");
}
END_TEST

START_TEST(dates) {
    ck_assert_int_eq(http_date_ms("Sun, 22 Nov 2026 09:37:09 GMT"), INT64_C(1795340229000));
    ck_assert_int_eq(http_date_ms("yesterday, perhaps"), 0);
    ck_assert_int_eq(http_date_ms(""), 0);
}
END_TEST

TCase *encoding_case(void) {
    TCase *tcase = tcase_create("encoding");
    tcase_add_loop_test(tcase, base64_both_ways, 0, (int)ARRAY_COUNT(known));
    tcase_add_test(tcase, base64_refuses_the_rest);
    tcase_add_test(tcase, md5_of_nothing_and_of_something);
    tcase_add_test(tcase, dates);
    return tcase;
}
