/* retry.c - see retry.h. No state but the caller's struct; any thread. */
#include "pools/object_store/retry.h"

#include "pools/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

const struct retry_policy retry_default_policy = {
    .most_attempts = 5,
    .base_ns = 100 * NS_PER_MS,
    .most_wait_ns = 5 * NS_PER_S,
    .connect_budget_ns = 2500 * NS_PER_MS,
    .budget_ns = 60 * NS_PER_S,
};

void retry_start(struct retry *retry, const struct retry_policy *policy, uint64_t now_ns) {
    retry->policy = policy;
    retry->started_ns = now_ns;
    retry->attempts = 0;
}

bool retry_again(struct retry *retry, enum retry_cause cause, unsigned retry_after_s, uint64_t random,
                 uint64_t now_ns, uint64_t deadline_ns, uint64_t *ret_wait_ns) {
    const struct retry_policy *policy = retry->policy;
    retry->attempts++;
    if (cause == RETRY_NEVER || retry->attempts >= policy->most_attempts) {
        return false;
    }
    uint64_t bound = policy->base_ns;
    for (unsigned i = 1; i < retry->attempts && bound < policy->most_wait_ns; i++) {
        bound *= 2;
    }
    if (bound > policy->most_wait_ns) {
        bound = policy->most_wait_ns;
    }
    uint64_t wait = random % (bound + 1);
    uint64_t advice = (uint64_t)retry_after_s * NS_PER_S;
    if (wait < advice) {
        wait = advice;
    }
    uint64_t budget = cause == RETRY_CONNECT ? policy->connect_budget_ns : policy->budget_ns;
    if (now_ns - retry->started_ns + wait > budget || (deadline_ns != 0 && now_ns + wait >= deadline_ns)) {
        return false;
    }
    *ret_wait_ns = wait;
    return true;
}

enum err retry_wait(struct op *op, uint64_t wait_ns, const atomic_bool *stop) {
    uint64_t end = clock_now_ns() + wait_ns;
    for (;;) {
        enum err err = op_check(op);
        uint64_t now = clock_now_ns();
        if (err != OK || now >= end || (stop && atomic_load(stop))) {
            return err;
        }
        /* Slices, so that a cancelled operation ends within 50 ms. */
        uint64_t slice = op_left_ns(op, 50 * NS_PER_MS);
        if (slice > end - now) {
            slice = end - now;
        }
        struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)slice};
        if (nanosleep(&pause, NULL) != 0 && errno != EINTR) {
            return op_fail_errno(op, errno, "sleep");
        }
    }
}

uint64_t retry_random(void) {
    uint64_t random;
    arc4random_buf(&random, sizeof random);
    return random;
}
