/* upkeep.h - work on the whole of a pool that goes on in the background: compacting it, looking for damage. Part of the contract (pool.h).
 *
 * A pool has at most one such work of each kind, and remembers the last one until the next begins or the pool is closed.
 *
 * Life (enum upkeep_state)
 *   1 NOT_STARTED  since the pool was opened
 *   2 RUNNING      in small pieces between the pool's other work
 *   3 PAUSED       until it is resumed or cancelled
 *   4 FINISHED     all of it was done; what was found is in the counts
 *   5 ERROR        it gave up: `fault` says why, and the pool is as it was
 *   6 CANCELLED    somebody asked for that, or the pool was closed; the pool is as it was, but for what a scrub already dropped
 * START leads from 1, 4, 5 and 6 to 2 and changes nothing in 2 and 3. PAUSE, RESUME and CANCEL say how it should be afterwards: what is so already
 * is no error, and what is paused or cancelled stays so; from 1, 4, 5 and 6 they are ERR_CONFLICT (REASON_NOT_RUNNING), but for cancelling what is cancelled;
 * so they are while the last step is taken, which cannot be stopped.
 */
#ifndef POOLS_UPKEEP_H
#define POOLS_UPKEEP_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stdint.h>

enum upkeep_kind { UPKEEP_COMPACT, UPKEEP_SCRUB };
#define UPKEEP_KINDS 2

enum upkeep_action { UPKEEP_START, UPKEEP_PAUSE, UPKEEP_RESUME, UPKEEP_CANCEL };

enum upkeep_state {
    UPKEEP_NOT_STARTED,
    UPKEEP_RUNNING,
    UPKEEP_PAUSED,
    UPKEEP_FINISHED,
    UPKEEP_ERROR,
    UPKEEP_CANCELLED
};

/* Most ids of damaged entries that are told; the count goes on. */
#define UPKEEP_MOST_IDS 100

struct upkeep_status {
    enum upkeep_state state;
    int64_t started_ms, ended_ms; /* wall clock; 0 = not */
    uint64_t entries_done, entries_total;
    uint64_t bytes_done, bytes_total; /* of bodies */
    /* A scrub's findings. */
    uint64_t corrupt;    /* owned entries that do not match their digest: quarantined */
    uint64_t dropped;    /* cached copies that did not, and are gone */
    uint64_t learned;    /* entries that had no digest and have one now */
    uint64_t unreadable; /* could not be looked at */
    char **corrupt_ids;  /* owned, each NUL-terminated; at most UPKEEP_MOST_IDS */
    unsigned corrupt_id_count;
    /* A compaction's: of the file; 0 = not known yet. */
    uint64_t bytes_before, bytes_after;
    struct fault fault; /* with UPKEEP_ERROR */
};

void upkeep_status_fini(struct upkeep_status *status);
static inline void upkeep_status_fini_auto(struct upkeep_status *held) {
    upkeep_status_fini(held);
}
/* "compact", "scrub". */
const char *upkeep_kind_word(enum upkeep_kind kind);
/* "not_started", "running", ...: the words that LAILA has for its futures. */
const char *upkeep_state_word(enum upkeep_state state);

#endif
