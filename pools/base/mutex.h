/* mutex.h - pthread mutexes that know their rank.
 *
 * Locks are taken in rising rank order; two locks of one rank are never held together by a thread.
 * Every build checks it (one thread-local word per lock): a wrong order aborts at once instead of
 * hanging once a year. No lock is held while waiting for a network, a disk sync or another thread,
 * except on its own condition variable.
 *
 * The table of ranks is the project's whole lock order.
 */
#ifndef POOLS_BASE_MUTEX_H
#define POOLS_BASE_MUTEX_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

enum mutex_rank {
    RANK_STATE = 5,       /* pools/state: the SQLite connection */
    RANK_REGISTRY = 10,   /* pools/registry */
    RANK_WIRING = 20,     /* pools/chain/wiring */
    RANK_FLIGHTS = 30,    /* pools/chain/flight: the table of flights and each flight's state */
    RANK_STREAM = 35,     /* pools/chain/stream: one growing body */
    RANK_FENCE = 40,      /* pools/fence: fills in progress on one pool */
    RANK_KIND = 50,       /* a backend's own outer lock */
    RANK_KIND_INNER = 55, /* a backend's inner lock, taken under its outer one */
    RANK_SHADOW = 57,     /* pools/hdf5/vfd: one shadow's overlay, inside the library's own lock */
    RANK_EXCHANGES = 58,  /* server/exchange: the list of exchanges that may be parked */
    RANK_EXCHANGE = 60,   /* server/exchange: one request */
    RANK_REAPER = 70,     /* server/reaper: the table of connections */
    RANK_SPOOL = 75,      /* base/spool: one spool's memory and size */
    RANK_EXECUTOR = 80,   /* base/executor: one lane's queue */
    RANK_LOG = 90
};

struct mutex {
    pthread_mutex_t native;
    enum mutex_rank rank;
};

void mutex_init(struct mutex *mutex, enum mutex_rank rank);
void mutex_fini(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);
/* sem_post as soon as the calling thread holds no lock: now, or with its last unlock. Whoever is woken earlier runs into the locks that are still
 * held, and waits again. The semaphore must be there until then; so must not wait for its own post who calls. */
void mutex_post_after(sem_t *semaphore);

/* Waits until it is posted or the monotonic time has come; false on time-out. No lock is held. */
bool mutex_await_post(sem_t *semaphore, uint64_t deadline_ns);

/* A condition variable on the monotonic clock. */
struct cond {
    pthread_cond_t native;
};
void cond_init(struct cond *cond);
void cond_fini(struct cond *cond);
/* Waits until signalled or the monotonic time has come (0 = for ever); false on time-out. The mutex must be the
 * highest-ranked one held. */
bool cond_wait_until(struct cond *cond, struct mutex *mutex, uint64_t deadline_ns);
void cond_signal(struct cond *cond);
void cond_broadcast(struct cond *cond);

#endif
