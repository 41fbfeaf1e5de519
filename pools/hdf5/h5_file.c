/* h5_file.c - see h5_file.h: opening, locking, going back to the last commit, closing. */
#include "pools/hdf5/h5_file.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/hdf5/h5_format.h"
#include "pools/hdf5/vfd/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* As open(2), and tells whether it made the file. A link that leads nowhere, and somebody who was faster, have made theirs. */
static int open_or_make(const char *path, int flags, mode_t mode, bool *ret_created) {
    *ret_created = false;
    if (!(flags & O_CREAT) || (flags & O_EXCL)) {
        int fd = open(path, flags, mode);
        *ret_created = fd >= 0 && (flags & O_EXCL);
        return fd;
    }
    int fd = open(path, flags & ~O_CREAT);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    fd = open(path, flags | O_EXCL, mode);
    *ret_created = fd >= 0;
    return fd >= 0 || errno != EEXIST ? fd : open(path, flags, mode);
}

/* Our own descriptor and its lock. */
static enum err open_descriptor(struct h5_file *file, struct op *op, const char *path,
                                const struct h5_file_options *options) {
    file->writable = !options->read_only;
    int create = options->create && !options->read_only ? O_CREAT : 0;
    create |= options->replace ? O_NOFOLLOW : 0;
    create |= options->exclusive ? O_EXCL : 0;
    create |= O_NONBLOCK;                      /* a pipe is not waited for, but refused */
    mode_t mode = options->copy ? 0600 : 0666; /* whoever takes the copy gives it the original's */
    int flags = (file->writable ? O_RDWR : O_RDONLY) | create | O_CLOEXEC;
    file->fd = open_or_make(path, flags, mode, &file->created);
    if (file->fd < 0 && file->writable && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        file->writable = false;
        snprintf(file->reason, sizeof file->reason,
                 "this process may not write the file: change its permissions");
        file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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
        file->created = false; /* and is somebody else's now */
        return errno == EWOULDBLOCK
                   ? op_fail(op, REASON_FILE_IN_USE, "another pool or program holds the file's lock")
                   : op_fail(op, REASON_POOL_FAILED, "the file cannot be locked");
    }
    if (options->replace && ftruncate(file->fd, 0) != 0) {
        return op_fail_errno(op, errno, "emptying a file");
    }
    return OK;
}

/* Only after that is the file itself the last commit: it may have been empty, and its journal not. */
static enum err open_shadow(struct h5_file *file, struct op *op, const char *path) {
    struct medium *medium = NULL;
    enum err err = medium_open_posix(op, file->fd, path, file->writable, &medium);
    if (!err) {
        err = shadow_open(op, medium, &file->shadow);
        if (err) {
            medium->ops->close(medium);
        }
    }
    return err;
}

static enum err look_at_descriptor(struct h5_file *file, struct op *op, bool *ret_empty) {
    struct stat status;
    if (fstat(file->fd, &status) != 0) {
        return op_fail_errno(op, errno, "stat");
    }
    file->opened_mtime_ns = (uint64_t)status.st_mtim.tv_sec * NS_PER_S + (uint64_t)status.st_mtim.tv_nsec;
    *ret_empty = status.st_size == 0;
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

enum opening { OPEN_CREATE, OPEN_TO_READ, OPEN_TO_WRITE, OPEN_AGAIN };

static enum err open_library(struct h5_file *file, struct op *op, const char *path, enum opening how) {
    AUTO(h5_close) hid_t access = h5_format_access_list();
    AUTO(h5_close) hid_t creation = h5_format_creation_list();
    if (access < 0 || creation < 0) {
        return h5_fail(op, "prepare");
    }
    enum err err = file->shadow ? driver_attach(access, op, file->shadow) : OK;
    if (err) {
        return err;
    }
    file->id = how == OPEN_CREATE
                   ? H5Fcreate(path, H5F_ACC_TRUNC, creation, access)
                   : H5Fopen(path, how == OPEN_TO_READ ? H5F_ACC_RDONLY : H5F_ACC_RDWR, access);
    if (file->id < 0 && how == OPEN_CREATE) {
        return h5_fail(op, "create the file");
    }
    if (file->id < 0) {
        return how == OPEN_AGAIN ? h5_fail(op, "open the file again") : tell_unopened(op, path);
    }
    file->root = H5Gopen2(file->id, "/", H5P_DEFAULT);
    return file->root < 0 ? h5_fail(op, "open the root group") : OK;
}

static void close_library(struct h5_file *file) {
    h5_close(file->root);
    h5_close(file->id);
    file->root = file->id = H5I_INVALID_HID;
}

static enum err create_file(struct h5_file *file, struct op *op, const char *path) {
    if (!file->writable) {
        return op_fail(op, REASON_POOL_FAILED, "the file is empty");
    }
    enum err err = open_library(file, op, path, OPEN_CREATE);
    if (!err) {
        err = h5_format_look(file, op);
    }
    if (!err) {
        err = h5_file_set_mark(file, op, H5_MARK_JOURNALED);
    }
    file->alone = true;
    if (!err) {
        err = h5_file_commit(file, op);
    }
    return err ? err : h5_file_checkpoint(file, op); /* an HDF5 file from the first moment */
}

/* The journal is gone because all of it is in the file. What is not noted now goes with the next commit. */
static void note_recovered(struct h5_file *file) {
    struct op op;
    op_init(&op, 0, 0);
    if (h5_file_set_mark(file, &op, H5_MARK_OPEN) || h5_file_commit(file, &op)) {
        log_line(LOG_WARNING, "hdf5", "the recovery of a file could not be noted: %s", op.fault.detail);
    }
}

/* First to read: a file that cannot be written in place is not touched. */
static enum err open_existing(struct h5_file *file, struct op *op, const char *path) {
    enum err err = open_library(file, op, path, OPEN_TO_READ);
    if (!err) {
        err = h5_format_look(file, op);
    }
    if (!err) {
        err = h5_format_judge_mark(file, op);
    }
    bool found_journal = file->shadow && shadow_found_journal(file->shadow);
    file->misses_journal = file->shadow && !found_journal && file->mark == H5_MARK_JOURNALED;
    if (!err && file->writable && !file->convertible) {
        close_library(file);
        err = open_library(file, op, path, OPEN_TO_WRITE);
        if (!err && found_journal && file->mark == H5_MARK_JOURNALED) {
            note_recovered(file);
        }
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
    mutex_init(&file->reopening, RANK_KIND_INNER);
    mappings_init(&file->mappings);
    file->id = file->root = H5I_INVALID_HID;
    file->fd = -1;
    bool empty = false;
    enum err err = h5_forms_open(&file->forms, op);
    if (!err) {
        err = open_descriptor(file, op, path, options);
    }
    if (!err && !options->copy) {
        err = open_shadow(file, op, path);
    }
    if (!err) {
        err = look_at_descriptor(file, op, &empty);
    }
    if (!err) {
        err = empty ? create_file(file, op, path) : open_existing(file, op, path);
    }
    if (err) {
        h5_file_abandon(file, path);
        return err;
    }
    *ret_file = STEAL(file);
    return OK;
}

/* ---- from copy to file, and back to the last commit ---- */
/* The library does not look at the name of a file that the driver opens; its errors may tell it. */
#define NAME_TO_THE_LIBRARY "pool"

enum err h5_file_finish_copy(struct h5_file *file, struct op *op) {
    if (H5Fflush(file->id, H5F_SCOPE_GLOBAL) < 0) {
        return h5_fail(op, "write a copy of the file");
    }
    h5_close(file->root);
    file->root = H5I_INVALID_HID;
    herr_t closed = H5Fclose(file->id);
    file->id = H5I_INVALID_HID;
    if (closed < 0) {
        return h5_fail(op, "close a copy of the file");
    }
    return fsync(file->fd) == 0 ? OK : op_fail_errno(op, errno, "syncing a copy of the file");
}

enum err h5_file_settle_copy(struct h5_file *file, struct op *op, const char *path) {
    enum err err = h5_file_finish_copy(file, op);
    if (!err) {
        err = open_shadow(file, op, path);
    }
    return err ? err : open_library(file, op, NAME_TO_THE_LIBRARY, OPEN_AGAIN);
}

void h5_file_discard(struct h5_file *file) {
    if (file->shadow) {
        shadow_discard(file->shadow);
    }
}

enum err h5_file_roll_back(struct h5_file *file, struct op *op, uint64_t keep_end) {
    if (!file->shadow) {
        return op_fail(op, REASON_INTERNAL, "a copy of the file has nothing to go back to");
    }
    mutex_lock(&file->reopening);
    close_library(file);
    enum err err = shadow_roll_back(file->shadow, op);
    if (!err) {
        err = open_library(file, op, NAME_TO_THE_LIBRARY, OPEN_AGAIN);
    }
    mutex_unlock(&file->reopening);
    if (!err) {
        err = h5_format_read_mark(file, op);
    }
    if (!err) {
        shadow_raise_end(file->shadow, keep_end);
        file->ready_bytes = file->ready_bytes == UINT64_MAX ? UINT64_MAX : 0;
    }
    return err;
}

/* ---- the end ---- */
void h5_file_abandon(struct h5_file *file, const char *path) {
    if (!file->created) {
        return;
    }
    if (file->shadow) {
        shadow_abandon(file->shadow); /* before the library is closed: that would write */
    }
    file->closing_mtime_s = 0;
    if (unlink(path) != 0) {
        log_line(LOG_WARNING, "hdf5", "a file that is not wanted could not be removed: %s", path);
    }
}

struct h5_file *h5_file_ref(struct h5_file *file) {
    MUST(atomic_fetch_add(&file->refs, 1) > 0);
    return file;
}

void h5_file_set_closing_mtime(struct h5_file *file, int64_t mtime_s) {
    file->closing_mtime_s = mtime_s;
    if (file->shadow) {
        shadow_set_closing_mtime(file->shadow, mtime_s);
    }
}

/* What cannot be written into the file now is in its journal: the next opening does it. */
static void close_shadow(struct h5_file *file) {
    struct op op;
    op_init(&op, 0, 0);
    if (file->shadow && shadow_close(&op, file->shadow)) {
        log_line(LOG_WARNING, "hdf5", "a file could not be brought up to date at its end: %s",
                 op.fault.detail);
        file->closing_mtime_s = 0; /* the next opening sets it */
    } else if (file->shadow && file->closing_mtime_s) {
        file->ready_bytes = 0; /* its last checkpoint gave back what was asked for ahead, and set the time */
    }
    file->shadow = NULL;
}

/* A copy has no checkpoints, and of a file that was not closed well the time does not matter. */
static void close_descriptor(struct h5_file *file) {
    struct stat status;
    bool gives_back = file->ready_bytes > 0 && file->ready_bytes < UINT64_MAX;
    if (gives_back && fstat(file->fd, &status) == 0 && ftruncate(file->fd, status.st_size) != 0) {
        file->ready_bytes = 0; /* they stay with the file: only room is lost */
    }
    if (file->closing_mtime_s > 0) {
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = file->closing_mtime_s}};
        (void)futimens(file->fd, times); /* failing that, entries are compared with their digests once more */
    }
    if (file->fd >= 0) {
        close(file->fd); /* the lock goes with it */
    }
}

void h5_file_unref(struct h5_file *file) {
    if (!file || atomic_fetch_sub(&file->refs, 1) > 1) {
        return;
    }
    h5_enter();
    close_library(file);
    close_shadow(file);
    h5_forms_close(&file->forms);
    mappings_fini(&file->mappings);
    mutex_fini(&file->reopening);
    close_descriptor(file);
    free(file);
}
