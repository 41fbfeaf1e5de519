/* s3_fixture.h - pools to test with, and the calls of the front door in the words of a test. */
#ifndef TESTS_UNIT_POOLS_S3_S3_FIXTURE_H
#define TESTS_UNIT_POOLS_S3_S3_FIXTURE_H

#include "pools/s3/s3_pool.h"

struct s3_setting {
    const char *name;
    const char *text;
};

/* What a test changes; the rest is a working pool: bucket "bucket", region us-east-1, credentials of the tests. */
struct s3_how {
    const struct s3_setting *settings; /* ended by a NULL name */
    s3_clock_fn *clock;
    const char *data_dir;
};

/* Fails the test when the pool does not open. */
struct pool *s3_fixture_open(const char *endpoint, const struct s3_how *how);
struct pool *s3_fixture_open_port(unsigned port, const struct s3_how *how);
/* What opening answers, with the fault in op. */
enum err s3_fixture_try_open(struct op *op, const struct s3_setting *settings);

struct op *fresh_op(void); /* one for all, no deadline */
struct op *fresh_op_with(uint64_t timeout_ns);

struct id id_of(const char *text);

struct put_how {
    const char *content_type;
    const struct condition *condition;
    const struct fence *fence;
    enum hold hold;
    bool as_entry;
};
enum err put(struct pool *pool, const char *id, const void *bytes, size_t count, const struct put_how *how);
/* Reads the whole into malloc'd memory. */
enum err get(struct pool *pool, const char *id, uint8_t **ret_bytes, size_t *ret_count,
             struct meta *ret_meta);
/* get, compared. */
void expect_body(struct pool *pool, const char *id, const void *bytes, size_t count);
/* The fault says so, and no secret of the fixture is in it. */
void expect_fault(enum err got, enum err err, enum reason reason);

#define FIXTURE_ACCESS "ACCESSKEYOFTHETESTS"
#define FIXTURE_SECRET "secret/of+the=tests"

#endif
