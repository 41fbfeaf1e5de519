/* fake_pool.h - a pool in memory that counts its calls, fails when told to and stops at gates.
 *
 * For tests of whatever stands above the backends. A gate orders threads without sleeping: while it is closed, a call that comes to
 * it waits there; fake_wait_held returns when so many are waiting.
 */
#ifndef TESTS_FAKES_FAKE_POOL_H
#define TESTS_FAKES_FAKE_POOL_H

#include "pools/pool.h"

struct fake_counts {
    unsigned opens; /* open_reader */
    uint64_t read_bytes;
    unsigned stats;              /* stat */
    unsigned commits;            /* successful commits and put_entry */
    unsigned writers;            /* open_writer and put_entry */
    uint64_t open_deadline_ns;   /* of the last open_writer or put_entry, as its op said */
    uint64_t commit_deadline_ns; /* of the last commit or put_entry */
};

enum fake_gate { FAKE_GATE_OPEN, FAKE_GATE_READ, FAKE_GATE_COMMIT, FAKE_GATE_COUNT };

/* capabilities NULL = a local pool with a fill fence. One reference. */
struct pool *fake_pool_new(const char *nickname, const struct pool_capabilities *capabilities);

/* Straight into the store: no counts, no fences. */
void fake_store(struct pool *pool, const char *id, const void *bytes, size_t count, enum hold hold);
/* The stored body (a reference) or NULL; ret_hold may be NULL. Sees the store as it is, waits for nothing. */
struct entry *fake_stored(struct pool *pool, const char *id);
struct fake_counts fake_counts(struct pool *pool);
bool fake_is_evictable(struct pool *pool);

/* The next `times` opens fail so (UINT_MAX = until told otherwise; 0 = works again). */
void fake_fail_opens(struct pool *pool, enum reason reason, unsigned times);
/* Fills fail so at open_writer / put_entry; REASON_NONE = works again. */
void fake_fail_fills(struct pool *pool, enum reason reason);
/* Bodies end after so many bytes, as ERR_CORRUPT or (lying) as a plain end; SIZE_UNKNOWN = whole. */
void fake_cut_bodies(struct pool *pool, uint64_t after_bytes, bool lying);
/* Readers promise no length / a wrong digest. */
void fake_hide_length(struct pool *pool, bool hide);
void fake_wrong_digest(struct pool *pool, bool wrong);
/* Peeks say ERR_AGAIN, as of a pool that is still loading. */
void fake_refuse_peeks(struct pool *pool, bool refuse);
void fake_prove_not_owned(struct pool *pool, bool proves);

void fake_close_gate(struct pool *pool, enum fake_gate gate);
/* The read gate lets a body's first so many bytes through. */
void fake_close_read_gate_at(struct pool *pool, uint64_t offset);
void fake_open_gate(struct pool *pool, enum fake_gate gate);
void fake_wait_held(struct pool *pool, enum fake_gate gate, unsigned count);

#endif
