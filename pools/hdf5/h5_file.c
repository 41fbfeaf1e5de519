/* h5_file.c - see h5_file.h: opening, locking, closing; room on the disk; the mark of a clean close. */
#include "pools/hdf5/h5_file.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_NAME "lailad_closed"
#define MIB (UINT64_C(1) << 20)
/* Metadata that one batch may add beside its bodies, and how far ahead blocks are asked for. */
#define METADATA_ROOM_BYTES MIB
#define AHEAD_BYTES (8 * MIB)
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
static hid_t access_list(void) {
    H5AC_cache_config_t cache = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    if (list < 0 || H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST) < 0 ||
        H5Pset_alignment(list, BODY_ALIGN_FROM_BYTES, BODY_ALIGN_BYTES) < 0 ||
        H5Pset_meta_block_size(list, BLOCK_BYTES) < 0 ||
        H5Pset_small_data_block_size(list, BLOCK_BYTES) < 0 ||
        H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) < 0 || H5Pset_file_locking(list, false, true) < 0 ||
        H5Pget_mdc_config(list, &cache) < 0 || !set_cache(&cache, 2 * MIB) ||
        H5Pset_mdc_config(list, &cache) < 0) {
        h5_close(list);
        return H5I_INVALID_HID;
    }
    return list;
}

/* The index by creation order makes opening forty times faster; without times two runs give the same file. */
static hid_t creation_list(void) {
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
    if (H5Fget_mdc_config(file->id, &cache) < 0 || !set_cache(&cache, wide ? 62 * MIB : 2 * MIB) ||
        H5Fset_mdc_config(file->id, &cache) < 0) {
        h5_forget(); /* only slower */
    }
}

/* Our own descriptor and its lock; *ret_empty when there is nothing in the file yet. */
static enum err open_descriptor(struct h5_file *file, struct op *op, const char *path,
                                const struct h5_file_options *options, bool *ret_empty) {
    file->writable = !options->read_only;
    int create = options->create && !options->read_only ? O_CREAT : 0;
    create |= options->replace ? O_NOFOLLOW : 0;
    create |= options->exclusive ? O_EXCL : 0;
    file->fd = open(path, (file->writable ? O_RDWR : O_RDONLY) | create | O_CLOEXEC, 0666);
    if (file->fd < 0 && file->writable && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        file->writable = false;
        snprintf(file->reason, sizeof file->reason,
                 "this process may not write the file: change its permissions");
        file->fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (file->fd < 0) {
        const char *what = errno == ENOENT                      ? "the file or its directory does not exist"
                           : errno == EEXIST                    ? "there is a file already"
                           : errno == EACCES                    ? "this process may not open the file"
                           : errno == EISDIR                    ? "the path is a directory"
                           : errno == ENOSPC || errno == EDQUOT ? "the disk is full"
                                                                : "the file cannot be opened";
        return op_fail(op, REASON_POOL_FAILED, "%s", what);
    }
    struct stat status;
    if (fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return op_fail(op, REASON_POOL_FAILED, "the path is not a regular file");
    }
    if (flock(file->fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? op_fail(op, REASON_FILE_IN_USE, "another pool or program holds the file's lock")
                   : op_fail(op, REASON_POOL_FAILED, "the file cannot be locked");
    }
    if (options->replace && ftruncate(file->fd, 0) != 0) {
        return op_fail_errno(op, errno, "emptying a file");
    }
    file->opened_mtime_ns = (uint64_t)status.st_mtim.tv_sec * NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    *ret_empty = status.st_size == 0 || options->replace;
    return OK;
}

static enum err tell_unopened(struct op *op, const char *path) {
    (void)h5_fail(op, "open the file");
    char said[OP_DETAIL_BYTES / 2];
    snprintf(said, sizeof said, "%.150s", op->fault.detail);
    bool is_hdf5 = H5Fis_hdf5(path) > 0;
    h5_forget();
    return is_hdf5
               ? op_fail(op, REASON_POOL_FAILED,
                         "%s (it may be damaged, or marked as open by a program that crashed: h5clear -s; "
                         "HDF5_USE_FILE_LOCKING must not be TRUE)",
                         said)
               : op_fail(op, REASON_POOL_FAILED, "the file is not an HDF5 file");
}

enum opening { OPEN_CREATE, OPEN_TO_READ, OPEN_TO_WRITE };

static enum err open_library(struct h5_file *file, struct op *op, const char *path, enum opening how) {
    AUTO(h5_close) hid_t access = access_list();
    AUTO(h5_close) hid_t creation = creation_list();
    if (access < 0 || creation < 0) {
        return h5_fail(op, "prepare");
    }
    file->id = how == OPEN_CREATE
                   ? H5Fcreate(path, H5F_ACC_TRUNC, creation, access)
                   : H5Fopen(path, how == OPEN_TO_WRITE ? H5F_ACC_RDWR : H5F_ACC_RDONLY, access);
    if (file->id < 0) {
        return how == OPEN_CREATE ? h5_fail(op, "create the file") : tell_unopened(op, path);
    }
    file->root = H5Gopen2(file->id, "/", H5P_DEFAULT);
    return file->root < 0 ? h5_fail(op, "open the root group") : OK;
}

static void close_library(struct h5_file *file) {
    h5_close(file->body_layout);
    h5_close(file->root);
    h5_close(file->id);
    file->body_layout = file->root = file->id = H5I_INVALID_HID;
}

/* What would make writing unsafe, or slow beyond use. */
static enum err look_at_format(struct h5_file *file, struct op *op) {
    AUTO(h5_close) hid_t list = H5Fget_create_plist(file->id);
    hsize_t user_block = 0;
    H5F_fspace_strategy_t strategy;
    hbool_t persist = false;
    hsize_t threshold = 0;
    H5G_info_t info;
    AUTO(h5_close) hid_t root_list = H5Gget_create_plist(file->root);
    unsigned order = 0;
    if (list < 0 || H5Pget_userblock(list, &user_block) < 0 ||
        H5Pget_file_space_strategy(list, &strategy, &persist, &threshold) < 0 ||
        H5Gget_info(file->root, &info) < 0 || root_list < 0 ||
        H5Pget_link_creation_order(root_list, &order) < 0) {
        return h5_fail(op, "read the file's properties");
    }
    file->ordered = (order & H5P_CRT_ORDER_INDEXED) != 0;
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

static enum err read_mark(struct h5_file *file, struct op *op) {
    file->alone = true;
    htri_t exists = H5Aexists(file->root, MARK_NAME);
    if (exists < 0) {
        return h5_fail(op, "look for the file's mark");
    }
    if (!exists) {
        return OK;
    }
    AUTO(h5_close) hid_t attribute = H5Aopen(file->root, MARK_NAME, H5P_DEFAULT);
    AUTO(h5_close) hid_t space = attribute < 0 ? H5I_INVALID_HID : H5Aget_space(attribute);
    if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
        H5Aread(attribute, H5T_NATIVE_INT64, &file->mark) < 0) {
        return h5_fail(op, "read the file's mark");
    }
    file->marked = true;
    struct stat status;
    if (fstat(file->fd, &status) != 0) {
        return op_fail_errno(op, errno, "stat");
    }
    bool untouched = status.st_mtim.tv_sec == file->mark && status.st_mtim.tv_nsec == 0;
    file->alone = file->mark == H5_MARK_OPEN || (file->mark > 0 && untouched);
    return OK;
}

static enum err create_file(struct h5_file *file, struct op *op, const char *path) {
    if (!file->writable) {
        return op_fail(op, REASON_POOL_FAILED, "the file is empty");
    }
    enum err err = open_library(file, op, path, OPEN_CREATE);
    if (!err) {
        err = look_at_format(file, op);
    }
    if (!err) {
        err = h5_file_set_mark(file, op, H5_MARK_OPEN);
    }
    file->alone = true;
    return err ? err : h5_file_flush(file, op);
}

/* First to read: a file that cannot be written in place is not touched. */
static enum err open_existing(struct h5_file *file, struct op *op, const char *path) {
    enum err err = open_library(file, op, path, OPEN_TO_READ);
    if (!err) {
        err = look_at_format(file, op);
    }
    if (!err) {
        err = read_mark(file, op);
    }
    if (!err && file->writable && !file->convertible) {
        close_library(file);
        err = open_library(file, op, path, OPEN_TO_WRITE);
    }
    return err;
}

enum err h5_file_open(struct op *op, const char *path, const struct h5_file_options *options,
                      struct h5_file **ret_file) {
    h5_enter();
    AUTO(h5_file_unref) struct h5_file *file = calloc(1, sizeof *file);
    if (!file) {
        return op_no_memory(op);
    }
    atomic_init(&file->refs, 1);
    file->body_layout = file->id = file->root = H5I_INVALID_HID;
    file->fd = -1;
    bool empty = false;
    enum err err = open_descriptor(file, op, path, options, &empty);
    if (!err) {
        err = empty ? create_file(file, op, path) : open_existing(file, op, path);
    }
    if (err) {
        return err;
    }
    *ret_file = STEAL(file);
    return OK;
}

struct h5_file *h5_file_ref(struct h5_file *file) {
    MUST(atomic_fetch_add(&file->refs, 1) > 0);
    return file;
}

void h5_file_unref(struct h5_file *file) {
    if (!file || atomic_fetch_sub(&file->refs, 1) > 1) {
        return;
    }
    h5_enter();
    close_library(file);
    struct stat status;
    if (file->ready_bytes > 0 && file->ready_bytes < UINT64_MAX && fstat(file->fd, &status) == 0 &&
        ftruncate(file->fd, status.st_size) != 0) {
        /* Blocks asked for ahead stay with the file: only room is lost. */
        file->ready_bytes = 0;
    }
    if (file->closing_mtime_s > 0) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = file->closing_mtime_s}};
        (void)futimens(file->fd, times); /* failing that, entries are compared with their digests once more */
    }
    if (file->fd >= 0) {
        close(file->fd); /* the lock goes with it */
    }
    free(file);
}

enum err h5_file_size(struct h5_file *file, struct op *op, uint64_t *ret_bytes) {
    hsize_t size = 0;
    if (H5Fget_filesize(file->id, &size) < 0) {
        return h5_fail(op, "tell the size of the file");
    }
    *ret_bytes = size;
    return OK;
}

enum err h5_file_make_room(struct h5_file *file, struct op *op) {
    uint64_t size = 0;
    enum err err = h5_file_size(file, op, &size);
    uint64_t need = size + METADATA_ROOM_BYTES;
    if (err || need <= file->ready_bytes) {
        return err;
    }
    struct stat status;
    if (file->ready_bytes == 0 && fstat(file->fd, &status) == 0) {
        file->ready_bytes = (uint64_t)status.st_size;
    }
    uint64_t from = file->ready_bytes < size ? file->ready_bytes : size;
    uint64_t ahead = AHEAD_BYTES;
    while (fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(need + ahead - from)) != 0) {
        if (errno == EINTR) {
            continue;
        }
        if (errno == EOPNOTSUPP || errno == ENOSYS) {
            file->ready_bytes = UINT64_MAX;
            return OK;
        }
        if (ahead == 0) {
            return op_fail_errno(op, errno, "reserving room on the disk");
        }
        ahead = 0;
    }
    file->ready_bytes = need + ahead;
    return OK;
}

enum err h5_file_flush(struct h5_file *file, struct op *op) {
    uint64_t before = 0;
    uint64_t after = 0;
    enum err err = h5_file_size(file, op, &before);
    if (!err && H5Fflush(file->id, H5F_SCOPE_GLOBAL) < 0) {
        err = h5_fail(op, "flush the file");
    }
    if (!err) {
        err = h5_file_size(file, op, &after);
    }
    if (!err && after < before && file->ready_bytes != UINT64_MAX) {
        file->ready_bytes = after; /* cut off there, and the blocks asked for ahead with it */
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

enum err h5_file_pwrite(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                        size_t count) {
    const char *at = bytes;
    while (count) {
        ssize_t written = pwrite(file->fd, at, count, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return op_fail_errno(op, written < 0 ? errno : EIO, "writing a body");
        }
        at += written;
        offset += (uint64_t)written;
        count -= (size_t)written;
    }
    return OK;
}

enum err h5_file_pread(struct h5_file *file, struct op *op, uint64_t offset, void *ret_bytes, size_t count) {
    char *at = ret_bytes;
    while (count) {
        ssize_t got = pread(file->fd, at, count, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return op_fail_errno(op, errno, "reading a body");
        }
        if (got == 0) {
            return op_fail(op, REASON_BAD_ANSWER, "the file ends inside the entry");
        }
        at += got;
        offset += (uint64_t)got;
        count -= (size_t)got;
    }
    return OK;
}
