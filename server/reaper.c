/* reaper.c - see reaper.h. */
#include "server/reaper.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* linux/tcp.h has the byte counters, but only netinet/tcp.h, which it excludes, names the states. */
enum { TCP_CLOSE = 7, TCP_CLOSE_WAIT = 8 };

#define PHASES 8u
#define TICKS_PER_LIMIT 10 /* a limit is kept to a tenth of the shortest one */
#define TICK_MOST_NS NS_PER_S

struct reaper {
    struct mutex mutex;
    struct cond wake; /* stopping */
    struct cond gone; /* nothing is watched any more */
    struct watch *first;
    struct reaper_limits limits;
    uint64_t tick_ns;
    bool stopping;
    pthread_t thread;
};

void watch_enter(struct watch *watch, enum watch_phase phase) {
    unsigned step = atomic_load_explicit(&watch->step, memory_order_relaxed);
    if (step % PHASES == (unsigned)phase) {
        return; /* a piece more of the same body is no new phase: its rate is what counts */
    }
    atomic_store_explicit(&watch->step, (step / PHASES + 1) * PHASES + (unsigned)phase, memory_order_relaxed);
}

enum watch_phase watch_phase(const struct watch *watch) {
    return (enum watch_phase)(atomic_load_explicit(&watch->step, memory_order_relaxed) % PHASES);
}

static bool read_info(int fd, struct tcp_info *ret_info) {
    socklen_t size = sizeof *ret_info;
    memset(ret_info, 0, sizeof *ret_info);
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, ret_info, &size) == 0;
}

static uint64_t bytes_moved(const struct tcp_info *info) {
    return info->tcpi_bytes_acked + info->tcpi_bytes_received;
}

uint64_t watch_acked_bytes(const struct watch *watch) {
    struct tcp_info info;
    return read_info(watch->fd, &info) ? info.tcpi_bytes_acked : 0;
}

/* The client has sent its last byte and all of them were read: what we wait for will not come. */
static bool is_at_end(int fd, const struct tcp_info *info) {
    int unread = 0;
    return (info->tcpi_state == TCP_CLOSE_WAIT || info->tcpi_state == TCP_CLOSE) &&
           ioctl(fd, FIONREAD, &unread) == 0 && unread == 0;
}

/* A phase begins with the tick that sees it first. */
static void begin_phase(struct watch *watch, unsigned step, uint64_t now_ns) {
    watch->seen_step = step;
    watch->since_ns = now_ns;
    watch->moved_ns = now_ns;
    watch->mark_ns = 0;
    watch->seen_end = false;
}

/* Fewer bytes than there must be, in a whole window. */
static bool is_too_slow(const struct reaper_limits *limits, struct watch *watch, uint64_t bytes,
                        uint64_t now_ns) {
    if (watch->mark_ns && now_ns - watch->mark_ns < limits->rate_ns) {
        return false;
    }
    bool too_slow = watch->mark_ns && bytes - watch->mark_bytes < limits->least_bytes;
    watch->mark_ns = now_ns;
    watch->mark_bytes = bytes;
    return too_slow;
}

enum verdict {
    KEEP,
    CLOSE_UNUSED, /* kept for a next request that did not come: no news for anybody */
    CLOSE
};

static enum verdict judge(struct reaper *reaper, struct watch *watch, uint64_t now_ns) {
    const struct reaper_limits *limits = &reaper->limits;
    unsigned step = atomic_load_explicit(&watch->step, memory_order_relaxed);
    enum watch_phase phase = (enum watch_phase)(step % PHASES);
    if (step != watch->seen_step) {
        begin_phase(watch, step, now_ns);
    }
    if (phase == WATCH_WORK) {
        return KEEP;
    }
    struct tcp_info info;
    bool is_known = read_info(watch->fd, &info);
    uint64_t bytes = is_known ? bytes_moved(&info) : 0;
    if (bytes != watch->moved_bytes) {
        watch->moved_bytes = bytes;
        watch->moved_ns = now_ns;
    }
    if (is_known && phase != WATCH_SEND && is_at_end(watch->fd, &info)) {
        if (watch->seen_end) {
            return CLOSE;
        }
        watch->seen_end = true;
    }
    if (now_ns - watch->moved_ns > limits->idle_ns) {
        return phase == WATCH_IDLE ? CLOSE_UNUSED : CLOSE;
    }
    uint64_t in_phase_ns = now_ns - watch->since_ns;
    bool is_over = false;
    switch (phase) {
    case WATCH_OPENED:
    case WATCH_HEAD:
        is_over = in_phase_ns > limits->header_ns;
        break;
    case WATCH_IDLE: /* something moves, but no request line is complete */
        is_over = in_phase_ns > limits->idle_ns + limits->header_ns;
        break;
    case WATCH_BODY:
    case WATCH_SEND:
        is_over = is_too_slow(limits, watch, bytes, now_ns);
        break;
    case WATCH_WORK:
        break;
    }
    return is_over ? CLOSE : KEEP;
}

static void *reaper_main(void *argument) {
    struct reaper *reaper = argument;
    mutex_lock(&reaper->mutex);
    while (!reaper->stopping) {
        uint64_t now_ns = clock_now_ns();
        unsigned reaped = 0;
        for (struct watch *watch = reaper->first; watch; watch = watch->next) {
            enum verdict verdict = judge(reaper, watch, now_ns);
            if (verdict != KEEP) {
                (void)shutdown(watch->fd, SHUT_RDWR); /* fails only when the client was faster */
            }
            reaped += verdict == CLOSE;
        }
        if (reaped) {
            log_line(LOG_INFO, "reaper", "shut %u connection(s) whose client was too slow or gone", reaped);
        }
        cond_wait_until(&reaper->wake, &reaper->mutex, now_ns + reaper->tick_ns);
    }
    mutex_unlock(&reaper->mutex);
    return NULL;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

struct reaper *reaper_start(const struct reaper_limits *limits) {
    struct reaper *reaper = calloc(1, sizeof *reaper);
    if (!reaper) {
        return NULL;
    }
    reaper->limits = *limits;
    uint64_t shortest_ns = least(limits->idle_ns, least(limits->header_ns, limits->rate_ns));
    reaper->tick_ns = least(TICK_MOST_NS, shortest_ns / TICKS_PER_LIMIT);
    mutex_init(&reaper->mutex, RANK_REAPER);
    cond_init(&reaper->wake);
    cond_init(&reaper->gone);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&reaper->thread, NULL, reaper_main, reaper);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) {
        cond_fini(&reaper->gone);
        cond_fini(&reaper->wake);
        mutex_fini(&reaper->mutex);
        free(reaper);
        return NULL;
    }
    return reaper;
}

void reaper_stop(struct reaper *reaper) {
    if (!reaper) {
        return;
    }
    mutex_lock(&reaper->mutex);
    reaper->stopping = true;
    cond_signal(&reaper->wake);
    mutex_unlock(&reaper->mutex);
    MUST(pthread_join(reaper->thread, NULL) == 0);
    MUST(!reaper->first);
    cond_fini(&reaper->gone);
    cond_fini(&reaper->wake);
    mutex_fini(&reaper->mutex);
    free(reaper);
}

void reaper_watch(struct reaper *reaper, struct watch *watch, int fd) {
    uint64_t now_ns = clock_now_ns();
    *watch = (struct watch){.fd = fd, .since_ns = now_ns, .moved_ns = now_ns};
    atomic_init(&watch->step, WATCH_OPENED);
    mutex_lock(&reaper->mutex);
    watch->next = reaper->first;
    if (watch->next) {
        watch->next->previous = watch;
    }
    reaper->first = watch;
    mutex_unlock(&reaper->mutex);
}

void reaper_forget(struct reaper *reaper, struct watch *watch) {
    mutex_lock(&reaper->mutex);
    if (watch->previous) {
        watch->previous->next = watch->next;
    } else {
        reaper->first = watch->next;
    }
    if (watch->next) {
        watch->next->previous = watch->previous;
    }
    if (!reaper->first) {
        cond_broadcast(&reaper->gone);
    }
    mutex_unlock(&reaper->mutex);
}

void reaper_end_all(struct reaper *reaper, uint64_t deadline_ns) {
    mutex_lock(&reaper->mutex);
    for (const struct watch *watch = reaper->first; watch; watch = watch->next) {
        (void)shutdown(watch->fd, SHUT_RDWR);
    }
    bool in_time = true;
    while (reaper->first && in_time) {
        in_time = cond_wait_until(&reaper->gone, &reaper->mutex, deadline_ns);
    }
    mutex_unlock(&reaper->mutex);
}
