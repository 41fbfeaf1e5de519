/* chain.h - the read that cascades: one client's view of walk, flight and fill.
 *
 * A read looks at its own tier, then follows the chain until a tier has the entry; every tier that missed gets a copy on
 * the way back. Nothing here waits on a thread: chain_read_poll and chain_read_next answer ERR_AGAIN and the waker is
 * called when it is worth asking again.
 *
 * How it works (flight.h has the details): each missed tier has one flight per (pool, id, wiring generation). A flight
 * looks at the next tier; a hit there opens a *stream* (stream.h: one growing body, produced once by a fetch-lane task), a miss
 * makes it follow the flight of that tier. So two walks that meet lower down share one fetch, and every flight on the way
 * subscribes its own fill (fill.h) to the same stream. An entry found in the read's own tier, or in a local tier when no tier above
 * wants a copy, is read directly from its pool.
 *
 * Read next: flight.h (states), stream.h, fill.h, wiring.h.
 */
#ifndef POOLS_CHAIN_CHAIN_H
#define POOLS_CHAIN_CHAIN_H

#include "pools/base/executor.h"
#include "pools/base/spool.h"
#include "pools/base/waker.h"
#include "pools/chain/wiring.h"

struct flights; /* the table of flights; one per process */

struct flights_limits {
    /* bodies up to this many bytes (1 MiB) are completed and verified before the answer */
    uint64_t entry_most_bytes;
    uint64_t flight_max_bytes; /* above it a growing body moves to the spool */
    uint64_t step_timeout_ns;  /* for each look into a tier and each piece of a body; 0 = no limit */
};
struct flights *flights_new(struct executor *executor, struct spool_dir *spool_dir,
                            const struct flights_limits *limits);
/* Every chain_read must be closed; waits for running fetches and fills (they are cancelled when `cancel`). */
void flights_drain(struct flights *flights, bool cancel);
void flights_free(struct flights *flights);
DEFINE_AUTO(struct flights, flights_free)

/* What one tier did in a read; becomes a Cache-Status member (RFC 9211). */
enum tier_result {
    TIER_HIT,
    TIER_MISS,    /* NOT_FOUND */
    TIER_PASSED,  /* has a cached copy, and the read asked past those */
    TIER_PARTIAL, /* NOT_FOUND, and only a part was taken from below: no copy */
    TIER_FAILED,  /* skipped */
    TIER_UNASKED  /* below the hit */
};
struct tier_report {
    char nickname[NICKNAME_BYTES];
    enum tier_result result;
    enum err kind;  /* TIER_FAILED: what it failed with */
    bool stored;    /* a fill into it was begun */
    bool collapsed; /* its answer came from a flight that was already under way */
};

struct chain_read_options {
    bool local_only; /* only-if-cached: look at tier 0 only */
    bool no_store;   /* fill nothing */
    /* past cached copies, which are replaced or removed (flight.h); a part of a large entry leaves them as they are */
    bool refresh;
    /* The caller may want a part only (chain_part.c): what tier 0 itself has, and what is larger than part_over_bytes further down, is
     * not opened until chain_read_take_part or chain_read_take_whole says so. */
    bool wants_part;
    uint64_t part_over_bytes;
};

/* What the chain knows of an entry: asked of tier after tier from the head on until one has it, by a read's rules. Moves no data, fills nothing,
 * joins nothing. Of the options local_only (tier 0 alone is asked) and refresh (cached copies are passed over) count. ret_reports has tiers->count
 * members, set in any case. Errors as those of chain_read_poll. Blocks on the storage of any tier asked: lanes only, LANE_REMOTE when one
 * of them is remote. */
enum err chain_stat(struct op *op, const struct tiers *tiers, const struct id *id,
                    const struct chain_read_options *options, struct tier_report *ret_reports,
                    struct meta *ret_meta) MUST_USE;

struct chain_read; /* one client's read; one thread at a time, except that the waker may fire from any */

/* Never blocks on storage: registers or joins and returns. Takes a reference to tiers; copies the id. */
enum err chain_read_start(struct flights *flights, struct op *op, struct tiers *tiers, const struct id *id,
                          const struct chain_read_options *options, struct waker waker,
                          struct chain_read **ret_read) MUST_USE;

/* OK: the answer is ready (use the getters below). ERR_AGAIN: the waker will fire. ERR_NOT_FOUND: every tier answered NOT_FOUND. Else:
 * the failure of the failed tier nearest the origin, recorded in op. May block on local storage, and with wants_part on any tier's:
 * lanes only. */
enum err chain_read_poll(struct chain_read *read, struct op *op) MUST_USE;

/* The same on a poll thread, as far as nothing of it has to wait for storage: OK only with a whole entry (chain_read_entry). With ERR_AGAIN,
 * *ret_needs_lane tells that the waker will not fire: chain_read_poll on a lane goes on. */
enum err chain_read_poll_now(struct chain_read *read, struct op *op, bool *ret_needs_lane) MUST_USE;

/* After OK. */
const struct meta *chain_read_meta(const struct chain_read *read);
/* The whole body when it is complete in memory, else NULL; borrowed. */
struct entry *chain_read_entry(const struct chain_read *read);
/* After OK or any failure: one report per tier of the chain, tier 0 first. */
unsigned chain_read_reports(const struct chain_read *read, const struct tier_report **ret_reports);

/* After OK of a read that wants_part: the metadata is known and nothing is open. One of the next two must follow. */
bool chain_read_is_placed(const struct chain_read *read);
/* After OK, before the body: only these bytes of it (within the entry; bytes > 0) are wanted. ERR_AGAIN: the entry has changed meanwhile, poll
 * again at once. Blocks on storage when the read is placed: lanes only, LANE_REMOTE when a tier is remote. */
enum err chain_read_take_part(struct chain_read *read, struct op *op, uint64_t offset,
                              uint64_t bytes) MUST_USE;
/* Of a placed read: all of it after all, as if no part had been wanted. Poll again at once. */
void chain_read_take_whole(struct chain_read *read);

/* Streams the body: OK with *ret_count > 0, OK with 0 = complete *and verified*, ERR_AGAIN, or a failure (the body must then be cut off). */
enum err chain_read_next(struct chain_read *read, struct op *op, void *ret_bytes, size_t cap,
                         size_t *ret_count) MUST_USE;
/* The same on a poll thread, of a body that stands in the asked pool's own storage: OK with *ret_count > 0, or ERR_AGAIN for chain_read_next
 * on a lane to go on. Never blocks. */
enum err chain_read_next_now(struct chain_read *read, void *ret_bytes, size_t cap,
                             size_t *ret_count) MUST_USE;
/* All that is still to come of such a body, `bytes` of it, as memory that only a send() may look at (pool.h: reader_ops.map); good until
 * chain_read_close. ERR_AGAIN: read it instead. Lanes only. */
enum err chain_read_map(struct chain_read *read, size_t bytes, const void **ret_bytes) MUST_USE;
/* After OK: whether it is worth calling. */
bool chain_read_has_now(const struct chain_read *read);
/* At any point; no wake starts after it returned. The fetch goes on without this reader. NULL allowed. */
void chain_read_close(struct chain_read *read);
DEFINE_AUTO(struct chain_read, chain_read_close)

#endif
