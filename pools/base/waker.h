/* waker.h - "call me when it is worth asking again".
 *
 * Anything asynchronous here is polled: a call answers ERR_AGAIN and remembers the waker; when the
 * answer may have changed, wake is called once or more, from any thread, possibly under the waking
 * object's own lock. wake must not block nor call back: it schedules (executor_submit) and returns.
 * A spurious wake is legal; a missing one is a bug. Unsubscribing under the waking object's lock
 * guarantees that no wake starts afterwards.
 */
#ifndef POOLS_BASE_WAKER_H
#define POOLS_BASE_WAKER_H

typedef void wake_fn(void *context);

struct waker {
    wake_fn *wake; /* NULL = nobody is waiting */
    void *context;
};

static inline void waker_wake(struct waker waker) {
    if (waker.wake) {
        waker.wake(waker.context);
    }
}

#endif
