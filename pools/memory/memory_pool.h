/* memory_pool.h - kind "memory": entries in this process's memory, gone when it ends. README.md has the map. */
#ifndef POOLS_MEMORY_MEMORY_POOL_H
#define POOLS_MEMORY_MEMORY_POOL_H

#include "pools/pool.h"

extern const struct pool_kind memory_pool_kind;

#endif
