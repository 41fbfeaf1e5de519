/* kinds.h - the table of compiled-in kinds. kinds.c is the only file that names every backend. */
#ifndef POOLS_KINDS_H
#define POOLS_KINDS_H

#include "pools/pool.h"

/* NULL when there is no such kind. */
const struct pool_kind *kinds_find(const char *name);
/* By index, NULL past the end: for messages and references. */
const struct pool_kind *kinds_at(size_t index);

#endif
