/* pool_checks.h - what pool.c and pool_writer.c share. Nobody else includes it. */
#ifndef POOLS_POOL_CHECKS_H
#define POOLS_POOL_CHECKS_H

#include "pools/pool.h"

#define POOL_COUNT(pool, counter) atomic_fetch_add_explicit(&(pool)->stats.counter, 1, memory_order_relaxed)

/* Signs a failure with the pool's name (the first to sign wins) and counts it, except what is an answer rather than a
 * failure. Returns err. */
enum err pool_sign(struct pool *pool, struct op *op, enum err err);
/* Whether the backend can hold the id and judge the condition (NULL = none); records what it cannot. */
enum err pool_check_writable(struct pool *pool, struct op *op, const struct id *id,
                             const struct condition *condition) MUST_USE;

#endif
