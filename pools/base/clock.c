/* clock.c - see clock.h. */
#include "pools/base/clock.h"

#include "pools/base/must.h"

#include <stdio.h>

uint64_t clock_now_ns(void) {
    struct timespec now;
    MUST(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t clock_wall_ms(void) {
    struct timespec now;
    MUST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Times may come from a store that others write: what both texts can say is 1970 to 9999. */
static int64_t bounded(int64_t wall_ms) {
    const int64_t last_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
    return wall_ms < 0 ? 0 : wall_ms > last_ms ? last_ms : wall_ms;
}

static struct tm broken_down(int64_t wall_ms) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    MUST(gmtime_r(&seconds, &parts) != NULL);
    return parts;
}

void clock_format(int64_t wall_ms, char ret_text[CLOCK_TEXT_BYTES]) {
    wall_ms = bounded(wall_ms);
    struct tm parts = broken_down(wall_ms);
    char day[20];
    MUST(strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts) == 19);
    snprintf(ret_text, CLOCK_TEXT_BYTES, "%s.%03uZ", day, (unsigned)(wall_ms % 1000) % 1000);
}

void clock_format_http(int64_t wall_ms, char ret_text[CLOCK_HTTP_BYTES]) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts = broken_down(bounded(wall_ms));
    snprintf(ret_text, CLOCK_HTTP_BYTES, "%s, %02u %s %04u %02u:%02u:%02u GMT", days[parts.tm_wday % 7],
             (unsigned)parts.tm_mday % 100, months[parts.tm_mon % 12],
             (unsigned)(parts.tm_year + 1900) % 10000, (unsigned)parts.tm_hour % 100,
             (unsigned)parts.tm_min % 100, (unsigned)parts.tm_sec % 100);
}

struct timespec clock_timespec(uint64_t monotonic_ns) {
    return (struct timespec){.tv_sec = (time_t)(monotonic_ns / NS_PER_S),
                             .tv_nsec = (long)(monotonic_ns % NS_PER_S)};
}
