/* compact_fixture.h - what the tests of compaction share: the pool, asking for a compaction and waiting for it, entries of every shape. */
#ifndef TESTS_UNIT_POOLS_HDF5_COMPACT_FIXTURE_H
#define TESTS_UNIT_POOLS_HDF5_COMPACT_FIXTURE_H

#include "hdf5_fixture.h"

#include <check.h>

#define MIB ((size_t)1 << 20)
#define COPY_NAME ".p.h5.lailad-compact"
#define SHAPES 12u

/* The pool of the running test. */
extern struct fixture fixture;

/* A case whose tests each get a new pool. */
TCase *new_case(Suite *suite, const char *name);
int run_suite(Suite *suite);

/* Of a file in the pool's directory; -1 = there is none. */
int64_t size_of(const char *name);

enum err ask(enum upkeep_action action);
struct upkeep_status look(void); /* without ids */
/* Fails the test when it comes to another end. */
struct upkeep_status await(enum upkeep_state state);
/* Starts one and waits for its end. */
struct upkeep_status compact(void);

/* Bytes that follow from the seed; text when it is even. The caller frees. */
char *make_body(size_t bytes, unsigned seed);
void put_made(const char *id, size_t bytes, unsigned seed, enum hold hold);
void expect_made(const char *id, size_t bytes, unsigned seed);

/* SHAPES entries: text and bytes, empty to large, owned and cached, ids of awkward shape. */
void put_shapes(void);
/* Their bodies only. */
void expect_shape_bodies(void);
/* They, as they were put, and nothing else. */
void expect_shapes(void);

#endif
