/* flight_table.h - flights as data: the table, the links between flights, publishing and finishing. Inside chain/flight*.c only.
 *
 * Everything named *_locked is called with the table's mutex held. What must not happen under it (starting fills,
 * dropping references) is collected in a struct flight_todo and done by flight_todo_run after the unlock.
 */
#ifndef POOLS_CHAIN_FLIGHT_TABLE_H
#define POOLS_CHAIN_FLIGHT_TABLE_H

#include "pools/base/map.h"
#include "pools/base/mutex.h"
#include "pools/chain/fill.h"
#include "pools/chain/flight.h"

struct flights {
    struct executor *executor;
    struct spool_dir *spool_dir;
    struct stream_limits limits;
    struct mutex mutex;
    struct cond idle;
    struct map open;           /* flights that may be joined; untried refreshes under keys of their own */
    struct flight *unfinished; /* list through newer / older */
    size_t alive;              /* flights in memory */
    bool draining;             /* no new flights from readers */
    bool cancelling;           /* and those under way are to stop */
};

enum flight_state { FLIGHT_LOOKING, FLIGHT_FOLLOWING, FLIGHT_SOURCING, FLIGHT_PUBLISHED, FLIGHT_FINISHED };

struct flight {
    struct map_node node;
    atomic_uint refs; /* one is the unfinished flight's own */
    struct flights *flights;
    struct tiers *tiers;
    unsigned index; /* of its own tier */
    struct pool *pool;
    struct id id; /* id_text */
    struct strand strand;
    struct op op;       /* the strand's; no client's deadline */
    struct fence watch; /* breaks when the key changes here; never settles */
    struct fence fence; /* of the copy */
    struct fill fill;
    bool refresh;

    /* Under the table's mutex from here on. */
    enum flight_state state;
    bool in_table;
    bool untried; /* a refresh that has not looked yet: in the table for other refreshes alone */
    bool second_attempt;
    bool wants_copy;
    struct flight *newer, *older; /* flights->unfinished */
    unsigned tickets;             /* readers that joined and have not left, waiting or answered */
    struct flight_ticket *first_waiter, *last_waiter;

    /* The own tier. */
    enum tier_result result;
    enum err failed_kind;
    bool passed;  /* the own tier has a cached copy that this refresh did not take; the strand's alone */
    bool spoiled; /* at and above this tier no copies; from PUBLISHED on, what lies below counts too */

    /* The next tier. */
    struct flight *lower; /* a reference, never changed once set */
    bool lower_collapsed;
    struct flight *followers; /* FOLLOWING flights waiting for this one, through next_follower */
    struct flight *next_follower;
    unsigned unfinished_above; /* flights with `lower` == this that are not finished */

    /* The answer. */
    enum flight_answer_kind kind;
    struct fault fault; /* of the own tier; once FAILED, of the tier nearest the origin */
    struct pool *direct;
    struct stream *stream; /* a reference */
    bool tending;          /* source: listens to its stream until the end */
    struct stream_listener listener;

    /* The copy. */
    bool fill_offered; /* fill_open was tried */
    bool fill_begun;
    bool fill_running;

    struct flight *next_queued;           /* walks over followers */
    struct flight *next_fill, *next_done; /* struct flight_todo */
    char id_text[];
};

struct flight_todo {
    struct flight *fills;
    struct flight *done;
};

/* ---- flight_table.c ---- */

/* The open flight of the tier that a plain read, or a refresh, may join; or NULL. One whose key changed meanwhile is closed on the way. */
struct flight *flight_find_locked(struct flights *flights, const struct tiers *tiers, unsigned index,
                                  const struct id *id, bool refresh);
/* Fences raised, LOOKING; in the table; its strand is not woken. NULL and a fault when out of memory. */
struct flight *flight_new_locked(struct flights *flights, struct op *op, struct tiers *tiers, unsigned index,
                                 const struct id *id, bool refresh);
/* A refresh is about to look: what changes from here on it may miss, so no refresh joins it any more. */
void flight_begin_look_locked(struct flight *flight);
/* A refresh has its answer: later readers may share it. The plain flight that they would have joined is closed. */
void flight_join_table_locked(struct flight *flight);
/* Nobody can join any more. Legal on a flight that has left already. */
void flight_leave_table_locked(struct flight *flight);
/* Finishes the flight, and those below that were waiting for it, when nothing is left to do. */
void flight_settle_locked(struct flight *flight, struct flight_todo *todo);
struct flight *flight_ref(struct flight *flight);
/* Without the lock. NULL allowed. */
void flight_unref(struct flight *flight);

/* ---- flight_publish.c ---- */

void flight_add_waiter_locked(struct flight *flight, struct flight_ticket *ticket);
void flight_remove_waiter_locked(struct flight_ticket *ticket);
/* A reader that takes copies has joined: this flight and those below make them. */
void flight_want_copy_locked(struct flight *flight);
/* Whether, as far as is known, the tier may get a copy of what is found below it. */
bool flight_takes_copy_locked(const struct flight *flight, bool spoiled_below, uint64_t size_bytes);
/* Lets `flight` follow `lower`: published at once when there is an answer already. */
void flight_follow_locked(struct flight *flight, struct flight *lower, struct flight_todo *todo);
/* flight->kind and what belongs to it are set: gives the answer to everybody above. */
void flight_publish_locked(struct flight *flight, struct flight_todo *todo);
/* A growing stream that no reader, no copy and no flight above is left for ends here; nobody can join any more. Called from the
 * source's own strand. */
void flight_end_if_deserted_locked(struct flight *flight);
/* Without the lock, on a fetch lane when fills may be in it. */
void flight_todo_run(struct flight_todo *todo);

/* ---- flight.c ---- */

/* The strand's step. */
void flight_step(struct strand *strand);

#endif
