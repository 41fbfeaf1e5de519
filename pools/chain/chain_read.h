/* chain_read.h - one client's read as data. Inside chain.c (the walk and the answer), chain_now.c (what of it needs no lane) and chain_part.c
 * (parts) only; chain.c has the states. */
#ifndef POOLS_CHAIN_CHAIN_READ_H
#define POOLS_CHAIN_CHAIN_READ_H

#include "pools/chain/chain.h"
#include "pools/chain/flight.h"

enum read_state { READ_FRESH, READ_WAITING, READ_PLACED, READ_READY, READ_FAILED };

struct chain_read {
    struct flights *flights;
    struct tiers *tiers;
    struct id id;
    struct waker waker;
    bool is_alone;
    bool wants_copy;
    bool refresh;
    bool wants_part;
    uint64_t part_over_bytes;
    unsigned beginnings;
    enum read_state state;
    struct flight_ticket ticket;
    struct meta meta; /* PLACED, READY */
    unsigned place;   /* PLACED: the tier that has the entry */
    struct entry *entry;
    struct reader *reader;
    uint64_t skip_bytes; /* of the reader's, before the wanted ones */
    struct digest *
        digest; /* of the reader's body so far, when it has to come out as the metadata promised; NULL = need not */
    struct pool *direct; /* a reference to where a DIRECT answer sent us */
    struct stream *stream;
    struct stream_listener listener;
    uint64_t offset, end; /* in the body; end UINT64_MAX = all of it */
    struct fault fault;   /* FAILED */
    struct tier_report *reports;
    char id_text[];
};

/* chain_part.c: looks which tier has the entry without opening it; true and state PLACED when a part is to come from there. May block on any
 * tier's storage. */
bool chain_read_place(struct chain_read *read, struct op *op);
/* chain_stat.c: what the pool knows of the entry, without opening it; counts neither as hit nor as miss. ERR_NOT_FOUND also when the pool cannot
 * hold the id. May block on the pool's storage. The copy is the caller's (meta_fini). */
enum err chain_stat_tier(struct op *op, struct pool *pool, const struct id *id, struct meta *ret_meta);
/* chain.c: whether a refresh asks on although this tier has the entry. The last tier's is served whatever its flag says. */
bool chain_read_passes_over(const struct chain_read *read, unsigned tier, const struct meta *meta);
/* chain.c: joins tier 0's flight, or creates it when asked to; state WAITING. Errors as those of flight_enter. */
enum err chain_read_enter(struct chain_read *read, struct op *op, bool create);
/* chain.c: what the flight answered, taken over; state READY or FAILED. Blocks on local storage only when it is DIRECT. */
enum err chain_read_take_answer(struct chain_read *read, struct op *op, struct flight_answer *answer);
/* chain.c: state FAILED; returns err, which is recorded in op. */
enum err chain_read_fail(struct chain_read *read, struct op *op, enum err err);

#endif
