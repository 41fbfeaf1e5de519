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

/* ---- damaged entries ---- */
/* The smallest object there is: a committed type of one byte, with its checksum. */
static const uint8_t smallest_object[] = {'O',  'H',  'D',  'R',  0x02, 0x00, 0x10, 0x03, 0x0c,
                                          0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
                                          0x00, 0x00, 0x00, 0x08, 0x00, 0x82, 0xf7, 0xf0, 0x93};

struct neighbours {
    const struct version *damaged;
    uint64_t end; /* of what is to be written over it */
    bool touched;
};

static void look_at_place(struct neighbours *neighbours, const struct placement *place) {
    uint64_t from = neighbours->damaged->address;
    bool header = place->address >= from && place->address < neighbours->end;
    bool body = place->offset && place->offset < neighbours->end && from < place->offset + place->length;
    neighbours->touched = neighbours->touched || header || body;
}

static void look_at_neighbour(struct map_node *node, void *context) {
    const struct record *record = CONTAINER_OF(node, struct record, node);
    struct neighbours *neighbours = context;
    struct facts facts = record_facts(record);
    if (record == neighbours->damaged->record) {
        return;
    }
    if (record->is_shown) {
        look_at_place(neighbours, &facts.placement);
    }
    if (record_latest_facts(record, &facts)) {
        look_at_place(neighbours, &facts.placement);
    }
}

/* The library cannot take a name away whose object it cannot read, and breaks the group when it tries. So a readable object is
 * put where the unreadable one is, unless another entry lies there: then it is the name that is damaged. What the entry
 * took is lost until the file is repacked. */
static enum err make_readable(struct store *store, struct op *op, const struct version *damaged) {
    uint64_t size = 0;
    enum err err = h5_file_size(store->file, op, &size);
    struct neighbours neighbours = {.damaged = damaged, .end = damaged->address + sizeof smallest_object};
    map_each(&store->index.map, look_at_neighbour, &neighbours);
    if (!err && (neighbours.touched || damaged->address > size || neighbours.end > size)) {
        err = op_fail(op, REASON_CORRUPT, "the entry's name in the file is damaged: repair the file");
    }
    if (!err) {
        err = h5_file_write_metadata(store->file, op, damaged->address, smallest_object,
                                     sizeof smallest_object);
    }
    AUTO(h5_close) hid_t object = H5I_INVALID_HID;
    if (!err && dataset_open(store->file, op, damaged->address, &object)) {
        err =
            op_fail(op, REASON_CORRUPT, "the entry's header in the file cannot be replaced: repair the file");
    }
    return err;
}

/* Takes the name away. *ret_held is the dataset that had it, open; NULL when that could not be read. */
static enum err take_name(struct store *store, struct op *op, const char *name, struct version *old,
                          struct held **ret_held) {
    AUTO(close_held) struct held *held = NULL;
    bool damaged = old->kind == VERSION_UNRESOLVED; /* anybody else's was resolved before */
    store->dirty = true;
    enum err err = damaged ? make_readable(store, op, old) : open_held(store, op, old, &held);
    if (!err && H5Ldelete(store->file->root, name, H5P_DEFAULT) < 0) {
        err = h5_fail(op, "take an entry's name away");
        store_break(store, &op->fault); /* how far it came is not known */
    }
    *ret_held = err ? NULL : STEAL(held);
    return err;
}

static void keep_held(struct store *store, struct held *take_held) {
    if (!take_held) {
        return;
    }
    atomic_store(&take_held->version->retired, true);
    STAILQ_INSERT_TAIL(&store->new_held, take_held, in_held);
}

enum err store_unlink(struct store *store, struct op *op, struct record *record) {
    struct held *held = NULL;
    char name[LINK_NAME_BYTES];
    enum err err = store_know(store, op, &record);
    if (!record || (err && err != ERR_CORRUPT)) {
        return err; /* or it is no entry any more */
    }
    record_link_name(record, name);
    struct id id = record_id(record);
    err = store_note_undo(store, op, &id, record);
    if (!err) {
        err = take_name(store, op, name, record_latest(record), &held);
    }
    if (err) {
        return err;
    }
    keep_held(store, held);
    store_note_change(store, record);
    index_stage(&store->index, record, NULL);
    return OK;
}

/* Whether a name that the index does not have may be in the file all the same. */
static bool may_be_foreign(struct store *store) {
    return atomic_load(&store->foreign) > 0 || !atomic_load(&store->loaded);
}

enum err store_link(struct store *store, struct op *op, hid_t dataset, const char *name,
                    struct version *old) {
    hid_t root = store->file->root;
    AUTO(close_held) struct held *held = NULL;
    store->dirty = true;
    if (old) {
        enum err err = take_name(store, op, name, old, &held);
        if (err) {
            return err;
        }
    } else if (may_be_foreign(store)) {
        htri_t exists = H5Lexists(root, name, H5P_DEFAULT);
        if (exists) {
            return exists < 0
                       ? h5_fail(op, "look for a name")
                       : op_fail(op, REASON_UNSUPPORTED, "an HDF5 object that is no entry has this name");
        }
    }
    if (!h5_link_first(dataset, root, name, store->link_list)) {
        enum err err = h5_fail(op, "name an entry");
        if (old && (!held || H5Olink(held->dataset, root, name, store->link_list, H5P_DEFAULT) < 0)) {
            h5_forget();
            store_break(store, &op->fault); /* the entry has lost its name */
        }
        return err;
    }
    keep_held(store, STEAL(held));
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
        LIST_REMOVE(reservation, in_reservations);
        if (reservation->file == store->file) {
            h5_file_note_body(store->file, reservation->placement.offset, reservation->placement.length);
        }
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
