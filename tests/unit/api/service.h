/* service.h - a whole storage domain in memory behind the REST surface, and a client without a network.
 *
 * Pools: alpha, cold, far (memory), and down, whose every call fails as unavailable. No links at first.
 */
#ifndef TESTS_UNIT_API_SERVICE_H
#define TESTS_UNIT_API_SERVICE_H

#include "api/api.h"
#include "api/handler.h"

#define SMALL_BODY_BYTES 4096 /* flights complete bodies up to this size before the answer */

struct service; /* opened by each test's setup, closed by its teardown */
struct service *service_open(void);
void service_close(struct service *service);
struct api *service_api(struct service *service);

struct call {
    const char *method; /* NULL = GET */
    const char *target;
    const char *fields[8][2];   /* up to the first NULL name */
    const char *trailers[2][2]; /* found once the body has been read to its end */
    const char *body;           /* NULL = none */
    size_t body_bytes;          /* 0 = strlen(body) */
    bool chunked;               /* no declared length */
    bool in_drops;              /* one byte a time, each after a wake */
    size_t cut_after;           /* the client leaves after so many bytes; 0 = it stays */
};

/* The answer as the client has it. Freed by the next call and by service_close. */
struct answer {
    unsigned status;
    char *body; /* NUL-terminated */
    size_t body_bytes;
    struct response response; /* its fields; for answer_field */
    bool from_peek;           /* answered on the poll thread */
    bool reusable;
    enum body_kind body_kind; /* as the server got it */
    uint64_t content_length;
};
const struct answer *service_call(struct service *service, const struct call *call);
/* The field's value, "" when it was not sent. */
const char *answer_field(const struct answer *answer, const char *name);

/* Shorthands. */
const struct answer *service_get(struct service *service, const char *target);
const struct answer *service_put(struct service *service, const char *target, const char *body);
const struct answer *service_send_json(struct service *service, const char *method, const char *target,
                                       const char *json);

/* What the pool `down` says of itself; unavailable at first. */
void service_set_down_state(struct service *service, enum pool_state state);

/* Makes io->has_prepared answer true. */
void service_set_prepared(struct service *service, bool is_prepared);

#endif
