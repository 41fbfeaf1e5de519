/* shadow.c - see shadow.h: opening and closing, what the library reads and writes, bodies in place. */
#include "pools/hdf5/vfd/shadow.h"

#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/hdf5/vfd/recover.h"
#include "pools/hdf5/vfd/shadow_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

enum err shadow_open(struct op *op, struct medium *take_medium, struct shadow **ret_shadow) {
    struct recover_report report;
    enum err err = recover_run(op, take_medium, RECOVER_OWN, &report);
    if (err) {
        return err;
    }
    if (report.damaged) {
        log_line(LOG_WARNING, "hdf5",
                 "the journal beside a file was cut off: commits may be lost; it is kept as "
                 "-journal.rejected");
    }
    uint64_t size = 0;
    int result = take_medium->ops->size(take_medium, MEDIUM_MAIN, &size);
    if (result) {
        return op_fail_errno(op, result, "looking at the HDF5 file");
    }
    struct shadow *shadow = calloc(1, sizeof *shadow);
    if (!shadow) {
        return op_no_memory(op);
    }
    shadow->medium = take_medium;
    atomic_init(&shadow->state, SHADOW_CLEAN);
    mutex_init(&shadow->mutex, RANK_SHADOW);
    overlay_init(&shadow->overlay);
    extents_init(&shadow->bodies);
    journal_init(&shadow->journal, take_medium);
    shadow->size = shadow->end = shadow->lowest_end = shadow->committed_end = shadow->written_end = size;
    shadow->settled = report.commits > 0;
    shadow->found_journal = report.present;
    *ret_shadow = shadow;
    return OK;
}

enum err shadow_rest(struct shadow *shadow, struct op *op) {
    enum err err = shadow_commit(shadow, op);
    if (!err) {
        err = shadow_checkpoint(shadow, op);
    }
    if (err || !shadow->journal.ready) {
        return err;
    }
    journal_stop(&shadow->journal);
    int result = shadow->medium->ops->remove_journal(shadow->medium);
    return result ? op_fail_errno(op, result, "removing the HDF5 file's journal") : OK;
}

void shadow_abandon(struct shadow *shadow) {
    shadow_discard(shadow);
    journal_stop(&shadow->journal);
    (void)shadow->medium->ops->remove_journal(shadow->medium); /* failing that, one of no file is left */
}

enum err shadow_close(struct op *op, struct shadow *take_shadow) {
    if (!take_shadow) {
        return OK;
    }
    enum shadow_state state = shadow_state(take_shadow);
    enum err err = OK;
    if (state != SHADOW_DISCARDING && state != SHADOW_POISONED) {
        err = shadow_rest(take_shadow, op);
    }
    overlay_drop(&take_shadow->overlay);
    extents_fini(&take_shadow->bodies);
    journal_fini(&take_shadow->journal);
    mutex_fini(&take_shadow->mutex);
    take_shadow->medium->ops->close(take_shadow->medium);
    free(take_shadow);
    return err;
}

enum shadow_state shadow_state(const struct shadow *shadow) {
    return (enum shadow_state)atomic_load(&shadow->state);
}

bool shadow_found_journal(const struct shadow *shadow) {
    return shadow->found_journal;
}

void shadow_mark_changed(struct shadow *shadow) {
    shadow->changes++;
    int state = atomic_load(&shadow->state);
    if (state == SHADOW_CLEAN || state == SHADOW_COMMITTED) {
        atomic_store(&shadow->state, SHADOW_CHANGED);
    }
}

void shadow_poison(struct shadow *shadow) {
    atomic_store(&shadow->state, SHADOW_POISONED);
}

enum err shadow_tell_poisoned(struct op *op) {
    return op_fail(op, REASON_POOL_POISONED,
                   "a write to the disk could not be confirmed: the file must be opened again");
}

/* Whether writes still reach the disk. */
static bool is_writing(const struct shadow *shadow) {
    enum shadow_state state = shadow_state(shadow);
    return state != SHADOW_DISCARDING && state != SHADOW_POISONED;
}

void shadow_stats(const struct shadow *shadow, struct shadow_stats *ret_stats) {
    ret_stats->commits = shadow->commits;
    ret_stats->checkpoints = shadow->checkpoints;
    ret_stats->journal_bytes = shadow->journal.ready ? shadow->journal.next_offset : 0;
    ret_stats->overlay_bytes = atomic_load(&shadow->overlay.bytes);
}

/* ---- bodies ---- */

enum err shadow_check_length(struct shadow *shadow, struct op *op) {
    if (shadow_state(shadow) == SHADOW_POISONED) {
        return shadow_tell_poisoned(op);
    }
    uint64_t size = 0;
    int result = shadow->medium->ops->size(shadow->medium, MEDIUM_MAIN, &size);
    if (result) {
        return op_fail_errno(op, result, "looking at the HDF5 file");
    }
    if (size >= shadow->written_end) {
        shadow->written_end = size; /* bodies that others wrote count, too */
        return OK;
    }
    shadow_poison(shadow);
    return op_fail(op, REASON_POOL_POISONED,
                   "another program cut the file off: it has %" PRIu64 " of %" PRIu64 " bytes", size,
                   shadow->written_end);
}

bool shadow_is_free(const struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    return offset >= shadow->committed_end || offset + bytes <= shadow->lowest_end;
}

/* Bytes of a body are in the file now: the overlay has no say there any more. The mutex is held. */
static int take_up_body(struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    overlay_forget(&shadow->overlay, offset, bytes);
    int result = overlay_refresh(&shadow->overlay, shadow->medium, offset, bytes);
    if (!result && !extents_put(&shadow->bodies, offset, offset + bytes, 0)) {
        result = ENOMEM;
    }
    if (shadow->size < offset + bytes) {
        shadow->size = offset + bytes;
    }
    shadow_mark_changed(shadow);
    return result;
}

static int write_in_place(struct shadow *shadow, uint64_t offset, const void *bytes, size_t count) {
    struct medium *medium = shadow->medium;
    int result = medium->ops->write(medium, MEDIUM_MAIN, offset, bytes, count);
    if (!result && shadow->written_end < offset + count) {
        shadow->written_end = offset + count;
    }
    mutex_lock(&shadow->mutex);
    int taken = take_up_body(shadow, offset, count); /* a part of it may be there even so */
    mutex_unlock(&shadow->mutex);
    return result ? result : taken;
}

enum err shadow_write_body(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                           size_t count) {
    if (shadow_state(shadow) == SHADOW_POISONED) {
        return shadow_tell_poisoned(op);
    }
    if (count == 0 || !is_writing(shadow)) {
        return OK;
    }
    MUST(shadow_is_free(shadow, offset, count));
    int result = write_in_place(shadow, offset, bytes, count);
    return result ? op_fail_errno(op, result, "writing a body") : OK;
}

void shadow_lend(struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    if (bytes == 0) {
        return;
    }
    mutex_lock(&shadow->mutex);
    overlay_forget(&shadow->overlay, offset, bytes);
    mutex_unlock(&shadow->mutex);
}

void shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    if (bytes == 0 || !is_writing(shadow)) {
        return;
    }
    mutex_lock(&shadow->mutex);
    shadow->bodies_noted = true;
    if (take_up_body(shadow, offset, bytes) != 0) {
        shadow_poison(shadow); /* a commit without this stretch could not be replayed */
    }
    mutex_unlock(&shadow->mutex);
}

enum err shadow_write_metadata(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                               size_t count) {
    if (shadow_state(shadow) == SHADOW_POISONED) {
        return shadow_tell_poisoned(op);
    }
    int result = shadow_library_write(shadow, false, offset, bytes, count);
    return result ? op_fail_errno(op, result, "changing metadata") : OK;
}

void shadow_raise_end(struct shadow *shadow, uint64_t end) {
    mutex_lock(&shadow->mutex);
    if (shadow->end < end) {
        shadow->end = end;
    }
    if (shadow->size < end) {
        shadow->size = end;
    }
    mutex_unlock(&shadow->mutex);
}

/* ---- the library ---- */

int shadow_library_read(struct shadow *shadow, uint64_t offset, void *ret_bytes, size_t count) {
    mutex_lock(&shadow->mutex);
    int result = overlay_read(&shadow->overlay, shadow->medium, offset, ret_bytes, count);
    mutex_unlock(&shadow->mutex);
    return result;
}

static int write_overlay(struct shadow *shadow, uint64_t offset, const void *bytes, size_t count) {
    bool changed = false;
    mutex_lock(&shadow->mutex);
    int result = overlay_write(&shadow->overlay, shadow->medium, offset, bytes, count, &changed);
    if (changed) {
        shadow_mark_changed(shadow);
    }
    if (shadow->size < offset + count) {
        shadow->size = offset + count;
    }
    mutex_unlock(&shadow->mutex);
    return result;
}

int shadow_library_write(struct shadow *shadow, bool body, uint64_t offset, const void *bytes, size_t count) {
    if (count == 0) {
        return 0;
    }
    if (!is_writing(shadow)) {
        /* The library reads back what it wrote while it closes; should memory be short, that is all that is lost. */
        if (!body) {
            (void)write_overlay(shadow, offset, bytes, count);
        }
        return 0;
    }
    if (body && shadow_is_free(shadow, offset, count)) {
        return write_in_place(shadow, offset, bytes, count);
    }
    return write_overlay(shadow, offset, bytes, count);
}

uint64_t shadow_library_end(struct shadow *shadow) {
    mutex_lock(&shadow->mutex);
    uint64_t end = shadow->end;
    mutex_unlock(&shadow->mutex);
    return end;
}

void shadow_library_set_end(struct shadow *shadow, uint64_t end) {
    mutex_lock(&shadow->mutex);
    shadow->end = end;
    if (end < shadow->lowest_end) {
        shadow->lowest_end = end;
    }
    mutex_unlock(&shadow->mutex);
}

uint64_t shadow_file_bytes(struct shadow *shadow) {
    mutex_lock(&shadow->mutex);
    uint64_t bytes = shadow->end > shadow->size ? shadow->end : shadow->size;
    mutex_unlock(&shadow->mutex);
    return bytes;
}

uint64_t shadow_library_size(struct shadow *shadow) {
    mutex_lock(&shadow->mutex);
    uint64_t size = shadow->size;
    mutex_unlock(&shadow->mutex);
    return size;
}

void shadow_library_truncate(struct shadow *shadow) {
    mutex_lock(&shadow->mutex);
    shadow->size = shadow->end;
    mutex_unlock(&shadow->mutex);
}

void shadow_library_empty(struct shadow *shadow) {
    mutex_lock(&shadow->mutex);
    shadow->size = shadow->end = shadow->lowest_end = 0;
    mutex_unlock(&shadow->mutex);
}
