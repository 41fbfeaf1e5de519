/* load.c - the index of a file that was just opened: a scan for names, then a look at each object.
 *
 * The scan reads links only (by creation order where the file has that index: 0.04 s for 100,000) and runs first on the store's
 * thread; between links it serves lookups, which find their object by name. Places and metadata follow in idle
 * slices, so that requests never wait for more than a slice. See store.h.
 */
#include "pools/hdf5/store.h"

#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/link_name.h"

#include <stdlib.h>

#define LINKS_PER_LOOK 256u
#define RECORDS_PER_SLICE 64u

struct scan {
    struct store *store;
    unsigned links;
    bool no_memory;
};

static void tell(struct store *store, atomic_bool *fact) {
    mutex_lock(&store->mutex);
    atomic_store(fact, true);
    cond_broadcast(&store->loading);
    mutex_unlock(&store->mutex);
}

static void count_foreign(struct store *store) {
    atomic_fetch_add(&store->foreign, 1);
}

/* A hard link becomes an unresolved record. False when out of memory. */
static bool add_link(struct store *store, const struct id *id, const char *link_name, uint64_t address) {
    struct placement placement = {.kind = VERSION_UNRESOLVED, .address = address};
    struct version *version = version_new(store->file, &placement, NULL);
    struct record *record = version ? index_add(&store->index, id, link_name) : NULL;
    if (!record) {
        version_drop(version);
        return false;
    }
    index_stage(&store->index, record, version);
    return true;
}

/* Two names of one id: the encoded one is the entry. False when out of memory. */
static bool settle_clash(struct store *store, struct record *record, bool canonical, uint64_t address) {
    const struct version *known = record_latest(record);
    if (known->address == address) {
        return true; /* a lookup was faster */
    }
    count_foreign(store);
    if (!canonical || !record->link_name) {
        return true;
    }
    struct placement placement = {.kind = VERSION_UNRESOLVED, .address = address};
    struct version *version = version_new(store->file, &placement, NULL);
    if (!version) {
        return false;
    }
    free(record->link_name);
    record->link_name = NULL;
    index_stage(&store->index, record, version);
    return true;
}

static herr_t scan_link(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group;
    struct scan *scan = context;
    struct store *store = scan->store;
    char text[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    bool canonical = false;
    if (++scan->links % LINKS_PER_LOOK == 0) {
        index_publish(&store->index);
        commit_serve_urgent(&store->commit);
        if (commit_is_stopping(&store->commit)) {
            return 1;
        }
    }
    if (info->type != H5L_TYPE_HARD || !link_name_to_id(name, text, &bytes, &canonical)) {
        count_foreign(store);
        return 0;
    }
    struct id id = id_trusted(text, bytes);
    struct record *record = index_find(&store->index, &id);
    bool kept = record ? settle_clash(store, record, canonical, info->u.address)
                       : add_link(store, &id, canonical ? NULL : name, info->u.address);
    scan->no_memory = !kept;
    return kept ? 0 : -1;
}

void store_scan(void *context) {
    struct store *store = context;
    struct scan scan = {.store = store};
    h5_enter();
    bool ordered = store->file->ordered;
    if (!ordered) {
        h5_file_widen_cache(store->file, true);
    }
    herr_t result = H5Literate(store->file->root, ordered ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME,
                               H5_ITER_NATIVE, NULL, scan_link, &scan);
    h5_forget();
    if (!ordered) {
        h5_file_widen_cache(store->file, false);
    }
    index_publish(&store->index);
    if (result < 0) {
        store_poison(store, scan.no_memory ? "the index of the file does not fit into memory"
                                           : "the file's root group cannot be read: the file is damaged");
    } else if (result == 0) {
        tell(store, &store->names_complete);
    }
}

/* Looks at the object. The record may turn out to be no entry and be freed: *record is NULL then. */
static enum err resolve(struct store *store, struct op *op, struct record **record) {
    struct description description;
    uint64_t address = (*record)->current->address;
    if (!dataset_describe_quickly(store->file, address, &description)) {
        enum err err = dataset_describe(store->file, op, address, &description);
        if (err) {
            return err == ERR_UNAVAILABLE
                       ? op_fail(op, REASON_CORRUPT, "the entry's header in the file cannot be read")
                       : err;
        }
    }
    struct version *version = description.is_entry ? dataset_version(store->file, &description) : NULL;
    description_fini(&description);
    if (description.is_entry && !version) {
        return op_no_memory(op);
    }
    index_replace(&store->index, *record, version);
    if (!version) {
        count_foreign(store);
        *record = NULL;
    }
    return OK;
}

/* The address behind a name in the root group, if it is a hard link. */
static bool address_by_name(const struct store *store, const char *name, uint64_t *ret_address) {
    H5L_info_t info;
    bool found = H5Lget_info(store->file->root, name, &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_HARD;
    h5_forget();
    if (found) {
        *ret_address = info.u.address;
    }
    return found;
}

/* The same choice as the scan's: the encoded name, else the plain one where that is its own id. */
static enum err find_by_name(struct store *store, struct op *op, const struct id *id,
                             struct record **ret_record) {
    char name[LINK_NAME_BYTES];
    uint64_t address = 0;
    link_name_of(id, name);
    bool found = address_by_name(store, name, &address);
    bool plain = false;
    if (!found && !memchr(id->text, '/', id->bytes)) {
        char text[ID_MOST_BYTES + 1];
        size_t bytes = 0;
        bool canonical = true;
        plain = link_name_to_id(id->text, text, &bytes, &canonical) && !canonical;
        found = plain && address_by_name(store, id->text, &address);
    }
    if (found && !add_link(store, id, plain ? id->text : NULL, address)) {
        return op_no_memory(op);
    }
    index_publish(&store->index);
    *ret_record = found ? index_find(&store->index, id) : NULL;
    return OK;
}

enum err store_find(struct store *store, struct op *op, const struct id *id, struct record **ret_record) {
    struct record *record = index_find(&store->index, id);
    enum err err = OK;
    if (!record && !atomic_load(&store->names_complete)) {
        err = find_by_name(store, op, id, &record);
    }
    if (!err && record && !record->has_next && record->current->kind == VERSION_UNRESOLVED) {
        err = resolve(store, op, &record);
    }
    if (!err) {
        *ret_record = record;
    }
    return err;
}

bool store_load_slice(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    struct record *record;
    for (unsigned i = 0; i < RECORDS_PER_SLICE && (record = TAILQ_FIRST(&store->index.unresolved)) != NULL;
         i++) {
        if (resolve(store, &op, &record)) {
            /* It stays unresolved and gives its reader the same failure; loading goes on. */
            log_line(LOG_WARNING, "hdf5", "an entry cannot be loaded: %s", op.fault.detail);
            TAILQ_REMOVE(&store->index.unresolved, record, in_list);
            record->list = LIST_NONE;
        }
    }
    if (!TAILQ_EMPTY(&store->index.unresolved)) {
        return true;
    }
    if (atomic_load(&store->names_complete) && !atomic_load(&store->loaded)) {
        tell(store, &store->loaded);
    }
    return false;
}

void store_load_all(struct store *store) {
    if (atomic_load(&store->loaded)) {
        return;
    }
    while (store_load_slice(store)) {
        commit_serve_urgent(&store->commit);
    }
}
