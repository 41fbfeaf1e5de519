/* test_hex.c - hexadecimal digits: every byte, numbers to the last bit, texts that end too early. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/hex.h"

START_TEST(every_byte) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    for (int byte = 0; byte < 256; byte++) {
        const char *at = byte ? strchr(digits, byte) : NULL;
        ck_assert_msg(hex_digit((char)byte) == (at ? (int)(at - digits) % 16 : -1), "byte %d", byte);
    }
}
END_TEST

START_TEST(numbers) {
    uint64_t number = 7;
    ck_assert(hex_read_number("fFfF0123456789aB!", 16, &number));
    ck_assert_uint_eq(number, UINT64_C(0xffff0123456789ab));
    ck_assert(hex_read_number("0a", 1, &number));
    ck_assert_uint_eq(number, 0);
    static const char *const wrong[] = {"", "1", "0x", " 1", "+1", "-1", "1g"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        number = 7;
        ck_assert_msg(!hex_read_number(wrong[i], 2, &number) && number == 7, "'%s'", wrong[i]);
    }
}
END_TEST

START_TEST(bytes) {
    uint8_t found[3] = {0};
    ck_assert(hex_read_bytes("00fF7e", 3, found));
    ck_assert_mem_eq(found, "\x00\xff\x7e", 3);
    ck_assert(!hex_read_bytes("00ff7", 3, found));
    ck_assert(!hex_read_bytes("00f\n7e", 3, found));
}
END_TEST

Suite *hex_suite(void) {
    Suite *suite = suite_create("hex");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, every_byte);
    tcase_add_test(tcase, numbers);
    tcase_add_test(tcase, bytes);
    suite_add_tcase(suite, tcase);
    return suite;
}
