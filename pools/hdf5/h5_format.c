/* h5_format.c - see h5_format.h. */
#include "pools/hdf5/h5_format.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define MARK_NAME "lailad_closed"
#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
/* Each commit walks the whole cache, what is clean too. The largest block of a group's links takes 64 KiB of it. */
#define CACHE_BYTES (512 * KIB)
#define WIDE_CACHE_BYTES (62 * MIB)
#define BODY_ALIGN_FROM_BYTES 65536
#define BODY_ALIGN_BYTES 4096
#define BLOCK_BYTES 65536

static bool set_cache(H5AC_cache_config_t *config, size_t bytes) {
    config->set_initial_size = true;
    config->initial_size = bytes;
    config->min_size = bytes;
    config->max_size = bytes;
    config->incr_mode = H5C_incr__off;
    config->flash_incr_mode = H5C_flash_incr__off;
    config->decr_mode = H5C_decr__off;
    return true;
}

/* Superblock 2 (readable by every HDF5 since 1.8, no "open for write" flag), a small fixed metadata cache (a larger
 * one is slower for inserts and takes twenty times its size in memory), no locking by the library: we lock. */
hid_t h5_format_access_list(void) {
    H5AC_cache_config_t cache = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list < 0 || H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0 ||
        H5Pset_alignment(list, BODY_ALIGN_FROM_BYTES, BODY_ALIGN_BYTES) < 0 ||
        H5Pset_meta_block_size(list, BLOCK_BYTES) < 0 ||
        H5Pset_small_data_block_size(list, BLOCK_BYTES) < 0 ||
        H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) < 0 || H5Pset_file_locking(list, false, true) < 0 ||
        H5Pget_mdc_config(list, &cache) < 0 || !set_cache(&cache, CACHE_BYTES) ||
        H5Pset_mdc_config(list, &cache) < 0) {
        h5_close(list);
        return H5I_INVALID_HID;
    }
    return list;
}

/* The index by creation order makes opening forty times faster; without times two runs give the same file. */
hid_t h5_format_creation_list(void) {
    hid_t list = H5Pcreate(H5P_FILE_CREATE);
    if (list < 0 || H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) < 0 ||
        H5Pset_obj_track_times(list, false) < 0) {
        h5_close(list);
        return H5I_INVALID_HID;
    }
    return list;
}

void h5_file_widen_cache(struct h5_file *file, bool wide) {
    H5AC_cache_config_t cache = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    if (H5Fget_mdc_config(file->id, &cache) < 0 ||
        !set_cache(&cache, wide ? WIDE_CACHE_BYTES : CACHE_BYTES) ||
        H5Fset_mdc_config(file->id, &cache) < 0) {
        h5_forget(); /* only slower */
    }
}

/* What would make writing unsafe, or slow beyond use. */
enum err h5_format_look(struct h5_file *file, struct op *op) {
    AUTO(h5_close) hid_t list = H5Fget_create_plist(file->id);
    hsize_t user_block = 0;
    H5F_fspace_strategy_t strategy;
    hbool_t persist = false;
    hsize_t threshold = 0;
    H5G_info_t info;
    AUTO(h5_close) hid_t root_list = H5Gget_create_plist(file->root);
    unsigned order = 0;
    size_t address_bytes = 0;
    size_t length_bytes = 0;
    if (list < 0 || H5Pget_userblock(list, &user_block) < 0 ||
        H5Pget_sizes(list, &address_bytes, &length_bytes) < 0 ||
        H5Pget_file_space_strategy(list, &strategy, &persist, &threshold) < 0 ||
        H5Gget_info(file->root, &info) < 0 || root_list < 0 ||
        H5Pget_link_creation_order(root_list, &order) < 0) {
        return h5_fail(op, "read the file's properties");
    }
    file->ordered = (order & H5P_CRT_ORDER_INDEXED) != 0;
    file->plain = address_bytes == 8 && length_bytes == 8 && user_block == 0;
    if (!file->writable) {
        return OK;
    }
    const char *what = NULL;
    if (info.storage_type == H5G_STORAGE_TYPE_SYMBOL_TABLE) {
        what = "its root group is an old symbol table";
    } else if (persist || strategy != H5F_FSPACE_STRATEGY_FSM_AGGR) {
        what = "it keeps its free space in the file";
    } else if (user_block > 0) {
        what = "it has a user block";
    }
    if (what) {
        file->convertible = true;
        snprintf(file->reason, sizeof file->reason, "the file cannot be written in place: %s", what);
    }
    return OK;
}

/* ---- the mark of a clean close ---- */
enum err h5_format_read_mark(struct h5_file *file, struct op *op) {
    htri_t exists = H5Aexists(file->root, MARK_NAME);
    if (exists < 0) {
        return h5_fail(op, "look for the file's mark");
    }
    file->marked = exists > 0;
    file->mark = H5_MARK_OPEN;
    if (!exists) {
        return OK;
    }
    AUTO(h5_close) hid_t attribute = H5Aopen(file->root, MARK_NAME, H5P_DEFAULT);
    AUTO(h5_close) hid_t space = attribute < 0 ? H5I_INVALID_HID : H5Aget_space(attribute);
    if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
        H5Aread(attribute, H5T_NATIVE_INT64, &file->mark) < 0) {
        return h5_fail(op, "read the file's mark");
    }
    return OK;
}

enum err h5_format_judge_mark(struct h5_file *file, struct op *op) {
    enum err err = h5_format_read_mark(file, op);
    struct stat status;
    if (!err && fstat(file->fd, &status) != 0) {
        err = op_fail_errno(op, errno, "stat");
    }
    if (!err) {
        bool untouched = status.st_mtim.tv_sec == file->mark && status.st_mtim.tv_nsec == 0;
        file->alone = !file->marked || file->mark == H5_MARK_OPEN || file->mark == H5_MARK_JOURNALED ||
                      (file->mark > 0 && untouched);
    }
    return err;
}

enum err h5_file_set_mark(struct h5_file *file, struct op *op, int64_t mark) {
    AUTO(h5_close) hid_t attribute = H5I_INVALID_HID;
    if (file->marked) {
        attribute = H5Aopen(file->root, MARK_NAME, H5P_DEFAULT);
    } else {
        AUTO(h5_close) hid_t space = H5Screate(H5S_SCALAR);
        attribute = H5Acreate2(file->root, MARK_NAME, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    }
    if (attribute < 0 || H5Awrite(attribute, H5T_NATIVE_INT64, &mark) < 0) {
        return h5_fail(op, "mark the file");
    }
    file->marked = true;
    file->mark = mark;
    return OK;
}
