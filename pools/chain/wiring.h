/* wiring.h - who proxies to whom, changeable at any moment.
 *
 * The wiring is a set of links pool -> origin, kept acyclic, each with a generation that every change of that pool's link
 * raises, and a global generation. Every change is saved in state.db before it takes effect and before the call returns.
 * Readers take an immutable, reference-counted `struct tiers` (the chain from one pool on) and finish on it, whatever
 * happens meanwhile (design.md section 2, 13.8, 13.9).
 *
 * Threads: any. Changes are serialised by one mutex (RANK_WIRING) that is *not* held while state.db syncs: a change is
 * prepared and reserved, saved, then published.
 */
#ifndef POOLS_CHAIN_WIRING_H
#define POOLS_CHAIN_WIRING_H

#include "pools/chain/expr.h"
#include "pools/registry.h"
#include "pools/state.h"

struct wiring;

struct wiring *wiring_new(struct registry *registry, struct state *state);
void wiring_free(struct wiring *wiring);
DEFINE_AUTO(struct wiring, wiring_free)

/* At start-up: the saved wiring, unless chain_text differs from the text it started with; then chain_text wins. Links to vanished
 * pools are cleared and logged. state.db is written only when one of the two changed something. */
enum err wiring_start(struct wiring *wiring, struct op *op, const char *chain_text) MUST_USE;

struct link {
    char origin[NICKNAME_BYTES]; /* "" = none */
    bool fail_on_tier_error;
    uint64_t generation;
};

#define GENERATION_ANY UINT64_MAX

/* The pool must exist (ERR_NOT_FOUND). */
enum err wiring_get(struct wiring *wiring, struct op *op, const char *nickname,
                    struct link *ret_link) MUST_USE;
/* origin NULL or "" clears. if_generation: ERR_PRECONDITION unless it is the link's current one (GENERATION_ANY = do not
 * ask). ERR_CONFLICT REASON_PROXY_CYCLE naming the path; ERR_NOT_FOUND REASON_POOL_NOT_FOUND. Setting what is already set
 * is a change too (it raises the generation). */
enum err wiring_set(struct wiring *wiring, struct op *op, const char *nickname, const char *origin,
                    bool fail_on_tier_error, uint64_t if_generation, struct link *ret_link) MUST_USE;
/* replace: the links become the whole wiring; else they are added (a pool's new origin replaces its old one). All or nothing. */
enum err wiring_apply(struct wiring *wiring, struct op *op, const struct expr_links *links, bool replace,
                      uint64_t if_generation) MUST_USE;
/* The whole wiring as text and its global generation. */
enum err wiring_text(struct wiring *wiring, struct op *op, struct buf *buf,
                     uint64_t *ret_generation) MUST_USE;
/* Whether any pool proxies to this one: records REASON_POOL_IN_USE naming it. A registry_in_use_fn. */
enum err wiring_in_use(void *wiring, struct op *op, const char *nickname);
/* A pool is being registered: its link, not set yet, gets the next generation. A registry_adopt_fn. */
enum err wiring_adopt_pool(void *wiring, struct op *op, const char *nickname);
/* Takes a pool that is being removed and its own link out of state.db in one step, then forgets the link. On failure both stay. A
 * registry_drop_fn. */
enum err wiring_drop_pool(void *wiring, struct op *op, const char *nickname);

#define TIERS_MOST 256

struct tier {
    struct pool *pool;
    bool fail_on_error; /* when this tier fails, the read fails instead of skipping it */
};

struct tiers {
    atomic_uint refs;
    uint64_t generation; /* global, part of a flight's key */
    unsigned count;      /* >= 1; tier[0] is the asked pool, the last is the origin */
    struct tier tier[];
};

/* The chain from `head` on as it is now. */
enum err wiring_tiers(struct wiring *wiring, struct op *op, struct pool *head,
                      struct tiers **ret_tiers) MUST_USE;
struct tiers *tiers_ref(struct tiers *tiers);
void tiers_unref(struct tiers *tiers);
DEFINE_AUTO(struct tiers, tiers_unref)
/* The first tier that is behind a network, borrowed; NULL = none is. */
const struct pool *tiers_reach_out(const struct tiers *tiers);

#endif
