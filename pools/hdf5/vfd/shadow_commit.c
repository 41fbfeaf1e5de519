/* shadow_commit.c - one commit: what changed becomes a record, the record reaches the disk. See shadow.h and README.md.
 *
 *   1 a journal exists, and the file as it was before us is synced: images are differences to it
 *   2 the record: bodies that were written in place as images, or, if they are many, as revokes and the file synced
 *     first; then the changed metadata
 *   3 written and synced: the commit is durable
 *   4 nothing is changed any more
 *
 * A failure in 1 or 2, or of 3's write, leaves everything as it was, and the next record takes this one's place in the journal. A
 * failed sync poisons: what it would have confirmed may or may not be there, and asking again would say yes either way.
 */
#include "pools/base/must.h"
#include "pools/hdf5/vfd/shadow_inside.h"

#include <string.h>

static enum err sync_file(struct shadow *shadow, struct op *op, enum medium_file file) {
    struct medium *medium = shadow->medium;
    int result = medium->ops->sync(medium, file);
    if (result) {
        shadow_poison(shadow);
        return op_fail_errno(op, result, "confirming a write to the disk");
    }
    return OK;
}

static enum err prepare(struct shadow *shadow, struct op *op) {
    if (!shadow->medium->writable) {
        return op_fail(op, REASON_POOL_READ_ONLY, "the file was opened to be read only");
    }
    enum err err = shadow_check_length(shadow, op);
    if (err) {
        return err;
    }
    if (!shadow->settled) {
        err = sync_file(shadow, op, MEDIUM_MAIN);
        if (err) {
            return err;
        }
        shadow->settled = true;
    }
    return shadow->journal.ready ? OK : journal_start(&shadow->journal, op);
}

/* ---- the record ---- */

static enum err add_body(struct shadow *shadow, struct op *op, uint64_t offset, size_t count) {
    uint8_t *space = NULL;
    enum err err = journal_add_image(&shadow->journal, op, offset, count, &space);
    if (err) {
        return err;
    }
    size_t got = 0;
    int result = shadow->medium->ops->read(shadow->medium, MEDIUM_MAIN, offset, space, count, &got);
    if (result) {
        return op_fail_errno(op, result, "reading a body back");
    }
    memset(space + got, 0, count - got); /* written in part, or never, and the file ends there */
    return OK;
}

/* The owner writes bodies, so the list stays as it is meanwhile. */
static enum err add_bodies(struct shadow *shadow, struct op *op) {
    const struct extents *bodies = &shadow->bodies;
    bool copied = !shadow->bodies_noted && extents_bytes(bodies) <= BODIES_COPIED_MOST_BYTES;
    enum err err = OK;
    if (!copied) {
        err = sync_file(shadow, op, MEDIUM_MAIN);
    }
    /* Copied or not: no older image may pass over a body on its way, for others may be reading it while we go back. */
    for (size_t i = 0; !err && i < bodies->count; i++) {
        uint64_t start = bodies->items[i].start;
        err = journal_add_revoke(&shadow->journal, op, start, bodies->items[i].end - start);
    }
    for (size_t i = 0; copied && !err && i < bodies->count; i++) {
        uint64_t start = bodies->items[i].start;
        err = add_body(shadow, op, start, (size_t)(bodies->items[i].end - start));
    }
    return err;
}

struct adding {
    struct journal *journal;
    struct op *op;
    enum err err;
};

static bool add_metadata(void *context, uint64_t offset, const uint8_t *bytes, size_t count) {
    struct adding *adding = context;
    uint8_t *space = NULL;
    adding->err = journal_add_image(adding->journal, adding->op, offset, count, &space);
    if (!adding->err) {
        memcpy(space, bytes, count);
    }
    return !adding->err;
}

/* *ret_changes and *ret_end are as of the record. */
static enum err make_record(struct shadow *shadow, struct op *op, uint64_t *ret_changes, uint64_t *ret_end) {
    enum err err = journal_begin(&shadow->journal, op);
    if (!err) {
        err = add_bodies(shadow, op);
    }
    if (err) {
        return err;
    }
    struct adding adding = {.journal = &shadow->journal, .op = op};
    mutex_lock(&shadow->mutex);
    (void)overlay_each_changed(&shadow->overlay, add_metadata, &adding);
    *ret_changes = shadow->changes;
    *ret_end = shadow->end;
    mutex_unlock(&shadow->mutex);
    return adding.err;
}

/* ---- the commit ---- */

static void note_committed(struct shadow *shadow, uint64_t changes, uint64_t end) {
    mutex_lock(&shadow->mutex);
    extents_clear(&shadow->bodies);
    shadow->bodies_noted = false;
    if (shadow->changes == changes) {
        overlay_commit(&shadow->overlay);
        atomic_store(&shadow->state, SHADOW_COMMITTED);
    } /* else somebody wrote meanwhile: what is changed is journaled once more, which does no harm */
    shadow->committed_end = end;
    shadow->lowest_end = shadow->end < end ? shadow->end : end;
    mutex_unlock(&shadow->mutex);
}

void shadow_set_closing_mtime(struct shadow *shadow, int64_t mtime_s) {
    shadow->closing_mtime_s = mtime_s;
}

enum err shadow_commit(struct shadow *shadow, struct op *op) {
    enum shadow_state state = shadow_state(shadow);
    if (state == SHADOW_POISONED) {
        return shadow_tell_poisoned(op);
    }
    MUST(state != SHADOW_DISCARDING);
    if (state != SHADOW_CHANGED) {
        return OK;
    }
    uint64_t changes = 0;
    uint64_t end = 0;
    enum err err = prepare(shadow, op);
    if (!err) {
        err = make_record(shadow, op, &changes, &end);
    }
    if (!err) {
        err = journal_write(&shadow->journal, op, end, shadow->closing_mtime_s);
    }
    if (!err) {
        err = sync_file(shadow, op, MEDIUM_JOURNAL);
    }
    if (err) {
        return err;
    }
    journal_advance(&shadow->journal);
    shadow->commits++;
    note_committed(shadow, changes, end);
    return OK;
}
