/* hdf5_fixture.h - what the tests of this folder share: a pool in a fresh directory, whole entries in one call. */
#ifndef TESTS_UNIT_POOLS_HDF5_HDF5_FIXTURE_H
#define TESTS_UNIT_POOLS_HDF5_HDF5_FIXTURE_H

#include "pools/hdf5/hdf5_pool.h"

#include "pools/base/spool.h"

struct fixture {
    char dir[64];
    struct spool_dir *spool_dir;
    struct pool *pool;
};

/* A new directory and an open pool "p" in it. */
void fixture_open(struct fixture *fixture);
/* Everything away, the directory too. */
void fixture_close(struct fixture *fixture);
/* Closes the pool and opens it again; settings are "name=value" pairs, NULL-terminated. */
void fixture_reopen(struct fixture *fixture, const char *const *pairs);
/* Only opens; the fault is in op. */
enum err fixture_try_open(struct fixture *fixture, struct op *op, const char *const *pairs,
                          struct pool **ret_pool);
/* dir/name; the caller frees. */
char *fixture_path(const struct fixture *fixture, const char *name);

struct id id_of(const char *text);

/* Through the front door's writer; hold and type as given (NULL = the default type). */
enum err put_as(struct pool *pool, const char *id, const void *bytes, size_t count, enum hold hold,
                const char *type, const struct condition *condition, const struct fence *fence);
void put_text(struct pool *pool, const char *id, const char *text);
void put_cached(struct pool *pool, const char *id, const char *text);
/* The body as a NUL-terminated string (free it); NULL when absent. Any other failure fails the test. */
char *get(struct pool *pool, const char *id, size_t *ret_bytes);
void expect_text(struct pool *pool, const char *id, const char *text);
void expect_absent(struct pool *pool, const char *id);
void drop(struct pool *pool, const char *id);
/* All ids, each exactly once, by pages of `limit`; how many there were. */
size_t count_listed(struct pool *pool, const char *prefix, unsigned limit);

#endif
