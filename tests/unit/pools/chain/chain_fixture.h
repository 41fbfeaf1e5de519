/* chain_fixture.h - a chain of fake pools, and clients that read through it, for the tests of this folder. */
#ifndef TESTS_UNIT_POOLS_CHAIN_CHAIN_FIXTURE_H
#define TESTS_UNIT_POOLS_CHAIN_CHAIN_FIXTURE_H

#include "pools/base/mutex.h"
#include "pools/chain/chain.h"
#include "tests/fakes/fake_pool.h"

#define FIXTURE_MOST_TIERS 64
#define FIXTURE_ENTRY_MOST (64 * 1024)
#define FIXTURE_FLIGHT_MOST (1024 * 1024)

struct fixture {
    char dir[64];
    struct executor *executor;
    struct spool_dir *spool_dir;
    struct flights *flights;
    struct pool *pool[FIXTURE_MOST_TIERS];
    unsigned pool_count;
};

/* Pools "t0", "t1", ...; the last is remote when `remote_origin`. */
void fixture_start(struct fixture *fixture, unsigned pool_count, bool remote_origin, uint64_t spool_bytes);
/* Drains and frees; every client must be closed. */
void fixture_stop(struct fixture *fixture);
/* Waits until no flight is alive; the fixture can be used on. */
void fixture_settle(struct fixture *fixture);
/* The chain of the given pools (indexes), one reference. */
struct tiers *fixture_tiers(struct fixture *fixture, uint64_t generation, unsigned count, ...);

/* A client; its reads are polled on the test's own thread. */
struct client {
    struct mutex mutex;
    struct cond woken;
    bool is_woken;
    struct op op;
    struct chain_read *read;
    char *body;
    size_t body_bytes;
};

void client_start(struct client *client, struct fixture *fixture, struct tiers *tiers, const char *id,
                  const struct chain_read_options *options);
/* Polls once. */
enum err client_poll(struct client *client);
/* Polls until there is an answer. */
enum err client_wait(struct client *client);
/* client_wait, then the whole body; on a failure in the middle body_bytes tells how far it came. */
enum err client_finish(struct client *client);
/* The next piece, waiting for it; *ret_count 0 at the end. */
enum err client_next(struct client *client, void *ret_bytes, size_t cap, size_t *ret_count);
void client_close(struct client *client);
/* One read from start to end; the body is compared. */
void expect_read(struct fixture *fixture, struct tiers *tiers, const char *id, const void *body,
                 size_t bytes);
/* The store of the pool holds exactly this. */
void expect_stored(struct pool *pool, const char *id, const void *body, size_t bytes, enum hold hold);
void expect_absent(struct pool *pool, const char *id);
/* After an answer: pool_stat (which waits for a settling fill) finds the entry. */
void expect_stat(struct pool *pool, const char *id, enum err expected);
/* Bytes that tell their place. */
char *make_body(size_t bytes, unsigned seed);
struct id make_id(const char *text);

#endif
