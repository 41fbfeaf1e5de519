/* undo.c - going back to the last commit: what the index showed then is noted as it changes. Runs on the store's thread only.
 *
 * A batch may leave the library in a state that cannot be committed: a name that could not be given back, a disk that is full
 * when metadata is written. Then nothing of it may reach the file. The file goes back to its last commit (h5_file_roll_back), the index
 * to what it showed at that commit, whoever waits for a change since then gets the fault.
 *
 * Versions from before are put back as they were, by reference: who reads one is still counted, so its space is not given away when
 * it is replaced again. Datasets that were held for readers are lost to the library; their space is not given away until the file is
 * compacted, so those readers are safe, too. Where copies were shown without a commit, nothing is placed below the file's old end: they may
 * have readers. Uploads under way lose their reservation, and write on into space that nobody gets.
 *
 * Life: store_note_undo before each staged change, store_forget_undo after each commit, store_roll_back in between.
 */
#include "pools/hdf5/store.h"

#include "pools/base/log.h"
#include "pools/hdf5/link_name.h"

#include <stdlib.h>
#include <string.h>

struct undo {
    SLIST_ENTRY(undo) in_undo;
    struct version *committed; /* one reference; NULL = there was no entry */
    char *link_name;           /* owned; NULL = the canonical one */
    size_t id_bytes;
    char id[];
};

static void undo_free(struct undo *undo) {
    version_drop(undo->committed);
    free(undo->link_name);
    free(undo);
}

enum err store_note_undo(struct store *store, struct op *op, const struct id *id,
                         const struct record *record) {
    struct undo *undo = calloc(1, sizeof *undo + id->bytes + 1);
    if (!undo) {
        return op_no_memory(op);
    }
    if (record && record->is_named) {
        char name[LINK_NAME_BYTES];
        record_link_name(record, name);
        undo->link_name = strdup(name);
        if (!undo->link_name) {
            undo_free(undo);
            return op_no_memory(op);
        }
    }
    if (record && record->is_shown) {
        undo->committed = version_ref(atomic_load(&record->version)); /* whatever is changed has one */
    }
    undo->id_bytes = id->bytes;
    memcpy(undo->id, id->text, id->bytes);
    SLIST_INSERT_HEAD(&store->undo, undo, in_undo);
    return OK;
}

void store_forget_undo(struct store *store) {
    struct undo *undo;
    while ((undo = SLIST_FIRST(&store->undo)) != NULL) {
        SLIST_REMOVE_HEAD(&store->undo, in_undo);
        undo_free(undo);
    }
}

/* Newest first, so that the oldest note of an id, which is the last commit's, has the last word. */
static enum err put_back(struct store *store, struct op *op, struct undo *undo) {
    struct id id = id_trusted(undo->id, undo->id_bytes);
    struct record *record = index_find(&store->index, &id);
    struct version *committed = undo->committed;
    if (!record && !committed) {
        return OK;
    }
    if (!record) {
        record = index_add(&store->index, &id, undo->link_name);
        if (!record) {
            return op_no_memory(op);
        }
    }
    if (committed) {
        atomic_store(&committed->retired, false);
        atomic_store(&committed->is_noted, false);
        version_ref(committed);
    }
    index_restore(&store->index, record, committed);
    return OK;
}

static void close_dead_ids(struct store *store, const struct fault *why) {
    STAILQ_CONCAT(&store->held, &store->new_held);
    store_let_all_go(store);
    struct reservation *reservation = NULL;
    LIST_FOREACH(reservation, &store->reservations, in_reservations) {
        h5_close(reservation->dataset);
        reservation->dataset = H5I_INVALID_HID;
        reservation->lost = *why;
    }
}

/* Below it uploads write, whether they will be told to send again or not. */
static uint64_t end_of_reservations(const struct store *store) {
    uint64_t end = 0;
    const struct reservation *reservation = NULL;
    LIST_FOREACH(reservation, &store->reservations, in_reservations) {
        uint64_t its_end = reservation->placement.offset + reservation->placement.length;
        end = its_end > end ? its_end : end;
    }
    return end;
}

/* Copies that are shown without a commit may have readers, and their places are forgotten: nothing comes below the old end then. */
static uint64_t end_in_use(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    uint64_t end = end_of_reservations(store);
    uint64_t file_end = 0;
    bool shown = store->copies_due_ns && h5_file_size(store->file, &op, &file_end) == OK;
    return shown && file_end > end ? file_end : end;
}

void store_roll_back(struct store *store, const struct fault *why) {
    struct op op;
    op_init(&op, 0, 0);
    log_line(LOG_WARNING, "hdf5", "changes of a pool are taken back: %s", why->detail);
    store->must_roll_back = false;
    store_compact_spoil(store, why);
    uint64_t keep_end = end_in_use(store);
    h5_file_discard(store->file);
    index_unstage(&store->index);
    enum err err = OK;
    struct undo *undo = NULL;
    SLIST_FOREACH(undo, &store->undo, in_undo) {
        err = err ? err : put_back(store, &op, undo);
    }
    store_forget_undo(store);
    close_dead_ids(store, why);
    enum err rolled = h5_file_roll_back(store->file, &op, keep_end);
    store->dirty = false;
    store->copies_due_ns = 0;
    if (err || rolled) {
        store_poison(store, "a failed write could not be taken back; the file has to be opened again");
    }
}

void store_break(struct store *store, const struct fault *why) {
    if (!store->must_roll_back) {
        store->must_roll_back = true;
        store->break_fault = *why;
    }
}
