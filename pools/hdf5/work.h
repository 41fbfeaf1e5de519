/* work.h - one kind of upkeep of a pool: how far it is, and how it shall go on. See pools/upkeep.h for its life.
 *
 * Any thread steers and looks; one thread, the worker, carries it out: for a scrub a thread of its own, for a compaction the
 * store's. A worker that was told to stop may still be putting its things away when the state says CANCELLED already; the next
 * start waits for it.
 *
 * Locks: one mutex (RANK_KIND_INNER), innermost.
 */
#ifndef POOLS_HDF5_WORK_H
#define POOLS_HDF5_WORK_H

#include "pools/base/mutex.h"
#include "pools/upkeep.h"

struct work {
    struct mutex mutex;
    struct cond changed;
    struct upkeep_status status;
    bool active; /* a worker is at it, from its start to work_end */
    bool ending; /* its last step, which cannot be stopped any more */
};

void work_init(struct work *work);
void work_fini(struct work *work);

/* ---- any thread ---- */
/* *ret_begin = a worker has to be set off, which ends with work_end; also when it could not be set off. */
enum err work_steer(struct work *work, struct op *op, enum upkeep_action action, bool *ret_begin) MUST_USE;
/* What is under way shall end; without complaint when nothing is. */
void work_cancel(struct work *work);
enum err work_look(struct work *work, struct op *op, struct upkeep_status *ret_status) MUST_USE;

/* Until no worker is at it. */
void work_wait(struct work *work);

/* ---- the worker ---- */
enum work_wish { WORK_GO_ON, WORK_HOLD, WORK_STOP };
enum work_wish work_wish(struct work *work);
/* The same, but waits while it is WORK_HOLD, and first for rest_ns. */
bool work_goes_on(struct work *work, uint64_t rest_ns);
/* Before a last step: true = nobody stops or holds it any more. */
bool work_begin_end(struct work *work) MUST_USE;
void work_set_totals(struct work *work, uint64_t entries, uint64_t bytes);
void work_set_file_bytes(struct work *work, uint64_t before, uint64_t after);
void work_done(struct work *work, uint64_t entries, uint64_t bytes);
/* corrupt, dropped, learned or unreadable of the work's own status. */
void work_found(struct work *work, uint64_t *count);
/* A damaged owned entry; what does not fit into the list is only counted. */
void work_found_corrupt(struct work *work, const char *id);
/* fault NULL = all is done. What was cancelled stays so. */
void work_end(struct work *work, const struct fault *fault);

#endif
