/* exchange_lane.c - what lanes do for an exchange: run its handler, pump its pulled body, finish it; and what the poll thread runs of a handler
 * in a lane's place. See exchange_parts.h.
 *
 * One task per exchange does all three, in this order of precedence: the client is gone -> finish; no answer yet -> run the
 * handler; a source is open -> pump. No run holds its thread for the client: a full pipe ends it, and the poll thread schedules
 * the next one when there is room.
 */
#include "server/exchange_parts.h"

#include "api/api.h"
#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"

#include <errno.h>
#include <sys/socket.h>

/* After this much in one run the lane goes to the next in its queue. */
#define PUMP_MOST_BYTES (1024u * 1024)
/* A body may be sent from memory up to this size. The poll thread copies as much at once as the socket takes, which on the way to a fast client
 * may be all of it, and mapped pages count as resident. */
#define MAPPED_MOST_BYTES (64u * 1024 * 1024)
/* A client that ended its side may still read the answer; after this long in the queue it is taken to have left. */
#define PATIENCE_NS NS_PER_S

void exchange_unpark(struct exchange *exchange) {
    if (exchange->parked) {
        exchange->parked = false;
        MHD_resume_connection(exchange->connection);
    }
}

void exchange_schedule(struct exchange *exchange) {
    switch (exchange->work) {
    case WORK_IDLE:
        exchange->work = WORK_QUEUED;
        executor_submit(exchange->set->config.executor, exchange->lane, &exchange->task);
        break;
    case WORK_RUNNING:
        exchange->work = WORK_AGAIN;
        break;
    case WORK_DUE:
    case WORK_QUEUED:
    case WORK_AGAIN:
        break;
    }
}

void exchange_wake(void *context) {
    struct exchange *exchange = context;
    MUST(exchange->magic == EXCHANGE_MAGIC);
    mutex_lock(&exchange->mutex);
    if (exchange->work == WORK_IDLE && !exchange->answered && exchange->request.run_now) {
        exchange->work = WORK_DUE;
        exchange_unpark(exchange);
    } else {
        exchange_schedule(exchange);
    }
    mutex_unlock(&exchange->mutex);
}

void exchange_finish(struct exchange *exchange) {
    if (exchange->finished) {
        return;
    }
    exchange->finished = true;
    if (exchange->pumping) { /* not written otherwise: a lane may be looking, in a run with nothing to do */
        exchange->pumping = false;
    }
    response_fini(&exchange->response); /* closes the source before what it may stand on */
    api_finish(&exchange->request);
}

/* ---- the request body ---- */

enum err exchange_read_body(struct request *request, void *ret_bytes, size_t cap, size_t *ret_count) {
    struct exchange *exchange = exchange_of(request);
    struct pipe *in = &exchange->in;
    *ret_count = 0;
    if (!exchange->screened.has_body) {
        return OK;
    }
    for (;;) {
        size_t count = pipe_read(in, ret_bytes, cap);
        if (count) {
            if (pipe_used(in) <= in->capacity / 2) {
                mutex_lock(&exchange->mutex);
                exchange_unpark(exchange);
                mutex_unlock(&exchange->mutex);
            }
            *ret_count = count;
            return OK;
        }
        enum err result = OK;
        if (pipe_at_end(in, &result)) {
            return result;
        }
        /* Tell first, look again afterwards: the poll thread fills first and looks whether it was told afterwards. */
        mutex_lock(&exchange->mutex);
        exchange->body_wanted = true;
        mutex_unlock(&exchange->mutex);
        if (!pipe_used(in) && !pipe_at_end(in, &result)) {
            return ERR_AGAIN;
        }
    }
}

/* ---- the pulled body of an answer ---- */

/* Before the answer stands there is no reader: the first pump is part of handing over. */
static void tell_reader(struct exchange *exchange) {
    mutex_lock(&exchange->mutex);
    if (exchange->answered) {
        exchange_unpark(exchange);
    }
    mutex_unlock(&exchange->mutex);
}

/* The header fields stay: the poll thread may still have to send them. */
static void close_source(struct exchange *exchange) {
    struct body_source *source = &exchange->response.source;
    source->close(source->context);
    *source = (struct body_source){0};
    exchange->pumping = false;
    api_finish(&exchange->request);
}

static void end_pump(struct exchange *exchange, enum err result) {
    uint64_t promised = exchange->response.content_length;
    if (!result && promised != SIZE_UNKNOWN && promised != exchange->pumped_bytes) {
        result = op_fail(&exchange->request.op, REASON_BAD_ANSWER, "the body ended before its length");
    }
    if (result) {
        exchange->fault = exchange->request.op.fault;
    }
    close_source(exchange);
    pipe_end(&exchange->out, result);
    tell_reader(exchange);
}

/* Fills `out` until it is full, the source has no more for now, or it is somebody else's turn. */
static void pump(struct exchange *exchange) {
    struct body_source *source = &exchange->response.source;
    struct pipe *out = &exchange->out;
    for (size_t moved = 0; moved < PUMP_MOST_BYTES;) {
        void *where = NULL;
        size_t space = pipe_space(out, &where);
        if (!space && exchange->reads_now) {
            return; /* the poll thread tries by itself first when it has sent that */
        }
        if (!space) {
            mutex_lock(&exchange->mutex);
            exchange->space_wanted = true;
            mutex_unlock(&exchange->mutex);
            if (!pipe_space(out, &where)) {
                return;
            }
            continue;
        }
        size_t count = 0;
        enum err err = source->read(source->context, &exchange->request.op, where, space, &count);
        if (err == ERR_AGAIN) {
            return;
        }
        if (err || !count) {
            end_pump(exchange, err);
            return;
        }
        pipe_commit(out, count);
        exchange->pumped_bytes += count;
        moved += count;
        tell_reader(exchange);
    }
    exchange_wake(exchange);
}

static bool map_source(struct exchange *exchange) {
    const struct body_source *source = &exchange->response.source;
    uint64_t length = exchange->response.content_length;
    return source->map && length && length <= MAPPED_MOST_BYTES &&
           source->map(source->context, (size_t)length, &exchange->mapped) == OK;
}

static bool start_pump(struct exchange *exchange) {
    uint64_t length = exchange->response.content_length;
    if (map_source(exchange)) {
        exchange->pumping = true;
        return true;
    }
    size_t most = exchange->set->config.pipe_bytes;
    if (!pipe_open(&exchange->out, length && length < most ? (size_t)length : most)) {
        return false;
    }
    exchange->pumping = true;
    exchange->reads_now = exchange->response.source.read_now != NULL;
    return true;
}

/* ---- the task ---- */

/* The answer stands; the poll thread may look at it once `answered` is set. */
static void hand_over(struct exchange *exchange) {
    struct response *response = &exchange->response;
    if (response->body_kind == BODY_SOURCE && !start_pump(exchange)) {
        api_problem(&exchange->request, response, &exchange->request.op, op_no_memory(&exchange->request.op));
    }
    if (exchange->pumping && !exchange->reads_now && !exchange->mapped) {
        pump(exchange);
    } else if (!exchange->pumping) {
        api_finish(&exchange->request); /* here, where it may block, and not when the client has it all */
    }
    mutex_lock(&exchange->mutex);
    exchange->answered = true;
    exchange_unpark(exchange);
    mutex_unlock(&exchange->mutex);
}

static void turn_away(struct exchange *exchange, enum reason reason, const char *detail) {
    struct op *op = &exchange->request.op;
    api_problem(&exchange->request, &exchange->response, op, op_fail(op, reason, "%s", detail));
    exchange->response.close_after = true;
    hand_over(exchange);
}

static void turn_away_at_end(struct exchange *exchange) {
    turn_away(exchange, REASON_DRAINING, "the service is shutting down");
}

/* The handler failed because the end of the service cancelled it. */
static bool is_cut_short(const struct exchange *exchange) {
    return exchanges_are_turning_away(exchange->set) && atomic_load(&exchange->request.op.cancelled) &&
           exchange->response.status >= 500;
}

static void run_handler(struct exchange *exchange) {
    op_step(&exchange->request.op, exchange->set->config.step_timeout_ns);
    switch (api_run(&exchange->request, &exchange->response)) {
    case API_DONE:
        if (is_cut_short(exchange)) {
            turn_away_at_end(exchange);
        } else {
            hand_over(exchange);
        }
        break;
    case API_LANE:
        exchange_wake(exchange);
        break;
    case API_WAIT:
        break;
    }
}

void exchange_run_now_locked(struct exchange *exchange) {
    MUST(exchange->work == WORK_DUE);
    exchange->work = WORK_RUNNING;
    mutex_unlock(&exchange->mutex);
    op_step(&exchange->request.op, exchange->set->config.step_timeout_ns);
    enum api_step step = api_run_now(&exchange->request, &exchange->response);
    if (step == API_DONE) {
        api_finish(&exchange->request); /* before the answer stands: no wake comes after it */
    }
    mutex_lock(&exchange->mutex);
    bool again = exchange->work == WORK_AGAIN;
    exchange->work = WORK_IDLE;
    switch (step) {
    case API_DONE:
        exchange->answered = true;
        break;
    case API_LANE:
        exchange_schedule(exchange);
        break;
    case API_WAIT:
        exchange->queued_ns = 0;
        exchange->work = again ? WORK_DUE : WORK_IDLE;
        break;
    }
}

/* The library does not look at a parked connection, so a client that has left is not seen before the answer is sent: where a store hangs, the
 * requests of the departed would be worked off one after the other. Looked at once, before the first run. Mutex held. */
static bool client_has_left_locked(struct exchange *exchange) {
    uint64_t queued_ns = exchange->queued_ns;
    exchange->queued_ns = 0;
    if (!queued_ns || !exchange->parked || clock_now_ns() - queued_ns < PATIENCE_NS) {
        return false;
    }
    char byte = 0;
    ssize_t got = recv(exchange->client->watch.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void run_task(struct task *task) {
    struct exchange *exchange = CONTAINER_OF(task, struct exchange, task);
    MUST(exchange->magic == EXCHANGE_MAGIC);
    mutex_lock(&exchange->mutex);
    MUST(exchange->work == WORK_QUEUED);
    exchange->work = WORK_RUNNING;
    bool open = exchange->open;
    bool answered = exchange->answered;
    bool left = open && !answered && client_has_left_locked(exchange);
    mutex_unlock(&exchange->mutex);

    if (left) {
        turn_away(exchange, REASON_BUSY, "the client ended its side while the request waited for its turn");
    } else if (open && !answered && exchanges_are_turning_away(exchange->set)) {
        turn_away_at_end(exchange);
    } else if (open && !answered) {
        run_handler(exchange);
    } else if (open && exchange->pumping && !exchange->mapped) {
        op_step(&exchange->request.op, exchange->set->config.step_timeout_ns);
        pump(exchange);
    }

    mutex_lock(&exchange->mutex);
    bool again = exchange->work == WORK_AGAIN;
    bool over = !exchange->open;
    if (!over) {
        exchange->work = WORK_IDLE;
        if (again && (!exchange->answered || exchange->pumping)) {
            exchange_schedule(exchange);
        }
    } /* else it stays busy: a wake that comes before exchange_finish has unsubscribed must queue nothing */
    mutex_unlock(&exchange->mutex);
    if (over) {
        exchange_finish(exchange);
        exchange_free(exchange);
    }
}

bool exchange_start_lane(struct exchange *exchange) {
    struct request *request = &exchange->request;
    if (!headers_own(&exchange->headers) ||
        (exchange->screened.has_body &&
         !pipe_open(&exchange->in, exchange->screened.body_bytes < exchange->set->config.pipe_bytes
                                       ? (size_t)exchange->screened.body_bytes
                                       : exchange->set->config.pipe_bytes))) {
        api_problem(request, &exchange->response, &request->op, op_no_memory(&request->op));
        return false;
    }
    exchange->task.run = run_task;
    exchange->lane = api_lane(request); /* once: what it is judged by is gone when the answer stands */
    exchange->task.share = api_share(request);
    bool here = request->run_now != NULL;
    if (here) {
        exchange->work = WORK_DUE; /* before others can find it: from then on it may be scheduled */
    }
    exchange_list(exchange);
    mutex_lock(&exchange->mutex);
    exchange->queued_ns = exchange->screened.has_body ? 0 : clock_now_ns();
    exchange->on_lane = true;
    if (!here) {
        exchange_schedule(exchange);
    }
    mutex_unlock(&exchange->mutex);
    return true;
}
