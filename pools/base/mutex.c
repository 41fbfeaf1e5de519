/* mutex.c - ranked locks. See mutex.h.
 *
 * Each thread keeps a bit per rank it holds. Ranks are below 128, so two words do; taking a lock
 * checks that no bit at or above its rank is set. A few nanoseconds, in every build.
 */
#include "pools/base/mutex.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <errno.h>

/* ThreadSanitizer (the runtimes of gcc 12 and clang 14) knows every wait for a semaphore but this one: that the post came first has to be told. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define NOTE_POSTED(semaphore) __tsan_acquire(semaphore)
#else
#define NOTE_POSTED(semaphore) ((void)(semaphore))
#endif

#define RANK_WORDS 2

static _Thread_local uint64_t held_ranks[RANK_WORDS];

/* What is to be posted when the thread holds no lock any more; one too many is posted at once. */
#define POSTS_MOST 32
static _Thread_local sem_t *posts[POSTS_MOST];
static _Thread_local unsigned post_count;

static bool holds_any(void) {
    return held_ranks[0] | held_ranks[1];
}

static void post_all(void) {
    for (unsigned i = 0; i < post_count; i++) {
        MUST(sem_post(posts[i]) == 0);
    }
    post_count = 0;
}

void mutex_post_after(sem_t *semaphore) {
    if (holds_any() && post_count < POSTS_MOST) {
        posts[post_count++] = semaphore;
    } else {
        MUST(sem_post(semaphore) == 0);
    }
}

/* sem_timedwait would take the wall clock, which is set now and then. */
bool mutex_await_post(sem_t *semaphore, uint64_t deadline_ns) {
    MUST(!holds_any());
    struct timespec until = clock_timespec(deadline_ns);
    while (sem_clockwait(semaphore, CLOCK_MONOTONIC, &until) != 0) {
        if (errno == ETIMEDOUT) {
            return false;
        }
        MUST(errno == EINTR);
    }
    NOTE_POSTED(semaphore);
    return true;
}

static void held_add(enum mutex_rank rank) {
    unsigned word = (unsigned)rank / 64;
    uint64_t bit = UINT64_C(1) << ((unsigned)rank % 64);
    MUST(held_ranks[word] < bit);
    for (unsigned above = word + 1; above < RANK_WORDS; above++) {
        MUST(held_ranks[above] == 0);
    }
    held_ranks[word] |= bit;
}

static void held_remove(enum mutex_rank rank) {
    unsigned word = (unsigned)rank / 64;
    uint64_t bit = UINT64_C(1) << ((unsigned)rank % 64);
    MUST(held_ranks[word] & bit);
    held_ranks[word] &= ~bit;
}

void mutex_init(struct mutex *mutex, enum mutex_rank rank) {
    MUST((unsigned)rank < RANK_WORDS * 64);
    MUST(pthread_mutex_init(&mutex->native, NULL) == 0);
    mutex->rank = rank;
}

void mutex_fini(struct mutex *mutex) {
    MUST(pthread_mutex_destroy(&mutex->native) == 0);
}

void mutex_lock(struct mutex *mutex) {
    held_add(mutex->rank);
    MUST(pthread_mutex_lock(&mutex->native) == 0);
}

void mutex_unlock(struct mutex *mutex) {
    /* Read first: whoever takes the lock next may free the object that holds it. */
    enum mutex_rank rank = mutex->rank;
    MUST(pthread_mutex_unlock(&mutex->native) == 0);
    held_remove(rank);
    if (post_count && !holds_any()) {
        post_all();
    }
}

void cond_init(struct cond *cond) {
    pthread_condattr_t attributes;
    MUST(pthread_condattr_init(&attributes) == 0);
    MUST(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    MUST(pthread_cond_init(&cond->native, &attributes) == 0);
    MUST(pthread_condattr_destroy(&attributes) == 0);
}

void cond_fini(struct cond *cond) {
    MUST(pthread_cond_destroy(&cond->native) == 0);
}

bool cond_wait_until(struct cond *cond, struct mutex *mutex, uint64_t deadline_ns) {
    post_all();
    held_remove(mutex->rank);
    int result = 0;
    if (deadline_ns) {
        struct timespec until = clock_timespec(deadline_ns);
        result = pthread_cond_timedwait(&cond->native, &mutex->native, &until);
    } else {
        result = pthread_cond_wait(&cond->native, &mutex->native);
    }
    held_add(mutex->rank);
    MUST(result == 0 || result == ETIMEDOUT);
    return result == 0;
}

void cond_signal(struct cond *cond) {
    MUST(pthread_cond_signal(&cond->native) == 0);
}

void cond_broadcast(struct cond *cond) {
    MUST(pthread_cond_broadcast(&cond->native) == 0);
}
