/* reaper.h - ends connections whose client keeps us waiting.
 *
 * The HTTP library has a time-out of its own, which is not set: it starts anew with every byte, so one byte a second holds a connection for
 * ever, and keeping it costs three clocks and three locks in every request. The reaper
 * is one thread that looks at every connection once a tick and shuts (shutdown(2)) the ones that
 *   - moved no byte for idle_ns while the client is waited for;
 *   - are longer than header_ns in the header phase of a request, or idle_ns + header_ns between two requests;
 *   - move less than least_bytes in rate_ns while only the client is waited for (its body, or its taking the answer);
 * and the ones whose client has sent its end while more is awaited: the library loses an end that comes together with data
 * (0.9.75, edge-triggered epoll). Progress is read from the kernel (TCP_INFO), so the request path counts nothing: it stores one word when a connection's phase
 * changes. The poll thread then sees the end of the connection and cleans up as for any client that left.
 *
 * Threads: reaper_watch, reaper_forget and watch_enter are the poll threads'. One mutex (RANK_REAPER) around the list; a
 * connection is forgotten before its socket is closed, so the reaper never touches a number that was given anew.
 */
#ifndef SERVER_REAPER_H
#define SERVER_REAPER_H

#include "pools/base/attrs.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct reaper;

struct reaper_limits {
    uint64_t header_ns;
    uint64_t idle_ns;
    uint64_t rate_ns;
    uint64_t least_bytes; /* in rate_ns */
};

enum watch_phase {
    WATCH_OPENED, /* connected, no whole header block yet */
    WATCH_IDLE,   /* between two requests */
    WATCH_HEAD,   /* a request line has come, its header fields not all */
    WATCH_BODY,   /* waiting for the request body */
    WATCH_WORK,   /* the client is waiting for us: never reaped */
    WATCH_SEND    /* waiting for the client to take the answer */
};

struct watch {
    struct watch *next; /* the reaper's, like all but step */
    struct watch *previous;
    int fd;
    unsigned seen_step;
    bool seen_end;
    uint64_t since_ns;    /* of the phase */
    uint64_t moved_ns;    /* when bytes moved last, or the phase began */
    uint64_t moved_bytes; /* by then */
    uint64_t mark_ns;     /* where the window of the rate begins; 0 = nowhere yet */
    uint64_t mark_bytes;
    atomic_uint step; /* a serial number times eight, plus the phase */
};

/* Starts the thread. NULL when out of memory or threads. */
struct reaper *reaper_start(const struct reaper_limits *limits);
void reaper_stop(struct reaper *reaper); /* nothing may be watched any more */
DEFINE_AUTO(struct reaper, reaper_stop)

/* In phase WATCH_OPENED; the watch is the caller's storage. */
void reaper_watch(struct reaper *reaper, struct watch *watch, int fd);
void reaper_forget(struct reaper *reaper, struct watch *watch);
/* Ends every connection and waits until the library has let go of them, no longer than to the deadline. Before it is stopped: a request that
 * it refuses by itself while it is being stopped makes version 0.9.75 read an answer that it does not have. */
void reaper_end_all(struct reaper *reaper, uint64_t deadline_ns);
void watch_enter(struct watch *watch, enum watch_phase phase);
enum watch_phase watch_phase(const struct watch *watch);
/* What the client has acknowledged since it connected, heads included. Any thread, while the socket is open. */
uint64_t watch_acked_bytes(const struct watch *watch);

#endif
