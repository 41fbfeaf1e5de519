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
    struct tiers *chain; /* all pools, t0 first, generation 1 */
};

extern const struct pool_capabilities fixture_remote; /* what a remote origin can */

/* Pools "t0", "t1", ...; the last is remote when `remote_origin`. */
void fixture_start(struct fixture *fixture, unsigned pool_count, bool remote_origin, uint64_t spool_bytes);
/* Drains and frees; every client must be closed. */
void fixture_stop(struct fixture *fixture);
/* Waits until no flight is alive; the fixture can be used on. */
void fixture_settle(struct fixture *fixture);
/* Another pool with these capabilities in the place of one that nobody has used yet. */
void fixture_replace(struct fixture *fixture, unsigned index, const struct pool_capabilities *capabilities);
/* Another chain than fixture->chain, of the given pools (indexes); one reference. */
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
/* client_start without options, and polls once: a read of a local head joins its flight there. Either has an answer or waits. */
void client_begin(struct client *client, struct fixture *fixture, struct tiers *tiers, const char *id);
/* Polls once. */
enum err client_poll(struct client *client);
/* Polls until there is an answer. */
enum err client_wait(struct client *client);
/* The same as a poll thread does it; ERR_AGAIN when a lane has to go on. */
enum err client_wait_now(struct client *client);
/* client_wait, then the whole body; on a failure in the middle body_bytes tells how far it came. */
enum err client_finish(struct client *client);
/* The next piece, waiting for it; *ret_count 0 at the end. */
enum err client_next(struct client *client, void *ret_bytes, size_t cap, size_t *ret_count);
/* What the walk found at a tier. */
const struct tier_report *client_report(const struct client *client, unsigned tier);
void client_close(struct client *client);
/* One read of the fixture's chain from start to end, which ends so; the client is still to be closed. */
void client_read(struct client *client, struct fixture *fixture, const char *id,
                 const struct chain_read_options *options, enum err expected);
/* What a finished client has is exactly this. */
void expect_body(const struct client *client, const void *body, size_t bytes);
/* A client of its own reads exactly this. */
void expect_read(struct fixture *fixture, struct tiers *tiers, const char *id, const void *body,
                 size_t bytes);
/* The store of the pool holds exactly this. */
void expect_stored(struct pool *pool, const char *id, const void *body, size_t bytes, enum hold hold);
void expect_absent(struct pool *pool, const char *id);
/* After an answer: pool_stat (which waits for a settling fill) finds the entry. */
void expect_stat(struct pool *pool, const char *id, enum err expected);
/* pool_empty succeeds. */
void empty_pool(struct pool *pool);
/* Bytes that tell their place. */
char *make_body(size_t bytes, unsigned seed);
struct id make_id(const char *text);

#endif
