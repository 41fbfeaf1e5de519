/* access_log.h - one JSON line per request, on standard error like every other log line. */
#ifndef SERVER_ACCESS_LOG_H
#define SERVER_ACCESS_LOG_H

#include "pools/base/op.h"

#include <stdbool.h>

struct access_record {
    const char *client; /* "127.0.0.1:41234" */
    const char *method;
    const char *target;    /* raw; cut and escaped when written */
    const char *operation; /* the route's; "" = none */
    unsigned status;       /* 0 = never answered */
    uint64_t sent_bytes;   /* of the body */
    uint64_t started_ns;   /* monotonic */
    uint64_t request_id;
    bool complete;             /* false = the connection ended first */
    const struct fault *fault; /* NULL = none */
};

/* Any thread; one write(2). */
void access_log_write(const struct access_record *record);

#endif
