/* load.c - the index of a file that was just opened: a scan for names, then a look at each object.
 *
 * The scan reads links only (by creation order where the file has that index: 0.04 s for 100,000) and runs first on the store's
 * thread; between links it serves lookups, which find their object by name. Places follow in idle slices, in the order of the file as
 * far as the scan was, so that requests never wait for more than a slice. Metadata is read when somebody wants it: store_know on
 * this thread, store_make_version on any. See store.h.
 */
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/link_name.h"

#include <stdlib.h>

#define LINKS_PER_LOOK 256u
/* Its name and the address of its object take more. */
#define LINK_LEAST_BYTES 16u
/* How long a request may have to wait for the load. */
#define SLICE_NS NS_PER_MS
#define RECORDS_PER_LOOK 16u

static const char group_is_damaged[] = "the file's root group cannot be read: the file is damaged";

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

/* Two names of one id: the encoded one is the entry. */
static void settle_clash(struct store *store, struct record *record, bool canonical, uint64_t address) {
    if (record->address == address) {
        return; /* a lookup was faster */
    }
    count_foreign(store);
    if (canonical && record->is_named) {
        index_rename(&store->index, record, address);
    }
}

static herr_t scan_link(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group;
    struct scan *scan = context;
    struct store *store = scan->store;
    char text[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    bool canonical = false;
    if (++scan->links % LINKS_PER_LOOK == 0) {
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
    if (record) {
        settle_clash(store, record, canonical, info->u.address);
        return 0;
    }
    record = index_add_found(&store->index, &id, canonical ? NULL : name, info->u.address);
    scan->no_memory = !record;
    return record ? 0 : -1;
}

/* Links there are: about as many entries. No more is believed than the file can hold. */
static void look_ahead(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    uint64_t bytes = 0;
    H5G_info_t info;
    if (H5Gget_info(store->file->root, &info) < 0 || h5_file_size(store->file, &op, &bytes)) {
        h5_forget(); /* the scan will tell */
        return;
    }
    uint64_t most = bytes / LINK_LEAST_BYTES;
    uint64_t links = info.nlinks < most ? info.nlinks : most;
    atomic_store(&store->expected, links);
    index_expect(&store->index, links);
}

void store_scan(void *context) {
    struct store *store = context;
    struct scan scan = {.store = store};
    h5_enter();
    bool ordered = store->file->ordered;
    store->window = calloc(1, sizeof *store->window);
    look_ahead(store);
    if (!ordered) {
        h5_file_widen_cache(store->file, true);
    }
    herr_t result = H5Literate(store->file->root, ordered ? H5_INDEX_CRT_ORDER : H5_INDEX_NAME,
                               H5_ITER_NATIVE, NULL, scan_link, &scan);
    h5_forget();
    if (!ordered) {
        h5_file_widen_cache(store->file, false);
    }
    if (result < 0) {
        const char *why =
            scan.no_memory ? "the index of the file does not fit into memory" : group_is_damaged;
        log_line(LOG_ERROR, "hdf5", "%s is not served: %s", store->path, why);
        store_poison(store, why);
    } else if (result == 0) {
        tell(store, &store->names_complete);
    }
}

/* ---- what an object is ---- */
static enum err describe(struct store *store, struct op *op, const struct record *record,
                         struct window *window, struct description *ret_description) {
    if (record->as_loaded &&
        dataset_describe_quickly(store->file, window, record->address, ret_description)) {
        return OK;
    }
    enum err err = dataset_describe(store->file, op, record->address, ret_description);
    return err == ERR_UNAVAILABLE
               ? op_fail(op, REASON_CORRUPT, "the entry's header in the file cannot be read")
               : err;
}

/* The record may turn out to be no entry and be freed: *record is NULL then. */
static void settle(struct store *store, struct record **record, const struct description *description) {
    struct facts facts = {.placement = description->placement,
                          .hold = description->meta.hold,
                          .has_sha256 = description->meta.has_sha256};
    index_resolve(&store->index, *record, description->is_entry ? &facts : NULL);
    if (!description->is_entry) {
        count_foreign(store);
        *record = NULL;
    }
}

static enum err resolve(struct store *store, struct op *op, struct record *record) {
    struct description description;
    enum err err = describe(store, op, record, store->window, &description);
    if (!err) {
        settle(store, &record, &description);
        description_fini(&description);
    }
    return err;
}

/* The version of what cannot be read tells its address, so that it can be replaced or removed. */
static enum err install_unreadable(struct store *store, struct op *op, struct record *record) {
    struct placement placement = {.kind = VERSION_UNRESOLVED, .address = record->address};
    struct version *version = version_new(store->file, &placement, NULL);
    if (!version) {
        return op_no_memory(op);
    }
    index_install(&store->index, record, version);
    return ERR_CORRUPT;
}

enum err store_know(struct store *store, struct op *op, struct record **record) {
    if (!*record || !record_needs_version(*record)) {
        return OK;
    }
    struct description description;
    enum err err = describe(store, op, *record, NULL, &description);
    if (err) {
        return err == ERR_CORRUPT ? install_unreadable(store, op, *record) : err;
    }
    struct version *version = dataset_version(store->file, &description);
    if (!version) {
        err = op_no_memory(op);
    } else if ((*record)->kind == VERSION_UNRESOLVED || !description.is_entry) {
        settle(store, record, &description);
    }
    if (!err && *record) {
        index_install(&store->index, *record, STEAL(version));
    }
    version_drop(version);
    description_fini(&description);
    return err;
}

struct version *store_make_version(struct store *store, const struct id *id) {
    AUTO(h5_file_unref) struct h5_file *file = NULL;
    struct facts facts;
    struct description description;
    if (!index_source(&store->index, id, &file, &facts) ||
        !dataset_describe_quickly(file, NULL, facts.placement.address, &description)) {
        return NULL;
    }
    bool same = description.placement.kind == facts.placement.kind &&
                description.placement.offset == facts.placement.offset &&
                description.placement.length == facts.placement.length;
    struct version *version = same ? dataset_version(file, &description) : NULL;
    description_fini(&description);
    return version ? index_keep(&store->index, id, version) : NULL;
}

/* ---- an id that the scan has not reached ---- */
/* The address behind a name in the root group, if it is a hard link. Only a group that can be read may say that there is none. */
static enum err address_by_name(const struct store *store, struct op *op, const char *name, bool *ret_found,
                                uint64_t *ret_address) {
    H5L_info_t info;
    htri_t exists = H5Lexists(store->file->root, name, H5P_DEFAULT);
    if (exists < 0 || (exists && H5Lget_info(store->file->root, name, &info, H5P_DEFAULT) < 0)) {
        h5_forget();
        return op_fail(op, REASON_CORRUPT, "%s", group_is_damaged);
    }
    *ret_found = exists && info.type == H5L_TYPE_HARD;
    if (*ret_found) {
        *ret_address = info.u.address;
    }
    return OK;
}

/* The same choice as the scan's: the encoded name, else the plain one where that is its own id. */
static enum err find_by_name(struct store *store, struct op *op, const struct id *id,
                             struct record **ret_record) {
    char name[LINK_NAME_BYTES];
    uint64_t address = 0;
    link_name_of(id, name);
    bool found = false;
    bool plain = false;
    enum err err = address_by_name(store, op, name, &found, &address);
    if (!err && !found && !memchr(id->text, '/', id->bytes)) {
        char text[ID_MOST_BYTES + 1];
        size_t bytes = 0;
        bool canonical = true;
        plain = link_name_to_id(id->text, text, &bytes, &canonical) && !canonical;
        err = plain ? address_by_name(store, op, id->text, &found, &address) : OK;
    }
    if (err) {
        return err;
    }
    *ret_record = found ? index_add_found(&store->index, id, plain ? id->text : NULL, address) : NULL;
    return found && !*ret_record ? op_no_memory(op) : OK;
}

enum err store_find(struct store *store, struct op *op, const struct id *id, struct record **ret_record) {
    if (store_is_unreadable(store)) {
        return store_fail_poisoned(store, op);
    }
    struct record *record = index_find(&store->index, id);
    enum err err = OK;
    if (!record && !atomic_load(&store->names_complete)) {
        err = find_by_name(store, op, id, &record);
    }
    if (!err) {
        err = store_know(store, op, &record);
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
    index_trim(&store->index);
    uint64_t until_ns = clock_now_ns() + SLICE_NS;
    for (unsigned i = 1; (record = TAILQ_FIRST(&store->index.to_resolve)) != NULL; i++) {
        if (resolve(store, &op, record)) {
            /* It stays unresolved and gives its reader the same failure; loading goes on. */
            log_line(LOG_WARNING, "hdf5", "an entry cannot be loaded: %s", op.fault.detail);
            index_put_aside(&store->index, record);
        }
        if (i % RECORDS_PER_LOOK == 0 && clock_now_ns() >= until_ns) {
            break;
        }
    }
    if (!TAILQ_EMPTY(&store->index.to_resolve)) {
        return true;
    }
    if (atomic_load(&store->names_complete) && !atomic_load(&store->loaded)) {
        free(store->window);
        store->window = NULL;
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
