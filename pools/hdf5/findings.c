/* findings.c - requests that change no entry: where one is, and what readers and a scrub have found out about one. Runs on the store's thread
 * only. See store.h.
 *
 * They look at what is shown, never at what a batch has staged, so no commit decides about their results. A digest that is noted in the file goes
 * with the batch's commit, or is unlearned with it (undo.c); whoever found it does not wait for that.
 */
#include "pools/hdf5/attributes.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/store.h"

enum err store_look_up(struct store *store, struct store_request *request) {
    struct record *record = NULL;
    enum err err = store_find(store, request->request.op, request->id, &record);
    /* What is staged has not been committed: others see what is current. */
    struct version *shown = !err && record ? record_shown(record) : NULL;
    if (shown) {
        request->version = version_ref(shown);
    } else if (!err && record &&
               record->is_shown) { /* and about to be replaced: it is still there, and damaged */
        err = op_fail(request->request.op, REASON_CORRUPT, "the entry's header in the file cannot be read");
    }
    return err;
}

/* A commit makes that true, and going back unlearns it (undo.c). */
static enum err note_digest(struct store *store, struct op *op, const struct id *id, struct record *record,
                            const uint8_t sha256[SHA256_BYTES]) {
    struct version *version = record_latest(record);
    AUTO(h5_close) hid_t dataset = H5I_INVALID_HID;
    enum err err = store_begin_change(store, op, false);
    if (!err) {
        err = dataset_open(store->file, op, version->address, &dataset);
    }
    if (!err) {
        err = store_note_undo(store, op, id, record);
    }
    if (!err) {
        store_note_change(store, record);
        err = attributes_write_sha256(&store->file->forms, dataset, op, sha256);
    }
    if (!err) {
        index_note_digest(&store->index, record);
        atomic_store(&version->is_noted, true);
    }
    return err;
}

/* The digest of a body that had none, or whose attribute another writer left behind. */
enum err store_learn(struct store *store, struct store_request *request) {
    version_learn(request->version, request->sha256);
    bool in_place = store->file->marked && !store->file->convertible;
    if (!request->id || !in_place || store_check_writable(store, request->request.op)) {
        return OK; /* it is computed again when it is wanted and has been forgotten */
    }
    struct record *record = index_find(&store->index, request->id);
    if (!record || record_latest(record) != request->version || record->staged) {
        return OK;
    }
    return note_digest(store, request->request.op, request->id, record, request->sha256);
}

enum err store_quarantine(struct store *store, struct store_request *request) {
    request->existed = index_quarantine(&store->index, request->id, request->version);
    return OK;
}
