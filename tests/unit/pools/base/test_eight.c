/* test_eight.c - every test of eight bytes against its plain meaning: every byte, in every place, beside every kind of neighbour. */
#include "pools/base/eight.h"
#include "tests/unit/pools/base/base_suites.h"

static bool tests_agree(const unsigned char text[EIGHT], unsigned limit) {
    uint64_t eight = eight_load((const char *)text);
    bool is_below = false;
    bool is_from = false;
    for (size_t i = 0; i < EIGHT; i++) {
        is_below = is_below || text[i] < limit;
        is_from = is_from || text[i] >= limit;
    }
    return (eight_below(eight, (uint8_t)limit) != 0) == is_below &&
           (eight_from(eight, (uint8_t)limit) != 0) == is_from;
}

START_TEST(a_byte_is_found_wherever_it_stands) {
    static const unsigned char neighbours[] = {0, 1, 0x1f, 0x20, 0x26, 'x', 0x7e, 0x7f, 0x80, 0xff};
    static const unsigned limits[] = {1, 2, 0x20, 0x26, 0x7f, 0x80};
    unsigned wrong = 0;
    for (size_t n = 0; n < sizeof neighbours; n++) {
        for (size_t at = 0; at < EIGHT; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                unsigned char text[EIGHT];
                memset(text, neighbours[n], sizeof text);
                text[at] = (unsigned char)byte;
                for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
                    wrong += !tests_agree(text, limits[i]);
                }
            }
        }
    }
    ck_assert_uint_eq(wrong, 0);
}
END_TEST

START_TEST(a_tail_is_the_last_eight_or_filled_up) {
    const char *text = "0123456789";
    for (size_t bytes = 0; bytes <= 10; bytes++) {
        char wanted[EIGHT + 1] = "xxxxxxxx";
        size_t from = bytes < EIGHT ? 0 : bytes - EIGHT;
        memcpy(wanted, text + from, bytes - from);
        ck_assert(eight_tail(text, bytes) == eight_load(wanted));
    }
}
END_TEST

Suite *eight_suite(void) {
    Suite *suite = suite_create("eight");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, a_byte_is_found_wherever_it_stands);
    tcase_add_test(tcase, a_tail_is_the_last_eight_or_filled_up);
    suite_add_tcase(suite, tcase);
    return suite;
}
