/* flight.h - one fetch per missed (tier, id, wiring generation).
 *
 * A flight answers "what does the chain from this tier on have under this id?" for everybody who asks while it is open. It
 * looks into its own tier once more (its fences are up by then: a put that came between the reader's look and the fence is
 * seen here), and on a miss follows the flight of the next tier, which it joins or creates. So two walks that meet share everything
 * below the meeting point, and no thread ever waits for a flight.
 *
 * States of a flight
 *   1 LOOKING    queued for, or inside, the look into its own tier
 *   2 FOLLOWING  its tier missed (or failed and is skipped); the next tier's flight will answer for it
 *   3 SOURCING   its tier has the entry; a stream was opened and is not ready yet (a small body comes whole)
 *   4 PUBLISHED  there is an answer, the same for all: itself, its waiters, the flights that follow it. A stream may
 *                still grow and the copy into this tier may still be made; readers may still join
 *   5 FINISHED   out of the table, fences lowered; memory stays while a reader holds it
 * Publishing walks up the followers at once, under the table's lock: nearest the source first, so that every local tier's fence is tied
 * to the stream's end before anybody above can see that end.
 *
 * Answers
 *   DIRECT  read that local pool yourselves: the body is large and no tier above takes a copy of it
 *   STREAM  shared by reference; each tier on the way makes its copy from the same stream
 *   ABSENT  every tier said NOT_FOUND; shared
 *   FAILED  the failure of the failed tier nearest the origin. The first waiter gets it; the others stay and their flight is begun
 *           anew, once: a dead origin costs two fetches, however many wait
 *
 * Open or closed: each flight keeps a *watch* on its (pool, id), a fence that only tells of local writes. A reader joins only if the watch
 * of the flight and of every flight below it is unbroken; otherwise the flight leaves the table, its copy is given up
 * and the reader begins anew. Reads that joined earlier finish on what they have.
 *
 * A *refresh* (Cache-Control: no-cache) passes over cached copies and asks on, down to an owned entry or the last tier. It joins nothing that
 * may have looked before it: only a refresh that is still queued for its look. So when a store is busy, those that wait for it
 * are one fetch. For plain reads it is in the table, in the place of a plain flight, only once it is published as a body or while it still
 * removes copies, so that its failure is not theirs. Its copies replace those it passed over; where nothing takes
 * their place (nobody has the entry any more, or the new body is not taken) they are removed. Its fences are favoured: plain fills under way,
 * whenever begun, give way to its own.
 *
 * No copy is made into a tier when every reader said no-store, or when the tier, or one below it that was skipped, may hold an owned entry that
 * could not be read ("spoiled"; pool_proves_not_owned lifts that).
 *
 * Threads: any; one mutex for the table and all flights (RANK_FLIGHTS), never held during I/O. A flight runs on its own
 * pool's lane (fill_lane), so nothing local waits behind a network.
 * Read next: flight_table.h (the data), fill.h.
 */
#ifndef POOLS_CHAIN_FLIGHT_H
#define POOLS_CHAIN_FLIGHT_H

#include "pools/chain/chain.h"
#include "pools/chain/stream.h"

struct flight;

/* One reader's place in a flight; embedded in the reader. */
struct flight_ticket {
    struct flight_ticket *previous;
    struct flight_ticket *next;
    struct flight *flight; /* a reference; changes when waiters are moved to a second attempt */
    struct waker waker;
    bool waiting;
    bool collapsed; /* joined, not created */
};

enum flight_answer_kind { FLIGHT_DIRECT, FLIGHT_STREAM, FLIGHT_ABSENT, FLIGHT_FAILED };

struct flight_answer {
    enum flight_answer_kind kind;
    struct pool *pool;     /* DIRECT: a reference */
    struct stream *stream; /* STREAM: a reference */
    struct fault fault;    /* FAILED */
};

/* Bodies up to this size are completed before an answer. */
uint64_t flights_entry_most_bytes(const struct flights *flights);
/* Joins the open flight of tiers->tier[0], or creates it, as asked. ERR_NOT_FOUND (no fault): there is none to join. Never
 * blocks. */
struct flight_ask {
    bool wants_copy; /* makes copies on the way back */
    bool create;     /* when there is none to join */
    bool refresh;    /* past cached copies: joins only a refresh that has not looked yet; with `create` */
};
enum err flight_enter(struct flights *flights, struct op *op, struct tiers *tiers, const struct id *id,
                      const struct flight_ask *ask, struct flight_ticket *ticket) MUST_USE;
/* ERR_AGAIN until there is an answer; then OK. */
enum err flight_poll(struct flights *flights, struct flight_ticket *ticket,
                     struct flight_answer *ret_answer) MUST_USE;
/* After an answer: what each tier did, from the flight's own on; tiers below the last one asked are not touched. */
void flight_report(struct flights *flights, const struct flight_ticket *ticket, struct tier_report *reports,
                   unsigned count);
/* No wake starts after it returned. Legal on a ticket that never entered. */
void flight_leave(struct flights *flights, struct flight_ticket *ticket);

#endif
