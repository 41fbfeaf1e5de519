/* flight.c - what a flight does: the look into its tier, the step down, the source. See flight.h for states and answers.
 *
 * One run of a strand walks down as far as it creates flights: the next tier's flight, when it is new, is looked up by the same thread, in a
 * loop. A chain of 64 cold tiers costs 64 looks and one task, or two when some are behind a network.
 */
#include "pools/chain/flight.h"

#include "pools/base/must.h"
#include "pools/chain/flight_table.h"

#include <stdlib.h>
#include <string.h>

/* ---- the own tier has nothing, or fails ---- */

/* A copy that is damaged was never ours to lose: the tier is a miss and gets a new one. */
static enum err judge(enum err err, const struct fault *fault, enum hold hold) {
    if (err == ERR_INVALID && fault->reason == REASON_ID_TOO_LONG_FOR_POOL) {
        return ERR_NOT_FOUND;
    }
    return err == ERR_CORRUPT && hold == HOLD_CACHED ? ERR_NOT_FOUND : err;
}

static void record_locked(struct flight *flight, enum err err, bool not_owned) {
    if (err == ERR_NOT_FOUND) {
        flight->result = flight->passed ? TIER_PASSED : TIER_MISS;
        flight->fill.replaces = flight->passed;
        return;
    }
    flight->result = TIER_FAILED;
    flight->failed_kind = err;
    flight->fault = flight->op.fault;
    if (!flight->fault.pool[0]) {
        memcpy(flight->fault.pool, flight->pool->nickname, sizeof flight->fault.pool);
    }
    flight->spoiled = !not_owned;
}

/* The own tier answered `err`. Returns the next tier's flight when it is new and this thread is to look for it. */
static struct flight *step_down(struct flight *flight, enum err err) {
    struct flights *flights = flight->flights;
    const struct tier *tier = &flight->tiers->tier[flight->index];
    bool failed = err != ERR_NOT_FOUND;
    bool is_last = flight->index + 1 == flight->tiers->count;
    bool not_owned = failed && err != ERR_CANCELLED && pool_proves_not_owned(flight->pool, &flight->id);
    struct flight_todo todo = {0};
    struct flight *created = NULL;

    mutex_lock(&flights->mutex);
    record_locked(flight, err, not_owned);
    if (err == ERR_CANCELLED || (failed && (tier->fail_on_error || is_last))) {
        flight->kind = FLIGHT_FAILED;
        flight_publish_locked(flight, &todo);
    } else if (is_last) {
        flight->kind = FLIGHT_ABSENT;
        flight_publish_locked(flight, &todo);
    } else {
        struct flight *lower =
            flight_find_locked(flights, flight->tiers, flight->index + 1, &flight->id, flight->refresh);
        flight->lower_collapsed = lower != NULL;
        if (!lower) {
            lower = created = flight_new_locked(flights, &flight->op, flight->tiers, flight->index + 1,
                                                &flight->id, flight->refresh);
        }
        if (lower) {
            flight_follow_locked(flight, lower, &todo);
        } else {
            flight->kind = FLIGHT_FAILED;
            flight->fault = flight->op.fault;
            flight_publish_locked(flight, &todo);
        }
        if (failed) {
            atomic_fetch_add_explicit(&flight->pool->stats.skips, 1, memory_order_relaxed);
        }
    }
    mutex_unlock(&flights->mutex);
    flight_todo_run(&todo);
    return created;
}

/* ---- the own tier has it ---- */

/* Asks the tiers above, as far as they have not been asked, whether they take a body of this size. True when at least one does. Late
 * followers may appear while pools are being asked: the caller holds the lock again and there are none left. */
static bool offer_copies_locked(struct flight *source, const struct meta *meta) {
    for (;;) {
        struct flight *asked = NULL;
        bool taken = false;
        struct flight *last = source;
        source->next_queued = NULL;
        for (struct flight *at = source; at; at = at->next_queued) {
            for (struct flight *above = at->followers; above; above = above->next_follower) {
                above->next_queued = NULL;
                last->next_queued = above;
                last = above;
            }
            taken = taken || at->fill.writer;
            if (at == source || at->fill_offered || !flight_takes_copy_locked(at, false, meta->size_bytes)) {
                continue;
            }
            if (at->pool->capabilities.remote) {
                taken = true; /* its own strand will ask it: this lane may not touch the network */
            } else {
                at->next_fill = asked;
                asked = at;
            }
        }
        if (!asked) {
            return taken;
        }
        mutex_unlock(&source->flights->mutex);
        for (; asked; asked = asked->next_fill) {
            asked->fill_offered = true; /* a following flight's fill is its source's to touch */
            (void)fill_open(&asked->fill, meta);
        }
        mutex_lock(&source->flights->mutex);
    }
}

/* DIRECT is best for a large body of a local pool when nobody above wants it as a stream. A small body comes whole and verified either
 * way, and a damaged one must count as this tier's failure. */
static bool is_direct_locked(struct flight *flight, const struct meta *meta) {
    if (flight->pool->capabilities.remote) {
        return false; /* the readers' lane may not touch the network, and one fetch is enough */
    }
    bool is_large =
        meta->size_bytes != SIZE_UNKNOWN && meta->size_bytes > flight->flights->limits.entry_most_bytes;
    return is_large && !offer_copies_locked(flight, meta);
}

static void publish_direct(struct flight *flight, struct reader *take_reader) {
    struct flight_todo todo = {0};
    flight->result = TIER_HIT;
    flight->kind = FLIGHT_DIRECT;
    flight->direct = flight->pool;
    flight_publish_locked(flight, &todo);
    mutex_unlock(&flight->flights->mutex);
    reader_close(take_reader); /* before the flight may let go of the pool */
    flight_todo_run(&todo);
}

/* Returns the flight that this thread is to look for next, as step_down does. */
static struct flight *tend_source(struct flight *flight, bool is_published);

static struct flight *begin_source(struct flight *flight, struct reader *take_reader) {
    struct flights *flights = flight->flights;
    mutex_lock(&flights->mutex);
    if (is_direct_locked(flight, &take_reader->meta)) {
        publish_direct(flight, take_reader); /* unlocks */
        return NULL;
    }
    mutex_unlock(&flights->mutex);
    /* A small body from a disk, or one that came with the open, is sooner read than handed to another thread. */
    bool here = (take_reader->at_hand || !flight->pool->capabilities.remote) &&
                take_reader->meta.size_bytes <= flights->limits.entry_most_bytes;
    struct stream *stream = NULL;
    enum err err =
        stream_open(&flight->op, here ? NULL : flights->executor, flight->strand.lane,
                    fill_share(flight->pool), flights->spool_dir, &flights->limits, take_reader, &stream);
    if (err) {
        return step_down(flight, err);
    }
    mutex_lock(&flights->mutex);
    flight->result = TIER_HIT;
    flight->state = FLIGHT_SOURCING;
    flight->stream = stream;
    flight->tending = true;
    if (flights->cancelling) {
        stream_cancel(stream);
    }
    mutex_unlock(&flights->mutex);
    if (here) {
        return tend_source(flight, false);
    }
    flight->listener = (struct stream_listener){.waker = strand_waker(&flight->strand)};
    stream_listen(stream, &flight->listener);
    strand_wake(&flight->strand);
    return NULL;
}

/* The stream broke off before anybody was answered: to the walk this tier failed. */
static struct flight *lose_source(struct flight *flight, enum err err) {
    struct meta meta;
    stream_meta(flight->stream, &meta);
    err = judge(err, &flight->op.fault, meta.hold);
    meta_fini(&meta);
    stream_unlisten(flight->stream, &flight->listener);
    mutex_lock(&flight->flights->mutex);
    struct stream *stream = flight->stream;
    flight->stream = NULL;
    flight->tending = false;
    mutex_unlock(&flight->flights->mutex);
    stream_unref(stream);
    return step_down(flight, err);
}

static struct flight *tend_source(struct flight *flight, bool is_published) {
    struct flights *flights = flight->flights;
    struct flight_todo todo = {0};
    enum err err = is_published ? OK : stream_ready(flight->stream, &flight->op);
    if (err) {
        return err == ERR_AGAIN ? NULL : lose_source(flight, err);
    }
    bool ended = stream_ended(flight->stream);
    if (ended) {
        stream_unlisten(flight->stream, &flight->listener);
    }
    mutex_lock(&flights->mutex);
    flight->tending = !ended;
    if (!is_published) {
        flight->kind = FLIGHT_STREAM;
        flight_publish_locked(flight, &todo);
    } else if (ended) {
        flight_settle_locked(flight, &todo);
    } else {
        flight_end_if_deserted_locked(flight);
    }
    mutex_unlock(&flights->mutex);
    flight_todo_run(&todo);
    return NULL;
}

/* ---- the strand ---- */

/* The last tier's entry is served whatever its flag says: there is nobody else to ask. */
static bool passes_over(const struct flight *flight, const struct meta *meta) {
    bool is_last = flight->index + 1 == flight->tiers->count;
    return flight->refresh && !is_last && meta->hold == HOLD_CACHED;
}

/* One step on the tier's storage: a store that hangs costs its readers no more, and counts as failed. */
static enum err open_reader(struct flight *flight, struct reader **ret_reader) {
    op_step(&flight->op, flight->flights->limits.step_timeout_ns);
    enum err err = pool_open_reader_unfenced(flight->pool, &flight->op, &flight->id, NULL, ret_reader);
    op_step(&flight->op, 0);
    return err;
}

/* On the lane given, as far as the tiers are of its kind: what is behind a network never keeps a local tier waiting. The next tier
 * is looked into by its flight's own strand. */
static void walk(struct flight *flight, enum lane lane) {
    while (flight) {
        if (flight->strand.lane != lane) {
            strand_wake(&flight->strand);
            return;
        }
        if (flight->refresh) {
            mutex_lock(&flight->flights->mutex);
            flight_begin_look_locked(flight);
            mutex_unlock(&flight->flights->mutex);
        }
        AUTO(reader_close) struct reader *reader = NULL;
        enum err err = open_reader(flight, &reader);
        if (!err && passes_over(flight, &reader->meta)) {
            flight->passed = true;
            meta_etag(&reader->meta, flight->fill.outdated);
            err = ERR_NOT_FOUND;
        }
        flight = err ? step_down(flight, judge(err, &flight->op.fault, HOLD_OWNED))
                     : begin_source(flight, STEAL(reader));
    }
}

/* The beginning of a walk, on the thread of its first reader, which may be a poll thread: down to the first tier that cannot tell from memory
 * that it has nothing. That one's strand goes on. Nobody else wakes the strand of a flight that has not looked yet. */
static void begin_walk(struct flight *flight) {
    while (flight && !flight->refresh && pool_peek_absent(flight->pool, &flight->id)) {
        flight = step_down(flight, ERR_NOT_FOUND);
    }
    if (flight) {
        strand_wake(&flight->strand);
    }
}

void flight_step(struct strand *strand) {
    struct flight *flight = CONTAINER_OF(strand, struct flight, strand);
    mutex_lock(&flight->flights->mutex);
    enum flight_state state = flight->state;
    bool tending = flight->tending;
    mutex_unlock(&flight->flights->mutex);
    if (state == FLIGHT_LOOKING) {
        walk(flight, strand->lane);
    } else if (tending) {
        walk(tend_source(flight, state == FLIGHT_PUBLISHED), strand->lane);
    }
}

/* ---- readers ---- */

enum err flight_enter(struct flights *flights, struct op *op, struct tiers *tiers, const struct id *id,
                      const struct flight_ask *ask, struct flight_ticket *ticket) {
    bool create = ask->create;
    enum err err = OK;
    mutex_lock(&flights->mutex);
    struct flight *flight = flight_find_locked(flights, tiers, 0, id, ask->refresh);
    bool is_over =
        flight && flight->state == FLIGHT_PUBLISHED && flight->stream && stream_ended(flight->stream);
    if (is_over && !create) {
        flight = NULL; /* its copy is there, or settling: the next read is a local hit */
    }
    ticket->collapsed = flight != NULL;
    if (!flight && !create) {
        err = ERR_NOT_FOUND;
    } else if (!flight && flights->draining) {
        err = op_fail(op, REASON_DRAINING, "the service is shutting down");
    } else if (!flight) {
        flight = flight_new_locked(flights, op, tiers, 0, id, ask->refresh);
        err = flight ? OK : ERR_NO_MEMORY;
    }
    if (!err) {
        if (ask->wants_copy) {
            flight_want_copy_locked(flight);
        }
        flight_add_waiter_locked(flight, ticket);
    }
    mutex_unlock(&flights->mutex);
    if (!err && !ticket->collapsed) {
        begin_walk(flight); /* the ticket holds it */
    }
    return err;
}

enum err flight_poll(struct flights *flights, struct flight_ticket *ticket,
                     struct flight_answer *ret_answer) {
    mutex_lock(&flights->mutex);
    struct flight *flight = ticket->flight;
    enum err err = flight->state < FLIGHT_PUBLISHED ? ERR_AGAIN : OK;
    if (!err) {
        *ret_answer = (struct flight_answer){.kind = flight->kind};
        if (flight->kind == FLIGHT_DIRECT) {
            ret_answer->pool = pool_ref(flight->direct);
        } else if (flight->kind == FLIGHT_STREAM) {
            ret_answer->stream = stream_ref(flight->stream);
        } else if (flight->kind == FLIGHT_FAILED) {
            ret_answer->fault = flight->fault;
        }
    }
    mutex_unlock(&flights->mutex);
    return err;
}

void flight_report(struct flights *flights, const struct flight_ticket *ticket, struct tier_report *reports,
                   unsigned count) {
    mutex_lock(&flights->mutex);
    bool collapsed = ticket->collapsed;
    const struct flight *flight = ticket->flight;
    for (unsigned i = 0; flight && i < count; i++, flight = flight->lower) {
        reports[i].result = flight->result;
        reports[i].kind = flight->result == TIER_FAILED ? flight->failed_kind : OK;
        reports[i].stored = flight->fill_begun;
        reports[i].collapsed = collapsed;
        collapsed = collapsed || flight->lower_collapsed;
    }
    mutex_unlock(&flights->mutex);
}

void flight_leave(struct flights *flights, struct flight_ticket *ticket) {
    mutex_lock(&flights->mutex); /* a failing flight may be moving its waiters to another */
    struct flight *flight = ticket->flight;
    if (flight) {
        flight_remove_waiter_locked(ticket);
        flight->tickets--;
        ticket->flight = NULL;
    }
    mutex_unlock(&flights->mutex);
    flight_unref(flight);
}
