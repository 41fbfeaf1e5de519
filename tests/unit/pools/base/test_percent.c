/* test_percent.c - percent-encoding both ways, its canonical form, and UTF-8. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/percent.h"

static void assert_encodes(const char *bytes, size_t count, const char *expected) {
    struct buf buf;
    buf_init(&buf, 4096);
    ck_assert_int_eq(percent_encode(&buf, bytes, count), OK);
    ck_assert_str_eq(buf.data ? buf.data : "", expected);
    char back[4096];
    size_t back_bytes = 99;
    ck_assert_int_eq(percent_decode(expected, strlen(expected), back, &back_bytes), OK);
    ck_assert_uint_eq(back_bytes, count);
    ck_assert_mem_eq(back, bytes, count);
    ck_assert_int_eq(percent_decode_canonical(expected, strlen(expected), back, &back_bytes), OK);
    ck_assert_uint_eq(back_bytes, count);
    buf_fini(&buf);
}

START_TEST(encodes_and_decodes_back) {
    assert_encodes("", 0, "");
    assert_encodes("AZaz09-._~", 10, "AZaz09-._~");
    assert_encodes("a:b", 3, "a%3Ab");
    assert_encodes("a%3Ab", 5, "a%253Ab");
    assert_encodes(" +/", 3, "%20%2B%2F");
    assert_encodes("caf\xc3\xa9", 5, "caf%C3%A9");
    assert_encodes("\0\x7f\xff", 3, "%00%7F%FF");
}
END_TEST

START_TEST(decodes_once_and_leniently) {
    static const struct {
        const char *text;
        const char *bytes;
    } rows[] = {{"%41", "A"}, {"%3a", ":"}, {"%253A", "%3A"}, {"a+b", "a+b"}, {"a:b/c", "a:b/c"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[64];
        size_t count = 0;
        ck_assert_int_eq(percent_decode(rows[i].text, strlen(rows[i].text), bytes, &count), OK);
        ck_assert_str_eq(bytes, rows[i].bytes);
        ck_assert_uint_eq(count, strlen(rows[i].bytes));
    }
}
END_TEST

START_TEST(malformed_escapes) {
    static const char *const rows[] = {"%", "%4", "a%", "%4g", "%g4", "%%41", "%-1", "% 1", "%+1", "100%"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[64];
        size_t count = 0;
        ck_assert_int_eq(percent_decode(rows[i], strlen(rows[i]), bytes, &count), ERR_INVALID);
        ck_assert_int_eq(percent_decode_canonical(rows[i], strlen(rows[i]), bytes, &count), ERR_INVALID);
    }
}
END_TEST

START_TEST(what_is_not_canonical) {
    static const char *const rows[] = {"%3a", "%41", "a:b",         "a b",    "a/b",
                                       "%7E", "%2D", "caf\xc3\xa9", "%c3%A9", "%Af"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char bytes[64];
        size_t count = 0;
        ck_assert_msg(percent_decode_canonical(rows[i], strlen(rows[i]), bytes, &count) == ERR_INVALID, "%s",
                      rows[i]);
    }
}
END_TEST

START_TEST(encoding_keeps_the_maximum) {
    struct buf buf;
    buf_init(&buf, 5);
    ck_assert_int_eq(percent_encode(&buf, "a:b", 3), OK);
    ck_assert_int_eq(percent_encode(&buf, "c", 1), ERR_TOO_LARGE);
    buf_fini(&buf);
}
END_TEST

static const struct {
    const char *bytes;
    bool valid;
} utf8_rows[] = {
    {"", true},
    {"plain", true},
    {"caf\xc3\xa9", true},
    {"\xe2\x82\xac", true},
    {"\xf0\x9f\x98\x80", true},
    {"\xf4\x8f\xbf\xbf", true}, /* U+10FFFF */
    {"\xed\x9f\xbf", true},     /* U+D7FF */
    {"\xee\x80\x80", true},     /* U+E000 */
    {"\xed\xa0\x80", false},    /* a surrogate */
    {"\xed\xbf\xbf", false},
    {"\xf4\x90\x80\x80", false}, /* behind the last */
    {"\xf5\x80\x80\x80", false},
    {"\xc0\x80", false}, /* overlong */
    {"\xc1\xbf", false},
    {"\xe0\x9f\xbf", false},
    {"\xf0\x8f\xbf\xbf", false},
    {"\x80", false}, /* no lead */
    {"a\xbf", false},
    {"\xc3", false}, /* cut off */
    {"\xe2\x82", false},
    {"\xf0\x9f\x98", false},
    {"\xc3(", false},
    {"\xe2\x82(", false},
    {"\xff", false},
    {"\xfe", false},
};

START_TEST(utf8_rules) {
    const char *bytes = utf8_rows[_i].bytes;
    ck_assert(utf8_valid(bytes, strlen(bytes)) == utf8_rows[_i].valid);
    /* The same byte by byte. */
    struct utf8 state = {0};
    bool valid = true;
    for (size_t i = 0; valid && bytes[i]; i++) {
        valid = utf8_step(&state, &bytes[i], 1);
    }
    ck_assert((valid && utf8_done(&state)) == utf8_rows[_i].valid);
}
END_TEST

Suite *percent_suite(void) {
    Suite *suite = suite_create("percent");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, encodes_and_decodes_back);
    tcase_add_test(tcase, decodes_once_and_leniently);
    tcase_add_test(tcase, malformed_escapes);
    tcase_add_test(tcase, what_is_not_canonical);
    tcase_add_test(tcase, encoding_keeps_the_maximum);
    tcase_add_loop_test(tcase, utf8_rules, 0, (int)(sizeof utf8_rows / sizeof utf8_rows[0]));
    suite_add_tcase(suite, tcase);
    return suite;
}
