/* fake_store.h - a store that says what the test tells it to: one scripted answer per request, in order.
 *
 * One thread serves one connection at a time on a free loopback port, kept open between requests as HTTP/1.1 does. What came
 * is recorded. A request beyond the script, or an answer never asked for, fails the test at fake_store_stop.
 */
#ifndef TESTS_UNIT_POOLS_S3_FAKE_STORE_H
#define TESTS_UNIT_POOLS_S3_FAKE_STORE_H

#include <stddef.h>

enum fake_after {
    FAKE_KEEP,  /* the connection stays */
    FAKE_CLOSE, /* orderly end */
    FAKE_RESET, /* RST */
    FAKE_HANG   /* silence until the client goes */
};

struct fake_answer {
    const char *text;  /* bytes to send; NULL = none */
    size_t text_bytes; /* 0 = strlen */
    enum fake_after after;
};

#define FAKE_MOST_REQUESTS 32

struct fake_store;

/* The answers are borrowed until stop. */
struct fake_store *fake_store_start(const struct fake_answer *answers, size_t count);
/* Joins the thread and checks that the script was used up. */
void fake_store_stop(struct fake_store *store);
unsigned fake_store_port(const struct fake_store *store);

/* After the call under test has returned. The head ends before the empty line. */
size_t fake_store_requests(struct fake_store *store);
const char *fake_store_head(struct fake_store *store, size_t index);
const char *fake_store_body(struct fake_store *store, size_t index);
unsigned fake_store_connections(struct fake_store *store);
/* The field's value in that request, or NULL; valid until the next call. */
const char *fake_store_field(struct fake_store *store, size_t index, const char *name);

#endif
