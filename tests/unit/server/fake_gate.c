/* fake_gate.c - see fake_gate.h and fake_api.h. Tests may have globals. */
#include "tests/unit/server/fake_gate.h"

#include "pools/base/must.h"
#include "pools/base/mutex.h"
#include "tests/unit/server/fake_api.h"

#define WAITING_MOST 256

static struct mutex mutex;
static struct cond changed; /* an arrival, an end */
static bool is_open;
static struct request *waiting[WAITING_MOST];
static unsigned waiting_count;
static unsigned arrivals, begun, finished;

void gate_init(void) {
    mutex_init(&mutex, RANK_KIND);
    cond_init(&changed);
    is_open = false;
    waiting_count = arrivals = begun = finished = 0;
}

void gate_fini(void) {
    cond_fini(&changed);
    mutex_fini(&mutex);
}

/* ---- the handlers' side ---- */

static void subscribe_locked(struct request *request, bool *has_come) {
    if (!*has_come) {
        MUST(waiting_count < WAITING_MOST);
        waiting[waiting_count++] = request;
        *has_come = true;
        arrivals++;
        cond_broadcast(&changed);
    }
}

enum err gate_pass(struct request *request, bool *has_come) {
    mutex_lock(&mutex);
    bool open = is_open;
    if (!open) {
        subscribe_locked(request, has_come);
    }
    mutex_unlock(&mutex);
    return open ? OK : ERR_AGAIN;
}

void gate_subscribe(struct request *request, bool *has_come) {
    mutex_lock(&mutex);
    subscribe_locked(request, has_come);
    mutex_unlock(&mutex);
}

void gate_leave(struct request *request) {
    mutex_lock(&mutex);
    for (unsigned i = 0; i < waiting_count; i++) {
        if (waiting[i] == request) {
            waiting[i] = waiting[--waiting_count];
            break;
        }
    }
    mutex_unlock(&mutex);
}

void gate_count_begun(void) {
    mutex_lock(&mutex);
    begun++;
    mutex_unlock(&mutex);
}

void gate_count_finished(void) {
    mutex_lock(&mutex);
    finished++;
    cond_broadcast(&changed);
    mutex_unlock(&mutex);
}

/* ---- the tests' side ---- */

static void wake_all_locked(void) {
    for (unsigned i = 0; i < waiting_count; i++) {
        waker_wake(waiting[i]->waker);
    }
}

void fake_open_gate(void) {
    mutex_lock(&mutex);
    is_open = true;
    wake_all_locked();
    waiting_count = 0;
    mutex_unlock(&mutex);
}

void fake_nudge(void) {
    mutex_lock(&mutex);
    wake_all_locked();
    mutex_unlock(&mutex);
}

void fake_await_at_gate(unsigned count) {
    mutex_lock(&mutex);
    while (arrivals < count) {
        cond_wait_until(&changed, &mutex, 0);
    }
    mutex_unlock(&mutex);
}

unsigned fake_await_all_finished(unsigned least) {
    mutex_lock(&mutex);
    while (finished < begun || finished < least) {
        cond_wait_until(&changed, &mutex, 0);
    }
    unsigned count = finished;
    mutex_unlock(&mutex);
    return count;
}
