/* test_clock.c - the two clocks and their texts. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/clock.h"

START_TEST(formats) {
    static const struct {
        int64_t wall_ms;
        const char *rfc3339;
        const char *http;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {INT64_C(784111777000), "1994-11-06T08:49:37.000Z", "Sun, 06 Nov 1994 08:49:37 GMT"},
        {INT64_C(951782400999), "2000-02-29T00:00:00.999Z", "Tue, 29 Feb 2000 00:00:00 GMT"},
        {INT64_C(1700000000123), "2023-11-14T22:13:20.123Z", "Tue, 14 Nov 2023 22:13:20 GMT"},
        {INT64_C(253402300799999), "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_C(253402300800000), "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z", "Fri, 31 Dec 9999 23:59:59 GMT"},
        {-1, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {INT64_MIN, "1970-01-01T00:00:00.000Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[CLOCK_TEXT_BYTES];
        clock_format(rows[i].wall_ms, text);
        ck_assert_str_eq(text, rows[i].rfc3339);
        char http[CLOCK_HTTP_BYTES];
        clock_format_http(rows[i].wall_ms, http);
        ck_assert_str_eq(http, rows[i].http);
    }
}
END_TEST

START_TEST(monotonic_does_not_go_back) {
    uint64_t last = clock_now_ns();
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = clock_now_ns();
        ck_assert_uint_ge(now, last);
        last = now;
    }
    ck_assert_int_gt(clock_wall_ms(), INT64_C(1700000000000));
}
END_TEST

START_TEST(timespec) {
    struct timespec at = clock_timespec(UINT64_C(5000000007));
    ck_assert_int_eq(at.tv_sec, 5);
    ck_assert_int_eq(at.tv_nsec, 7);
}
END_TEST

Suite *clock_suite(void) {
    Suite *suite = suite_create("clock");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, formats);
    tcase_add_test(tcase, monotonic_does_not_go_back);
    tcase_add_test(tcase, timespec);
    suite_add_tcase(suite, tcase);
    return suite;
}
