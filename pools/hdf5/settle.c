/* settle.c - what makes changes last: the commit at the end of a batch, and the checkpoints that bring the file up to date
 * behind it. Runs on the store's thread only. See store.h, and vfd/shadow.h for what the words promise.
 */
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"

/* After a sync that failed nobody knows what is on the disk: reads go on, the next opening finds out. */
static enum err commit_or_go_back(struct store *store, struct op *op) {
    enum err err =
        store->must_roll_back ? op_adopt(op, &store->break_fault) : h5_file_commit(store->file, op);
    if (err && h5_file_is_poisoned(store->file)) {
        store_poison(store, "the disk failed to sync the file; it has to be opened again");
    } else if (err) {
        store_roll_back(store, &op->fault);
    }
    return err;
}

enum err store_settle(struct store *store, struct op *op) {
    store_let_go(store);
    if (atomic_load(
            &store->poisoned)) { /* perhaps within this batch, with changes that were never committed */
        return store_fail_poisoned(store, op);
    }
    if (store->dirty) {
        enum err err = commit_or_go_back(store, op);
        if (err) {
            return err;
        }
        store->dirty = false;
    }
    store->copies_due_ns = 0;
    index_publish(&store->index);
    store_forget_undo(store);
    STAILQ_CONCAT(&store->held, &store->new_held);
    return OK;
}

void store_checkpoint_if_due(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    if (!atomic_load(&store->poisoned) && !store->dirty && h5_file_wants_checkpoint(store->file) &&
        h5_file_checkpoint(store->file, &op)) {
        store_poison(store, "the file could not be brought up to date; it has to be opened again");
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
    store->rest_due_ns = store->rest_due_ns ? store->rest_due_ns : now_ns + REST_AFTER_NS;
    if (store->rest_due_ns > now_ns) {
        return store->rest_due_ns - now_ns;
    }
    struct op op;
    op_init(&op, 0, 0);
    store->rest_due_ns = 0;
    if (h5_file_checkpoint(store->file, &op)) {
        store_poison(store, "the file could not be brought up to date; it has to be opened again");
    }
    return COMMIT_NO_WORK;
}
