/* flight_publish.c - an answer and everybody it concerns: waiters, the flights above, their copies. See flight_table.h; flight.h has the
 * states and the why.
 *
 * Publishing is one walk up the followers under the table's lock. What it sets off (copies to make, references to drop) is noted in a struct
 * flight_todo on the way and done by flight_todo_run when the lock is gone.
 */
#include "pools/chain/flight_table.h"

#include "pools/base/must.h"

/* ---- waiters ---- */

void flight_add_waiter_locked(struct flight *flight, struct flight_ticket *ticket) {
    ticket->flight = flight_ref(flight);
    flight->tickets++;
    ticket->waiting = flight->state < FLIGHT_PUBLISHED;
    if (!ticket->waiting) {
        waker_wake(ticket->waker);
        return;
    }
    ticket->next = NULL;
    ticket->previous = flight->last_waiter;
    *(ticket->previous ? &ticket->previous->next : &flight->first_waiter) = ticket;
    flight->last_waiter = ticket;
}

void flight_remove_waiter_locked(struct flight_ticket *ticket) {
    struct flight *flight = ticket->flight;
    if (!ticket->waiting) {
        return;
    }
    ticket->waiting = false;
    *(ticket->previous ? &ticket->previous->next : &flight->first_waiter) = ticket->next;
    *(ticket->next ? &ticket->next->previous : &flight->last_waiter) = ticket->previous;
}

static void wake_first_locked(struct flight *flight) {
    struct flight_ticket *ticket = flight->first_waiter;
    flight_remove_waiter_locked(ticket);
    waker_wake(ticket->waker);
}

/* A failure goes to the first waiter. The others move to a second attempt; without memory for one they fail too. */
static void retry_for_others_locked(struct flight *flight) {
    struct flights *flights = flight->flights;
    struct op unused;
    op_init(&unused, 0, 0);
    wake_first_locked(flight);
    struct flight *next =
        flight_find_locked(flights, flight->tiers, flight->index, &flight->id, flight->refresh);
    bool created = !next;
    if (created) {
        next =
            flight_new_locked(flights, &unused, flight->tiers, flight->index, &flight->id, flight->refresh);
        if (!next) {
            return;
        }
        next->second_attempt = true;
    }
    if (flight->wants_copy) {
        flight_want_copy_locked(next);
    }
    while (flight->first_waiter) {
        struct flight_ticket *ticket = flight->first_waiter;
        flight_remove_waiter_locked(ticket);
        flight->tickets--;
        ticket->collapsed = true;
        flight_add_waiter_locked(next, ticket);
        unsigned before = atomic_fetch_sub(&flight->refs, 1);
        MUST(before > 1); /* unfinished: its own reference is there */
    }
    if (created) {
        strand_wake(&next->strand);
    }
}

static void wake_waiters_locked(struct flight *flight) {
    bool several = flight->first_waiter && flight->first_waiter != flight->last_waiter;
    if (flight->kind == FLIGHT_FAILED && several && !flight->second_attempt && !flight->flights->draining) {
        retry_for_others_locked(flight);
    }
    while (flight->first_waiter) {
        wake_first_locked(flight);
    }
}

/* ---- the copy ---- */

void flight_want_copy_locked(struct flight *flight) {
    for (; flight && !flight->wants_copy; flight = flight->lower) {
        flight->wants_copy = true;
    }
}

bool flight_takes_copy_locked(const struct flight *flight, bool spoiled_below, uint64_t size_bytes) {
    return flight->wants_copy && !flight->spoiled && !spoiled_below && !flight->fill.refused &&
           pool_takes_fill(flight->pool, size_bytes);
}

static uint64_t stream_size_bytes(struct stream *stream) {
    struct meta meta;
    stream_meta(stream, &meta);
    uint64_t size_bytes = meta.size_bytes;
    meta_fini(&meta);
    return size_bytes;
}

/* A copy that a refresh passed over and that nothing newer replaces is known to be outdated. When a skipped tier may have the entry, nothing
 * is known. */
static void drop_copy_locked(struct flight *flight) {
    if (flight->result == TIER_PASSED && flight->wants_copy && !flight->fill_running && !flight->spoiled) {
        flight->fill_running = true;
        fill_bind_drop(&flight->fill);
    }
}

/* ---- the answer ---- */

/* The answer of the flight it follows, seen from here. */
static void derive_locked(struct flight *flight) {
    struct flight *lower = flight->lower;
    flight->kind = lower->kind;
    switch (lower->kind) {
    case FLIGHT_STREAM:
        flight->stream = stream_ref(lower->stream);
        if (flight_takes_copy_locked(flight, lower->spoiled, stream_size_bytes(flight->stream))) {
            flight->fill_begun = true;
            flight->fill_running = true;
            fill_bind(&flight->fill, flight->stream);
        }
        flight->spoiled = flight->spoiled || lower->spoiled;
        drop_copy_locked(flight);
        break;
    case FLIGHT_DIRECT:
        flight->direct = lower->direct;
        flight->spoiled = flight->spoiled || lower->spoiled;
        drop_copy_locked(flight);
        break;
    case FLIGHT_ABSENT: /* nobody below failed: if this tier did, it is the one nearest the origin */
        flight->kind = flight->result == TIER_FAILED ? FLIGHT_FAILED : FLIGHT_ABSENT;
        drop_copy_locked(flight);
        break;
    case FLIGHT_FAILED:
        flight->fault = lower->fault;
        break;
    }
}

static void publish_one_locked(struct flight *flight, struct flight_todo *todo) {
    flight->state = FLIGHT_PUBLISHED;
    if (flight->fill_running) {
        flight->next_fill = todo->fills;
        todo->fills = flight;
    }
    /* What looks into a local tier while its copy is being removed would still find it: it shares the answer instead. */
    bool is_dropping = flight->fill_running && flight->fill.drops && !flight->pool->capabilities.remote;
    if (flight->kind != FLIGHT_STREAM && !is_dropping) {
        flight_leave_table_locked(flight); /* nothing to share with later readers */
    } else if (flight->refresh) {
        flight_join_table_locked(flight);
    }
    wake_waiters_locked(flight);
}

void flight_publish_locked(struct flight *flight, struct flight_todo *todo) {
    struct flight *queue = flight;
    struct flight *last = flight;
    flight->next_queued = NULL;
    for (; queue; queue = queue->next_queued) {
        if (queue != flight) {
            derive_locked(queue);
        }
        publish_one_locked(queue, todo);
        while (queue->followers) {
            struct flight *follower = queue->followers;
            queue->followers = follower->next_follower;
            follower->next_queued = NULL;
            last->next_queued = follower;
            last = follower;
        }
    }
    /* Settling a flight may finish those below it, and finished flights are only unlinked here: the queue stays readable. */
    for (queue = flight; queue; queue = queue->next_queued) {
        flight_settle_locked(queue, todo);
    }
}

void flight_follow_locked(struct flight *flight, struct flight *lower, struct flight_todo *todo) {
    flight->lower = flight_ref(lower);
    lower->unfinished_above++;
    if (flight->wants_copy) {
        flight_want_copy_locked(lower);
    }
    if (lower->state >= FLIGHT_PUBLISHED) {
        derive_locked(flight);
        flight_publish_locked(flight, todo);
        return;
    }
    flight->state = FLIGHT_FOLLOWING;
    flight->next_follower = lower->followers;
    lower->followers = flight;
}

/* Tickets and references to the stream are only made under the lock, from the table or by those who hold one: the counts cannot rise
 * behind our back. The flight's own references say nothing here: an earlier run of the strand may still have to let go of its own. */
void flight_end_if_deserted_locked(struct flight *flight) {
    const unsigned own = 2; /* of a growing stream: its flight's and its producer's */
    if (stream_ended(flight->stream)) {
        return; /* meanwhile: there is nothing left to save, and the producer's reference is gone */
    }
    if (!flight->unfinished_above && !flight->tickets && stream_refs(flight->stream) == own) {
        flight_leave_table_locked(flight);
        stream_cancel(flight->stream);
    }
}

void flight_todo_run(struct flight_todo *todo) {
    while (todo->fills) { /* the last published first: the tiers nearest the readers */
        struct flight *flight = todo->fills;
        todo->fills = flight->next_fill;
        fill_start(&flight->fill); /* it may finish and free the flight */
    }
    while (todo->done) {
        struct flight *flight = todo->done;
        todo->done = flight->next_done;
        flight_unref(flight);
    }
}
