/* compact_copy.c - one object into the copy. See compact.h.
 *
 * Everything is copied as it is, by the library: types, attributes and filters of others are theirs. A large body in one piece is
 * moved by ourselves, piece by piece, into a dataset of the same type; of what is stored otherwise the library copies all at
 * once, which is as long as a request may have to wait.
 */
#include "pools/hdf5/compact.h"

#include "pools/base/clock.h"
#include "pools/hdf5/dataset.h"

#include <fcntl.h>
#include <stdlib.h>

#define LARGE_FROM_BYTES (UINT64_C(256) << 10)
#define PIECE_BYTES (UINT64_C(1) << 20)
#define PUSH_BYTES (UINT64_C(4) << 20)

/* Dirty pages go to the disk as they come, so that the sync at the end is short. Only advice. */
static void push(struct compaction *compaction, uint64_t bytes) {
    compaction->unpushed_bytes += bytes;
    if (compaction->unpushed_bytes >= PUSH_BYTES) {
        (void)sync_file_range(compaction->copy->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        compaction->unpushed_bytes = 0;
    }
}

/* ---- attributes ---- */
static herr_t copy_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context) {
    (void)info;
    const hid_t *copy = context;
    if (H5Aexists(*copy, name) > 0) {
        return 0; /* the mark, which the copy has of its own */
    }
    AUTO(h5_close) hid_t from = H5Aopen(object, name, H5P_DEFAULT);
    AUTO(h5_close) hid_t stored_type = from < 0 ? H5I_INVALID_HID : H5Aget_type(from);
    AUTO(h5_close) hid_t type = stored_type < 0 ? H5I_INVALID_HID : H5Tcopy(stored_type);
    AUTO(h5_close) hid_t space = from < 0 ? H5I_INVALID_HID : H5Aget_space(from);
    if (type < 0 || space < 0) {
        return -1;
    }
    AUTO(h5_close) hid_t to = H5Acreate2(*copy, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    hssize_t points = H5Sget_simple_extent_npoints(space);
    size_t bytes = H5Tget_size(type) * (size_t)(points > 0 ? points : 0);
    void *value = calloc(1, bytes + 1);
    herr_t result =
        to < 0 || !value || H5Aread(from, type, value) < 0 || H5Awrite(to, type, value) < 0 ? -1 : 0;
    if (result == 0) {
        result = H5Dvlen_reclaim(type, space, H5P_DEFAULT, value);
    }
    free(value);
    return result;
}

static enum err copy_attributes(struct op *op, hid_t from, hid_t to) {
    hsize_t at = 0;
    return H5Aiterate2(from, H5_INDEX_NAME, H5_ITER_INC, &at, copy_attribute, &to) < 0
               ? h5_fail(op, "copy attributes")
               : OK;
}

/* ---- what is no entry ---- */
/* Whether the index has this very link. */
static bool is_entry(struct compaction *compaction, const char *name, const H5L_info_t *info) {
    char text[ID_MOST_BYTES + 1];
    char own_name[LINK_NAME_BYTES];
    size_t bytes = 0;
    bool canonical = false;
    if (info->type != H5L_TYPE_HARD || !link_name_to_id(name, text, &bytes, &canonical)) {
        return false;
    }
    struct id id = id_trusted(text, bytes);
    const struct record *record = index_find(&compaction->store->index, &id);
    if (!record) {
        return false;
    }
    record_link_name(record, own_name);
    return strcmp(own_name, name) == 0;
}

static herr_t copy_foreign_link(hid_t root, const char *name, const H5L_info_t *info, void *context) {
    struct compaction *compaction = context;
    hid_t copy = compaction->copy->root;
    hid_t list = compaction->store->link_list;
    if (is_entry(compaction, name, info)) {
        return 0;
    }
    return info->type == H5L_TYPE_HARD ? H5Ocopy(root, name, copy, name, H5P_DEFAULT, list)
                                       : H5Lcopy(root, name, copy, name, list, H5P_DEFAULT);
}

enum err compaction_copy_foreign(struct compaction *compaction, struct op *op) {
    hid_t root = compaction->store->file->root;
    enum err err = h5_file_make_room(compaction->copy, op);
    /* Without any, the walk over all links would only cost. */
    if (!err && atomic_load(&compaction->store->foreign) > 0 &&
        H5Literate(root, H5_INDEX_NAME, H5_ITER_INC, NULL, copy_foreign_link, compaction) < 0) {
        err = h5_fail(op, "copy what is no entry");
    }
    return err ? err : copy_attributes(op, root, compaction->copy->root);
}

/* ---- an entry ---- */
static enum err copy_small(struct compaction *compaction, struct op *op, const char *name,
                           const struct facts *facts, struct place *ret_place) {
    hid_t root = compaction->store->file->root;
    hid_t copy = compaction->copy->root;
    H5L_info_t info;
    if (H5Ocopy(root, name, copy, name, H5P_DEFAULT, compaction->store->link_list) < 0) {
        return h5_fail(op, "copy an entry");
    }
    if (H5Lget_info(copy, name, &info, H5P_DEFAULT) < 0) {
        return h5_fail(op, "find an entry in the copy");
    }
    *ret_place = (struct place){.from = facts->placement.address, .address = info.u.address};
    if (placement_in_one_piece(&facts->placement) && facts->placement.length) {
        AUTO(h5_close) hid_t dataset = H5I_INVALID_HID;
        enum err err = dataset_open(compaction->copy, op, info.u.address, &dataset);
        haddr_t offset = err ? HADDR_UNDEF : H5Dget_offset(dataset);
        if (err || offset == HADDR_UNDEF) {
            return err ? err : h5_fail(op, "find an entry in the copy");
        }
        ret_place->offset = offset;
    }
    push(compaction, facts->placement.length);
    return OK;
}

/* A dataset without a name, like the one at `from` but empty. */
static enum err make_like(struct compaction *compaction, struct op *op, hid_t from, hid_t *ret_dataset) {
    AUTO(h5_close) hid_t stored_type = H5Dget_type(from);
    AUTO(h5_close) hid_t type = stored_type < 0 ? H5I_INVALID_HID : H5Tcopy(stored_type);
    AUTO(h5_close) hid_t space = H5Dget_space(from);
    AUTO(h5_close) hid_t list = H5Dget_create_plist(from);
    if (type < 0 || space < 0 || list < 0 || H5Pset_obj_track_times(list, false) < 0 ||
        H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0) {
        return h5_fail(op, "describe a copy");
    }
    *ret_dataset = H5Dcreate_anon(compaction->copy->id, type, space, list, H5P_DEFAULT);
    return *ret_dataset < 0 ? h5_fail(op, "make a copy") : OK;
}

/* The version keeps the body's space from being given to others. */
static enum err begin_large(struct compaction *compaction, struct op *op, const char *name,
                            struct record *record) {
    struct large_copy *large = &compaction->large;
    enum err known = store_know(compaction->store, op, &record);
    struct version *version = !known && record ? record_shown(record) : NULL;
    if (!version) {
        return known ? known : op_fail(op, REASON_CORRUPT, "an entry turned out to be none: compact again");
    }
    AUTO(h5_close) hid_t from = H5I_INVALID_HID;
    AUTO(h5_close) hid_t to = H5I_INVALID_HID;
    enum err err = dataset_open(compaction->store->file, op, version->address, &from);
    if (!err) {
        err = make_like(compaction, op, from, &to);
    }
    if (!err) {
        err = copy_attributes(op, from, to);
    }
    if (!err) {
        err = h5_file_make_room(compaction->copy, op); /* for the body, too: it has its space now */
    }
    H5O_info_t info;
    haddr_t offset = err ? HADDR_UNDEF : H5Dget_offset(to);
    if (!err && (offset == HADDR_UNDEF || H5Oget_info2(to, &info, H5O_INFO_BASIC) < 0)) {
        err = h5_fail(op, "place a copy");
    }
    if (err) {
        return err;
    }
    large->dataset = h5_steal(&to);
    large->from = version_ref(version);
    large->to = (struct placement){.address = info.addr, .offset = offset};
    large->at = 0;
    large->bytes = H5Dget_storage_size(from);
    memcpy(large->name, name, strlen(name) + 1);
    return OK;
}

enum err compaction_copy_entry(struct compaction *compaction, struct op *op, const char *name,
                               struct record *record, bool *ret_is_large, struct place *ret_place) {
    struct facts facts = record_facts(record);
    if (facts.placement.kind == VERSION_UNRESOLVED) {
        return op_fail(op, REASON_CORRUPT,
                       "the header of an entry cannot be read: replace or remove what a scrub finds corrupt");
    }
    *ret_is_large = placement_in_one_piece(&facts.placement) && facts.placement.length >= LARGE_FROM_BYTES;
    if (*ret_is_large) {
        return begin_large(compaction, op, name, record);
    }
    enum err err = h5_file_make_room(compaction->copy, op);
    return err ? err : copy_small(compaction, op, name, &facts, ret_place);
}

enum err compaction_copy_piece(struct compaction *compaction, struct op *op, bool *ret_done,
                               struct place *ret_place) {
    struct large_copy *large = &compaction->large;
    const struct version *from = large->from;
    uint64_t left = large->bytes - large->at;
    size_t count = left < PIECE_BYTES ? (size_t)left : (size_t)PIECE_BYTES;
    AUTO(blob_unref) struct blob *piece = blob_new(count);
    if (!piece) {
        return op_no_memory(op);
    }
    enum err err = h5_file_pread(from->file, op, from->offset + large->at, piece->data, count);
    if (!err) {
        err = h5_file_pwrite(compaction->copy, op, large->to.offset + large->at, piece->data, count);
    }
    if (err) {
        return err;
    }
    large->at += count;
    push(compaction, count);
    *ret_done = large->at == large->bytes;
    if (!*ret_done) {
        return OK;
    }
    hid_t root = compaction->copy->root;
    if (!h5_link_first(large->dataset, root, large->name, compaction->store->link_list)) {
        return h5_fail(op, "name an entry in the copy");
    }
    *ret_place =
        (struct place){.from = from->address, .address = large->to.address, .offset = large->to.offset};
    compaction_drop_large(compaction);
    return OK;
}

void compaction_drop_large(struct compaction *compaction) {
    struct large_copy *large = &compaction->large;
    if (large->dataset >= 0) {
        h5_close(large->dataset);
        store_release_version(compaction->store, large->from);
        large->dataset = H5I_INVALID_HID;
        large->from = NULL;
    }
}
