/* kinds.c - the only file that names every backend. See kinds.h. */
#include "pools/kinds.h"

#include "pools/hdf5/hdf5_pool.h"
#include "pools/memory/memory_pool.h"
#include "pools/s3/s3_pool.h"

#include <string.h>

static const struct pool_kind *const kinds[] = {
    &memory_pool_kind,
    &hdf5_pool_kind,
    &s3_pool_kind,
};

const struct pool_kind *kinds_at(size_t index) {
    return index < ARRAY_COUNT(kinds) ? kinds[index] : NULL;
}

const struct pool_kind *kinds_find(const char *name) {
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}
