/* clock.h - the two clocks. Monotonic nanoseconds for deadlines, wall milliseconds for records. */
#ifndef POOLS_BASE_CLOCK_H
#define POOLS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

uint64_t clock_now_ns(void);
int64_t clock_wall_ms(void);
/* The texts say 1970 to 9999; what lies outside is shown as the nearest of these. RFC 3339 UTC with milliseconds, "2026-11-22T09:37:09.973Z"; ret_text holds 25 bytes with the NUL. */
#define CLOCK_TEXT_BYTES 25
void clock_format(int64_t wall_ms, char ret_text[CLOCK_TEXT_BYTES]);
/* RFC 9110 IMF-fixdate, 30 bytes with the NUL. */
#define CLOCK_HTTP_BYTES 30
void clock_format_http(int64_t wall_ms, char ret_text[CLOCK_HTTP_BYTES]);
/* Absolute CLOCK_MONOTONIC time for a condition variable made by cond_init. */
struct timespec clock_timespec(uint64_t monotonic_ns);

#endif
