/* settle.c - what makes changes last: what has to be before one, the commit at the end of a batch, and the checkpoints that bring the file up to date
 * behind it. Runs on the store's thread only. See store.h, and vfd/shadow.h for what the words promise.
 */
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"

/* ---- before a change ---- */
/* That the file is written to is committed before anything of it changes: a crash in between would leave the mark of the last
 * close in a file whose time has changed, and the next opening would take our own write for somebody else's. It stands in the file itself, not
 * only in the journal, so that one sees if the journal is taken away. */
static enum err mark_open(struct store *store, struct op *op) {
    struct h5_file *file = store->file;
    int64_t mark = file->alone ? H5_MARK_JOURNALED : H5_MARK_MIXED;
    if (file->marked && file->mark == mark) {
        return OK;
    }
    int64_t before = file->mark;
    enum err err = h5_file_set_mark(file, op, mark);
    store->dirty = true;
    if (!err) {
        err = h5_file_commit(file, op);
    }
    if (!err) {
        err = h5_file_checkpoint(file, op);
    }
    if (err) {
        file->mark = before; /* the next change tries again */
    }
    return err;
}

enum err store_begin_change(struct store *store, struct op *op, bool grows) {
    enum err err = store_check_writable(store, op);
    if (!err && store->file->convertible) {
        err = store_convert(store, op);
    }
    if (!err) {
        err = h5_file_check_length(store->file, op);
    }
    if (!err) {
        err = mark_open(store, op);
    }
    if (err && h5_file_is_poisoned(store->file)) {
        store_poison_with_file(store, op);
    }
    if (!err && grows) {
        err = h5_file_make_room(store->file, op);
    }
    if (!err) {
        store->dirty = true;
        store->changed_ns = clock_now_ns();
    }
    return err;
}

/* ---- the commit ---- */
/* What the batch carried out since the last commit is durable now (fault NULL), or will never be: who waits for it is told. */
static void decide(struct store *store, const struct fault *fault) {
    struct request *request = NULL;
    if (!store->batch) {
        return;
    }
    STAILQ_FOREACH(request, store->batch, in_batch) {
        struct store_request *one = CONTAINER_OF(request, struct store_request, request);
        if (one->undecided && fault) {
            request->result = op_adopt(request->op, fault);
            if (one->action == STORE_PUT) {
                version_drop(one->version);
                one->version = NULL;
            }
        }
        one->undecided = false;
    }
}

/* After a sync that failed nobody knows what is on the disk: reads go on, the next opening finds out. */
static enum err commit_or_go_back(struct store *store, struct op *op) {
    enum err err =
        store->must_roll_back ? op_adopt(op, &store->break_fault) : h5_file_commit(store->file, op);
    if (err && h5_file_is_poisoned(store->file)) {
        store_poison_with_file(store, op);
    } else if (err) {
        store_roll_back(store, &op->fault);
    }
    return err;
}

void store_push_bodies(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    if (body_run_push(&store->run, store->file, &op)) {
        store_break(store, &op.fault);
    }
}

enum err store_settle(struct store *store, struct op *op) {
    store_push_bodies(store);
    store_let_go(store);
    enum err err = OK;
    if (atomic_load(
            &store->poisoned)) { /* perhaps within this batch, with changes that were never committed */
        err = store_fail_poisoned(store, op);
    } else if (store->dirty) {
        err = commit_or_go_back(store, op);
    }
    decide(store, err ? &op->fault : NULL);
    if (err) {
        return err;
    }
    store->dirty = false;
    store->copies_due_ns = 0;
    index_publish(&store->index);
    store_forget_undo(store);
    STAILQ_CONCAT(&store->held, &store->new_held);
    return OK;
}

/* ---- checkpoints ---- */
/* After one that failed for want of room, say. The journal has all of it. */
#define CHECKPOINT_AGAIN_NS (10 * NS_PER_S)

static void checkpoint(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    if (h5_file_checkpoint(store->file, &op) == OK) {
        return;
    }
    if (h5_file_is_poisoned(store->file)) {
        store_poison_with_file(store, &op);
        return;
    }
    log_line(LOG_WARNING, "hdf5", "a file is not up to date yet, its journal is: %s", op.fault.detail);
    store->checkpoint_again_ns = clock_now_ns() + CHECKPOINT_AGAIN_NS;
}

void store_checkpoint_if_due(struct store *store) {
    if (!atomic_load(&store->poisoned) && !store->dirty && h5_file_wants_checkpoint(store->file) &&
        clock_now_ns() >= store->checkpoint_again_ns) {
        checkpoint(store);
    }
}

/* When nobody has written for this long, the file is brought up to date: a crash then needs no recovery, and other tools read
 * what is there. */
#define REST_AFTER_NS NS_PER_S

uint64_t store_rest(struct store *store, uint64_t now_ns) {
    if (atomic_load(&store->poisoned) || !h5_file_has_journal(store->file)) {
        store->rest_due_ns = 0;
        return COMMIT_NO_WORK;
    }
    if (!store->rest_due_ns) {
        uint64_t due_ns = now_ns + REST_AFTER_NS;
        store->rest_due_ns = due_ns > store->checkpoint_again_ns ? due_ns : store->checkpoint_again_ns;
    }
    if (store->rest_due_ns > now_ns) {
        return store->rest_due_ns - now_ns;
    }
    store->rest_due_ns = 0;
    checkpoint(store);
    return h5_file_has_journal(store->file) ? CHECKPOINT_AGAIN_NS : COMMIT_NO_WORK;
}
