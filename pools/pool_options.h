/* pool_options.h - the options that every pool has, whatever its kind: one table beside the kind's own.
 *
 * Whoever makes a pool's settings makes them with pool_settings_new, so that no kind lists these.
 */
#ifndef POOLS_POOL_OPTIONS_H
#define POOLS_POOL_OPTIONS_H

#include "pools/pool.h"

extern const struct option pool_options[];
extern const size_t pool_option_count;

/* Empty settings for a pool of this kind. NULL = out of memory. */
struct settings *pool_settings_new(const struct pool_kind *kind) MUST_USE;

/* What an answer with an entry of this pool says in Cache-Control: option `cache_control`. Lives as long as the pool. */
const char *pool_cache_control(const struct pool *pool);

#endif
