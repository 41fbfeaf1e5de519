/* exchange_parts.h - the inside of an exchange, shared by its six files:
 *
 *   exchange.c        what the poll thread does: the library's callbacks, in the order of the states below
 *   exchange_head.c   method, header fields and trailers, past the screen
 *   exchange_answer.c queueing the answer, pulling its body, and the case where the library cannot send it
 *   exchange_length.c the one malformed field that the library answers wrongly before it calls us
 *   exchange_lane.c   what lanes do: running the handler, pumping a pulled body, finishing
 *   exchanges.c       the set: making, keeping and freeing exchanges, draining
 *
 * States (poll thread only)
 *   1 HEAD     the request line has come. The raw target is copied: the library cuts it up afterwards.
 *   2 READY    the header block passed the screen and there is no body. The library calls once more, and only an answer queued
 *              in that second call keeps the connection alive.
 *   3 BODY     the handler runs on a lane and the body goes into the `in` pipe. Full pipe: parked. Never parked in the first call of
 *              a request with a body: the library would call again as if the body had ended (0.9.75).
 *   4 DISCARD  the answer is known, the body still comes: thrown away, up to discard_most_bytes.
 *   5 LINGER   more than that: the answer was written by hand, because the library takes none in the middle of a body (or has no memory left
 *              for one, after the largest header blocks);
 *              what still comes is thrown away for a while, so that the client reads the answer instead of a reset.
 *   6 WORK     the whole request is here, the answer is not: parked until a lane has it.
 *   7 ANSWER   queued. A pulled body is taken from the `out` pipe; parked while that is empty.
 * The library's completed callback ends the exchange in whatever state it is.
 *
 * Work (under the mutex) says whether a lane has the exchange: IDLE, QUEUED, RUNNING, or AGAIN (woken while it ran: it will
 * run once more). A lane touches request, response and the consumer end of `in` and producer end of `out` only while RUNNING. DUE: the
 * handler's next step never blocks (request.run_now), so the poll thread is to take it, RUNNING, before it parks; a wake of such an exchange
 * goes straight to the poll thread. The poll thread takes RUNNING also for a read of the source that does not wait (reads_now), when the pipe is empty: bytes in the
 * page cache then go from there to the library's buffer, past pipe and lane. A body that can be had as memory is sent from
 * there (mapped): nobody pulls it, and its source is closed on a lane when the library has ended the request. The
 * poll thread touches request and response only before the exchange first goes to a lane, while it runs what was DUE, and after `answered`.
 *
 * Lifetime: the library's side is `open`; a lane's side is work > DUE. Whoever ends last frees. A lane that finds the library's side
 * over keeps work as it is until it has freed: a wake may come as long as the handler's subscriptions stand, and must queue nothing.
 * When the client vanishes while
 * a lane has the exchange, the lane finishes it; when handler state is left over from a lane, finishing it may block and is sent to
 * a lane too. Exchanges that never left the poll thread are kept on that thread's shelf and used again.
 *
 * Parking: MHD_suspend_connection and MHD_resume_connection are called only with the mutex held, suspend only from the library's
 * callbacks. While `parked`, the connection cannot end, so resuming is safe.
 */
#ifndef SERVER_EXCHANGE_PARTS_H
#define SERVER_EXCHANGE_PARTS_H

#include "server/exchange.h"

#include "pools/base/mutex.h"
#include "server/address.h"
#include "server/headers.h"
#include "server/pipe.h"
#include "server/screen.h"

#define EXCHANGE_MAGIC 0x45584348u

enum exchange_state {
    EXCHANGE_HEAD,
    EXCHANGE_READY,
    EXCHANGE_BODY,
    EXCHANGE_DISCARD,
    EXCHANGE_LINGER,
    EXCHANGE_WORK,
    EXCHANGE_ANSWER
};

enum exchange_work { WORK_IDLE, WORK_DUE, WORK_QUEUED, WORK_RUNNING, WORK_AGAIN };

#define METHOD_TEXT_BYTES 32 /* a longer method is unknown anyway: cut */

/* What one poll thread keeps: finished exchanges to use again, the last one first, because it is still in the processor's cache. Most
 * exchanges are over before the next one begins, so a thread needs few. Touched by its poll thread only. */
#define SHELF_MOST_SPARES 64
#define SHELVES_MOST 64 /* poll threads; a thread beyond that has none and allocates */
struct shelf {
    pthread_t thread;
    struct exchange *spares; /* linked by next */
    unsigned count;
    struct client *clients; /* the thread's connections */
};

/* One connection. */
struct client {
    struct watch watch;
    struct shelf *shelf; /* of the poll thread it belongs to */
    struct client *next; /* on the shelf */
    struct client *previous;
    struct exchange *exchange;        /* under way, else NULL */
    char address[ADDRESS_TEXT_BYTES]; /* for the access log; "" when it is off */
};

struct exchange {
    unsigned magic;
    struct exchanges *set;

    /* the poll thread's */
    struct client *client;
    struct MHD_Connection *connection;
    enum exchange_state state;
    /* draining had begun when it began: looked up once, so that peek and answer agree on kept replies */
    bool closing;
    struct screened screened;
    char method[METHOD_TEXT_BYTES];
    char *target; /* raw, NUL-terminated; the buffer is kept between requests */
    size_t target_bytes;
    size_t target_capacity;
    uintptr_t target_place; /* where it stood in the library's buffer: only compared */
    bool body_ended;
    uint64_t received_bytes; /* of the body */
    uint64_t discarded_bytes;
    unsigned status; /* 0 = never answered */
    uint64_t sent_bytes;
    uint64_t started_ns; /* 0 = nobody asks */

    /* see "Work" above */
    struct headers headers;
    struct headers trailers;
    struct request request;
    struct response response;
    bool finished;      /* response and handler state are released */
    struct fault fault; /* of the answer; for the access log */
    struct pipe in;
    struct pipe out;
    bool pumping;   /* the source still has to be pulled */
    bool reads_now; /* it can be read on the poll thread; set before the answer stands */
    const void *
        mapped; /* the body, for the library to send from; the source stays open, and is not pulled. NULL = none */
    uint64_t acked_before; /* a mapped body: what the client had acknowledged when it was queued */
    uint64_t pumped_bytes;

    /* under the mutex */
    struct mutex mutex;
    struct task task;
    enum lane lane;     /* set when it first goes to a lane */
    uint64_t queued_ns; /* when that was; 0 from its first run or its first wait on */
    enum exchange_work work;
    bool open;
    bool on_lane; /* was given to a lane at least once */
    bool answered;
    bool parked;
    bool body_wanted;  /* the lane found `in` empty */
    bool space_wanted; /* the pump found `out` full */

    /* under the set's mutex */
    struct exchange *next;
    struct exchange *previous;
    bool listed;
};

struct exchanges {
    struct exchanges_config config;
    atomic_uint_fast64_t last_id;
    atomic_size_t active;
    atomic_bool draining;
    atomic_bool turning_away; /* no handler runs any more */
    atomic_bool hurrying;
    struct mutex mutex; /* RANK_EXCHANGES: the list and the drain */
    struct cond drained;
    struct exchange *first; /* those that were given to a lane */
    struct shelf shelves[SHELVES_MOST];
    atomic_uint shelf_count; /* grows only, under the mutex */
};

/* ---- exchanges.c ---- */
extern const struct request_io exchange_io;
/* A new or spare exchange in state HEAD; NULL when out of memory. */
struct exchange *exchange_begin(struct exchanges *set, struct client *client,
                                struct MHD_Connection *connection, const char *target);
/* Back on its shelf, or freed; only for one that was never given to a lane. */
void exchange_put_back(struct exchange *exchange);
/* Makes it reachable for exchanges_hurry. */
void exchange_list(struct exchange *exchange);
/* Nobody may use it any more. */
void exchange_free(struct exchange *exchange);
/* The library's side is over: counts it out. */
void exchange_leave(struct exchanges *set);
/* The calling poll thread's; NULL when there are more threads than shelves, and on other threads. Takes no lock. */
struct shelf *exchange_shelf(struct exchanges *set);
bool exchanges_are_turning_away(struct exchanges *set);
bool exchanges_are_hurrying(struct exchanges *set);

/* ---- exchange_head.c ---- */
/* Takes method and header fields and screens them; the kind of the refusal, recorded in the request's op. */
enum err exchange_take_head(struct exchange *exchange, const char *method, const char *version) MUST_USE;
void exchange_take_trailers(struct exchange *exchange);

/* ---- exchange_answer.c ---- */
/* Whether a page of a configured origin asks; only where some are configured. */
bool exchange_is_from_named_page(const struct exchange *exchange);
/* Whether the answer depends on who asks, so that it may not be kept. */
static inline bool exchange_has_own_answer(const struct exchange *exchange) {
    return exchange->set->config.cors && exchange_is_from_named_page(exchange);
}
/* Queues response as the answer; state ANSWER. */
enum MHD_Result exchange_queue(struct exchange *exchange);
/* Queues when the answer is known, else parks; MHD_NO when that is not possible. */
enum MHD_Result exchange_queue_or_park(struct exchange *exchange);
/* Writes the answer past the library; state LINGER. */
void exchange_answer_by_hand(struct exchange *exchange);

/* ---- exchange_lane.c ---- */
/* Gives it to its lane for the first time. An answer that is known already is only pumped. Returns false when memory ran out; then the
 * answer says so. */
bool exchange_start_lane(struct exchange *exchange);
/* One more run is wanted; mutex held. */
void exchange_schedule(struct exchange *exchange);
/* A struct waker's function. */
void exchange_wake(void *exchange);
/* DUE, mutex held (let go meanwhile): the poll thread runs the handler. */
void exchange_run_now_locked(struct exchange *exchange);
/* Mutex held. */
void exchange_unpark(struct exchange *exchange);
/* Releases response and handler state; once. */
void exchange_finish(struct exchange *exchange);
enum err exchange_read_body(struct request *request, void *ret_bytes, size_t cap, size_t *ret_count);

static inline struct exchange *exchange_of(struct request *request) {
    return CONTAINER_OF(request, struct exchange, request);
}

#endif
