/* test_token.c - the bytes of a token, against the list as RFC 9110 writes it. */
#include "pools/base/token.h"
#include "tests/unit/pools/base/base_suites.h"

#include <string.h>

static const char token_bytes[] =
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

START_TEST(every_byte_is_in_or_out) {
    for (unsigned byte = 0; byte < 256; byte++) {
        bool wanted = byte && strchr(token_bytes, (int)byte);
        ck_assert_msg(token_has_byte((unsigned char)byte) == wanted, "byte %u", byte);
    }
}
END_TEST

START_TEST(a_span_ends_at_the_first_other_byte) {
    ck_assert_uint_eq(token_span(""), 0);
    ck_assert_uint_eq(token_span("=1"), 0);
    ck_assert_uint_eq(token_span("max-age=1"), 7);
    ck_assert_uint_eq(token_span("caf\xc3\xa9"), 3);
    ck_assert_uint_eq(token_span(token_bytes), sizeof token_bytes - 1);
}
END_TEST

Suite *token_suite(void) {
    Suite *suite = suite_create("token");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, every_byte_is_in_or_out);
    tcase_add_test(tcase, a_span_ends_at_the_first_other_byte);
    suite_add_tcase(suite, tcase);
    return suite;
}
