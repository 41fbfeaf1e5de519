/* s3_pool.h - the kind "s3": entries as objects of one bucket. See README.md in this folder. */
#ifndef POOLS_S3_S3_POOL_H
#define POOLS_S3_S3_POOL_H

#include "pools/pool.h"

extern const struct pool_kind s3_pool_kind;

/* The seam for tests: how the pool reads the wall clock. NULL = clock_wall_ms. */
typedef int64_t s3_clock_fn(void);
enum err s3_pool_open_with_clock(struct op *op, const struct pool_environment *environment,
                                 const char *nickname, struct settings *settings, s3_clock_fn *clock,
                                 struct pool **ret_pool) MUST_USE;

#endif
