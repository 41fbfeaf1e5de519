/* state.h - what the daemon remembers between runs: REST-registered pools and the wiring (DATA/state.db, SQLite).
 *
 * One connection behind one mutex (RANK_STATE); every change is one transaction, durable (WAL, synchronous=FULL) before
 * the call returns. Secrets are stored sealed with DATA/state.key (libsodium secretbox; 0600, made at first need).
 * state.db of a newer schema than this binary knows is an error, not a migration.
 */
#ifndef POOLS_STATE_H
#define POOLS_STATE_H

#include "pools/base/op.h"
#include "pools/id.h"
#include "pools/settings.h"

struct state;

/* Takes a lock on the data directory: a second daemon on the same directory is ERR_CONFLICT. */
enum err state_open(struct op *op, const char *data_dir, struct state **ret_state) MUST_USE;
void state_close(struct state *state);
DEFINE_AUTO(struct state, state_close)

/* Pools. `visit` gets each stored pool with its options as text (secrets opened). */
struct state_option {
    const char *name;
    const char *text; /* from state_each_pool NULL for what cannot be opened: state.key is lost or another */
    bool sealed;      /* a secret's value; a name in its place (secret_names.h) is stored as it is */
};
enum err state_put_pool(struct state *state, struct op *op, const char *nickname, const char *kind,
                        const struct state_option *options, size_t count) MUST_USE;
typedef enum err state_pool_fn(void *context, struct op *op, const char *nickname, const char *kind,
                               const struct state_option *options, size_t count);
enum err state_each_pool(struct state *state, struct op *op, state_pool_fn *visit, void *context) MUST_USE;

/* Wiring: the whole of it in one transaction. */
struct state_link {
    char pool[NICKNAME_BYTES];
    char origin[NICKNAME_BYTES]; /* "" = cleared: kept for its generation */
    bool fail_on_tier_error;
    uint64_t generation;
};
struct state_wiring {
    struct state_link *links; /* owned by whoever holds the struct: free() */
    size_t count;
    uint64_t generation; /* global */
    char *chain_text;    /* the config's `chain` this wiring started from; owned; NULL = never saved */
};
/* dropped_pool: a stored pool that goes in the same transaction; NULL = none. */
enum err state_save_wiring(struct state *state, struct op *op, const struct state_wiring *wiring,
                           const char *dropped_pool) MUST_USE;
enum err state_load_wiring(struct state *state, struct op *op, struct state_wiring *ret_wiring) MUST_USE;

#endif
