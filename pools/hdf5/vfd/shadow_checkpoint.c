/* shadow_checkpoint.c - bringing the file up to date, and going back to the last commit. See shadow.h and README.md. */
#include "pools/base/must.h"
#include "pools/hdf5/vfd/recover.h"
#include "pools/hdf5/vfd/shadow_inside.h"

#include <stdlib.h>

#define JOURNAL_MOST_BYTES (UINT64_C(64) << 20)
#define OVERLAY_MOST_BYTES ((size_t)32 << 20)
#define RUN_MOST_BYTES ((size_t)1 << 20)

bool shadow_wants_checkpoint(const struct shadow *shadow) {
    return shadow_state(shadow) == SHADOW_COMMITTED &&
           (shadow->journal.next_offset > JOURNAL_MOST_BYTES ||
            atomic_load(&shadow->overlay.bytes) > OVERLAY_MOST_BYTES);
}

static enum err poison(struct shadow *shadow, struct op *op, int errno_value) {
    shadow_poison(shadow);
    return op_fail_errno(op, errno_value, "confirming a write to the disk");
}

/* ---- checkpoint ---- */

/* The next run of committed bytes. *ret_count 0 at the end, and when a write came that no commit has yet: it may have gone over
 * committed bytes that are not in the file yet. */
static void take_run(struct shadow *shadow, struct overlay_walk *walk, uint8_t *run, uint64_t *ret_offset,
                     size_t *ret_count) {
    mutex_lock(&shadow->mutex);
    *ret_count = shadow_state(shadow) == SHADOW_COMMITTED
                     ? overlay_walk_take(walk, run, RUN_MOST_BYTES, ret_offset)
                     : 0;
    mutex_unlock(&shadow->mutex);
}

static enum err write_runs(struct shadow *shadow, struct op *op) {
    uint8_t *run = malloc(RUN_MOST_BYTES);
    struct overlay_walk walk;
    mutex_lock(&shadow->mutex);
    bool started = run && overlay_walk_start(&walk, &shadow->overlay);
    mutex_unlock(&shadow->mutex);
    if (!started) {
        free(run);
        return op_no_memory(op);
    }
    struct medium *medium = shadow->medium;
    int result = 0;
    for (;;) {
        uint64_t offset = 0;
        size_t count = 0;
        take_run(shadow, &walk, run, &offset, &count);
        if (count == 0) {
            break;
        }
        result = medium->ops->write(medium, MEDIUM_MAIN, offset, run, count);
        if (result) {
            break;
        }
    }
    overlay_walk_end(&walk);
    free(run);
    return result ? op_fail_errno(op, result, "bringing the HDF5 file up to date") : OK;
}

/* The file ends where the commit ends it, but not before what has been given out since. At the very end also blocks go that were asked for
 * ahead: later that would change the file's time. */
static enum err set_size(struct shadow *shadow, struct op *op) {
    struct medium *medium = shadow->medium;
    uint64_t end = shadow_library_end(shadow);
    end = end < shadow->committed_end ? shadow->committed_end : end;
    uint64_t size = 0;
    int result = medium->ops->size(medium, MEDIUM_MAIN, &size);
    if (!result && (size != end || shadow->closing_mtime_s)) {
        result = medium->ops->set_size(medium, MEDIUM_MAIN, end);
    }
    if (!result) {
        shadow->written_end = end;
    }
    return result ? op_fail_errno(op, result, "bringing the HDF5 file up to date") : OK;
}

/* The file is synced: the journal's records are void from here. */
static enum err end_generation(struct shadow *shadow, struct op *op) {
    enum err err = journal_start(&shadow->journal, op);
    if (err) {
        shadow_poison(shadow); /* whether the old records still count is not known */
        return err;
    }
    int result = shadow->medium->ops->sync(shadow->medium, MEDIUM_JOURNAL);
    return result ? poison(shadow, op, result) : OK;
}

enum err shadow_checkpoint(struct shadow *shadow, struct op *op) {
    enum shadow_state state = shadow_state(shadow);
    if (state == SHADOW_POISONED) {
        return shadow_tell_poisoned(op);
    }
    if (state != SHADOW_COMMITTED) {
        return OK;
    }
    enum err err = shadow_check_length(shadow, op);
    if (!err) {
        err = write_runs(shadow, op);
    }
    if (!err) {
        err = set_size(shadow, op);
    }
    if (err || shadow_state(shadow) != SHADOW_COMMITTED) {
        return err; /* the journal still says all */
    }
    int result = shadow->medium->ops->sync(shadow->medium, MEDIUM_MAIN);
    if (!result && shadow->closing_mtime_s) { /* before the journal forgets it */
        result = shadow->medium->ops->set_mtime(shadow->medium, shadow->closing_mtime_s);
    }
    if (result) {
        return poison(shadow, op, result);
    }
    err = end_generation(shadow, op);
    if (err) {
        return err;
    }
    mutex_lock(&shadow->mutex);
    overlay_settle(&shadow->overlay);
    if (shadow_state(shadow) == SHADOW_COMMITTED) {
        atomic_store(&shadow->state, SHADOW_CLEAN);
    }
    mutex_unlock(&shadow->mutex);
    shadow->settled = true;
    shadow->checkpoints++;
    return OK;
}

/* ---- going back ---- */

void shadow_discard(struct shadow *shadow) {
    mutex_lock(&shadow->mutex);
    if (shadow_state(shadow) != SHADOW_POISONED) {
        atomic_store(&shadow->state, SHADOW_DISCARDING);
    }
    mutex_unlock(&shadow->mutex);
}

/* A commit that failed may have left its record whole. Replay is about to write over what only that record refers to, so it must be
 * gone first. */
static enum err void_failed_commit(struct shadow *shadow, struct op *op) {
    bool written = false;
    enum err err = journal_void_tried(&shadow->journal, op, &written);
    if (err || !written) {
        return err;
    }
    int result = shadow->medium->ops->sync(shadow->medium, MEDIUM_JOURNAL);
    return result ? op_fail_errno(op, result, "going back to the last commit") : OK;
}

/* The file as of the last commit, synced, whatever was written in place since. */
static enum err replay(struct shadow *shadow, struct op *op) {
    struct medium *medium = shadow->medium;
    if (shadow->journal.ready && shadow->journal.next_sequence > 1) {
        return recover_replay(op, medium, shadow->journal.next_sequence - 1, &shadow->bodies);
    }
    int result = 0;
    if (shadow->committed_end == 0) {
        result = medium->ops->set_size(medium, MEDIUM_MAIN, 0);
    }
    if (!result) {
        result = medium->ops->sync(medium, MEDIUM_MAIN);
    }
    return result ? op_fail_errno(op, result, "going back to the last commit") : OK;
}

enum err shadow_roll_back(struct shadow *shadow, struct op *op) {
    if (shadow_state(shadow) == SHADOW_POISONED) {
        return shadow_tell_poisoned(op);
    }
    MUST(shadow_state(shadow) == SHADOW_DISCARDING);
    mutex_lock(&shadow->mutex);
    overlay_drop(&shadow->overlay);
    mutex_unlock(&shadow->mutex);
    enum err err = void_failed_commit(shadow, op);
    if (!err) {
        err = replay(shadow, op);
    }
    if (!err && shadow->journal.ready) {
        err = end_generation(shadow, op);
    }
    uint64_t size = 0;
    int result = err ? 0 : shadow->medium->ops->size(shadow->medium, MEDIUM_MAIN, &size);
    if (err || result) {
        shadow_poison(shadow);
        return err ? err : op_fail_errno(op, result, "going back to the last commit");
    }
    mutex_lock(&shadow->mutex);
    extents_clear(&shadow->bodies);
    shadow->bodies_noted = false;
    shadow->size = shadow->written_end = size;
    shadow->end = shadow->lowest_end = shadow->committed_end;
    shadow->settled = true;
    atomic_store(&shadow->state, SHADOW_CLEAN);
    mutex_unlock(&shadow->mutex);
    return OK;
}
