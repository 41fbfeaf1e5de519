/* pool_checks.h - what pool.c and pool_writer.c share. Nobody else includes it. */
#ifndef POOLS_POOL_CHECKS_H
#define POOLS_POOL_CHECKS_H

#include "pools/pool.h"

#define POOL_COUNT(pool, counter) atomic_fetch_add_explicit(&(pool)->stats.counter, 1, memory_order_relaxed)

/* Signs a failure with the pool's name (the first to sign wins) and counts it, except what is an answer rather than a
 * failure. Returns err. */
enum err pool_sign(struct pool *pool, struct op *op, enum err err);
/* Before a write or removal of the key (NULL: of all keys), against fills under way. In a local pool the copy that is being committed is
 * waited for first, so that a condition sees what a reader has been told of. Behind a network the fences break first: a request is then not
 * tried again, and one on its way is waited for, so that it cannot arrive after this. ERR_BUSY when that takes too long. */
enum err pool_clear_way(struct pool *pool, struct op *op, const struct id *id) MUST_USE;
/* Whether the backend can hold the id and judge the condition (NULL = none); records what it cannot. */
enum err pool_check_writable(struct pool *pool, struct op *op, const struct id *id,
                             const struct condition *condition) MUST_USE;

#endif
