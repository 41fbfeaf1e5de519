/* links.c - names in the file: giving one, taking one away, and holding what lost its name. Runs on the store's thread only.
 *
 * A dataset that is open when its link goes keeps its space until it is closed. So what is replaced or removed is held
 * open until no reader has its version any more (store.h).
 */
#include "pools/hdf5/store.h"

#include "pools/hdf5/dataset.h"
#include "pools/hdf5/link_name.h"

#include <stdlib.h>

static enum err open_held(struct store *store, struct op *op, struct version *version,
                          struct held **ret_held) {
    struct held *held = malloc(sizeof *held);
    if (!held) {
        return op_no_memory(op);
    }
    enum err err = dataset_open(store->file, op, version->address, &held->dataset);
    if (err) {
        free(held);
        return err;
    }
    held->version = version_ref(version);
    *ret_held = held;
    return OK;
}

static void close_held(struct held *held) {
    if (held) {
        h5_close(held->dataset);
        version_drop(held->version);
        free(held);
    }
}
DEFINE_AUTO(struct held, close_held)

static void keep_held(struct store *store, struct held *take_held) {
    atomic_store(&take_held->version->retired, true);
    STAILQ_INSERT_TAIL(&store->new_held, take_held, in_held);
}

enum err store_unlink(struct store *store, struct op *op, struct record *record) {
    AUTO(close_held) struct held *held = NULL;
    char name[LINK_NAME_BYTES];
    record_link_name(record, name);
    enum err err = open_held(store, op, record_latest(record), &held);
    if (err) {
        return err;
    }
    if (H5Ldelete(store->file->root, name, H5P_DEFAULT) < 0) {
        return h5_fail(op, "remove an entry");
    }
    keep_held(store, STEAL(held));
    index_stage(&store->index, record, NULL);
    return OK;
}

enum err store_link(struct store *store, struct op *op, hid_t dataset, const char *name,
                    struct version *old) {
    hid_t root = store->file->root;
    AUTO(close_held) struct held *held = NULL;
    if (old) {
        enum err err = open_held(store, op, old, &held);
        if (err) {
            return err;
        }
        if (H5Ldelete(root, name, H5P_DEFAULT) < 0) {
            return h5_fail(op, "replace an entry");
        }
    } else if (H5Lexists(root, name, H5P_DEFAULT) > 0) {
        return op_fail(op, REASON_UNSUPPORTED, "an HDF5 object that is no entry has this name");
    }
    if (H5Olink(dataset, root, name, store->link_list, H5P_DEFAULT) < 0) {
        enum err err = h5_fail(op, "name an entry");
        if (held && H5Olink(held->dataset, root, name, store->link_list, H5P_DEFAULT) < 0) {
            h5_forget();
            store_poison(store, "an entry lost its name in the file and could not get it back");
        }
        return err;
    }
    if (held) {
        keep_held(store, STEAL(held));
    }
    return OK;
}

static bool drop_released(struct store *store) {
    mutex_lock(&store->mutex);
    struct reservation_list released = store->released;
    SLIST_INIT(&store->released);
    mutex_unlock(&store->mutex);
    bool any = false;
    struct reservation *reservation;
    while ((reservation = SLIST_FIRST(&released)) != NULL) {
        SLIST_REMOVE_HEAD(&released, in_released);
        h5_close(reservation->dataset);
        h5_file_unref(reservation->file);
        free(reservation);
        any = true;
    }
    return any;
}

bool store_let_go(struct store *store) {
    bool any = drop_released(store);
    struct held_queue waiting = STAILQ_HEAD_INITIALIZER(waiting);
    struct held *held;
    while ((held = STAILQ_FIRST(&store->held)) != NULL) {
        STAILQ_REMOVE_HEAD(&store->held, in_held);
        if (version_is_idle(held->version)) {
            close_held(held);
            any = true;
        } else {
            STAILQ_INSERT_TAIL(&waiting, held, in_held);
        }
    }
    STAILQ_CONCAT(&store->held, &waiting);
    store->dirty = store->dirty || any;
    return any;
}

void store_let_all_go(struct store *store) {
    STAILQ_CONCAT(&store->held, &store->new_held);
    struct held *held;
    while ((held = STAILQ_FIRST(&store->held)) != NULL) {
        STAILQ_REMOVE_HEAD(&store->held, in_held);
        close_held(held);
    }
    drop_released(store);
}
