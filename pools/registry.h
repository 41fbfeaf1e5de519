/* registry.h - live pools by nickname.
 *
 * Threads: any; one mutex (RANK_REGISTRY), held only to look up or link. Opening and closing a pool, and writing state.db,
 * happen outside it under a reservation of the nickname.
 * A local pool that cannot be opened at start is registered all the same, in state `failed`, and answers every call with
 * its reason (broken.c): a bad file is a visible pool, not a missing one.
 */
#ifndef POOLS_REGISTRY_H
#define POOLS_REGISTRY_H

#include "pools/pool.h"
#include "pools/secret_names.h"
#include "pools/state.h"

struct registry;

#define POOL_ALPHA "alpha" /* the memory pool that always exists */

/* names: what ${NAME} stands for in credentials given over REST; NULL = no names. Both structs are copied; what
 * they point to, and the state, is borrowed. */
struct registry *registry_new(const struct pool_environment *environment, const struct secret_names *names,
                              struct state *state);
void registry_free(struct registry *registry); /* unrefs every pool */
DEFINE_AUTO(struct registry, registry_free)

/* From the config file (or built in, like alpha): failure to open registers a failed pool and returns OK with *ret_opened false and
 * the fault in op. Takes settings on OK. */
enum err registry_declare(struct registry *registry, struct op *op, const char *nickname,
                          const struct pool_kind *kind, struct settings *take_settings,
                          bool *ret_opened) MUST_USE;
/* REST pools of state.db; on a clash with a declared pool the declared one stays and the other is reported in the log. One whose
 * credentials cannot be had any more is there in state `needs-credentials`. */
enum err registry_restore(struct registry *registry, struct op *op) MUST_USE;
/* POST /pools: opens, stores in state.db, registers. ERR_EXISTS, ERR_INVALID, or what opening gave (then nothing is registered). Where the file
 * is in use by a pool that was removed, its close is waited for, up to 5 s.
 * `adopt` (NULL = none) is told under the reservation, before anybody sees the pool; its fault is the answer. Takes settings on OK. */
typedef enum err registry_adopt_fn(void *context, struct op *op, const char *nickname);
enum err registry_add(struct registry *registry, struct op *op, const char *nickname,
                      const struct pool_kind *kind, struct settings *take_settings, registry_adopt_fn *adopt,
                      void *context, struct pool **ret_pool) MUST_USE;
/* DELETE /pools/{nick}: unregisters, data stay. ERR_CONFLICT for declared pools and alpha; `in_use` is asked under the reservation
 * (chain knows who proxies to it) and records its fault. Then, still under it, `drop` takes the pool and what else is known of
 * it out of state.db, all or nothing: when it fails, the pool is as it was. */
typedef enum err registry_in_use_fn(void *context, struct op *op, const char *nickname);
typedef enum err registry_drop_fn(void *context, struct op *op, const char *nickname);
enum err registry_remove(struct registry *registry, struct op *op, const char *nickname,
                         registry_in_use_fn *in_use, registry_drop_fn *drop, void *context) MUST_USE;

/* A reference, or NULL (no op: for the hit path). */
struct pool *registry_get(struct registry *registry, const char *nickname);
/* The same with REASON_POOL_NOT_FOUND recorded. */
enum err registry_find(struct registry *registry, struct op *op, const char *nickname,
                       struct pool **ret_pool) MUST_USE;
/* Closes pools that were removed and that nobody holds any more. A removed pool's last reference is the registry's, so that none is closed
 * where the last reader happens to end, which may be a poll thread. Costs nothing when there is none. May block: lanes only. */
void registry_reap(struct registry *registry);
bool registry_is_declared(struct registry *registry, const char *nickname);
/* References to all, sorted by nickname; the caller unrefs each and frees the array. */
enum err registry_all(struct registry *registry, struct op *op, struct pool ***ret_pools,
                      size_t *ret_count) MUST_USE;

#endif
