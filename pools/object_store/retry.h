/* retry.h - when to ask again, and after how long: exponential backoff with full jitter.
 *
 * A cause says how a failed attempt failed. Connections that cannot be made are given up after a few
 * seconds in all, so that a dead endpoint is known soon; a server that answers "later" gets more patience.
 * A request that the server understood and refused is never sent again.
 */
#ifndef POOLS_OBJECT_STORE_RETRY_H
#define POOLS_OBJECT_STORE_RETRY_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stdint.h>

enum retry_cause {
    RETRY_NEVER,     /* refused for good, or our own failure */
    RETRY_CONNECT,   /* nobody took the connection: the request was not sent */
    RETRY_TRANSIENT, /* 5xx, reset, no answer in time */
    RETRY_THROTTLED  /* 429, 503 SlowDown */
};

struct retry_policy {
    unsigned most_attempts; /* the first included */
    uint64_t base_ns;       /* the first wait is 0 to this, each further bound doubles */
    uint64_t most_wait_ns;
    uint64_t connect_budget_ns; /* no new attempt for RETRY_CONNECT once this has passed since the start */
    uint64_t budget_ns;         /* the same for the others */
};

/* 5 attempts, 100 ms doubling to 5 s, 2.5 s for connections, 60 s for the rest. */
extern const struct retry_policy retry_default_policy;

struct retry {
    const struct retry_policy *policy;
    uint64_t started_ns;
    unsigned attempts; /* made so far */
};

void retry_start(struct retry *retry, const struct retry_policy *policy, uint64_t now_ns);

/* Call after a failed attempt. True: wait *ret_wait_ns, then try again. `random` is uniform over 64 bits; retry_after_s is the
 * server's advice (0 = none), honoured up to the budget. Never past deadline_ns (0 = none). Pure but for the count. */
bool retry_again(struct retry *retry, enum retry_cause cause, unsigned retry_after_s, uint64_t random,
                 uint64_t now_ns, uint64_t deadline_ns, uint64_t *ret_wait_ns);

/* Sleeps, looking at the op's cancel flag: OK, ERR_CANCELLED or ERR_TIMEOUT recorded. Ends early, as OK, when *stop comes true (NULL = never). */
enum err retry_wait(struct op *op, uint64_t wait_ns, const atomic_bool *stop) MUST_USE;
/* 64 random bits for retry_again. */
uint64_t retry_random(void);

#endif
