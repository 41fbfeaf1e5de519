/* h5_io.c - what goes into an open file and out of it: bodies past the library, room on the disk, commits. See h5_file.h.
 *
 * Bodies lie where the library allotted them and are written in place; all else goes through the shadow (vfd/shadow.h).
 */
#include "pools/hdf5/h5_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Metadata that one batch may add beside its bodies, and how far ahead blocks are asked for. */
#define METADATA_ROOM_BYTES (UINT64_C(1) << 20)
#define AHEAD_BYTES (UINT64_C(8) << 20)

enum err h5_file_size(struct h5_file *file, struct op *op, uint64_t *ret_bytes) {
    hsize_t size = 0;
    if (file->shadow) {
        *ret_bytes = shadow_file_bytes(file->shadow);
        return OK;
    }
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

/* ---- commits ---- */
enum err h5_file_commit(struct h5_file *file, struct op *op) {
    if (H5Fflush(file->id, H5F_SCOPE_GLOBAL) < 0) {
        return h5_fail(op, "flush the file");
    }
    if (file->shadow) {
        return shadow_commit(file->shadow, op);
    }
    return fsync(file->fd) == 0 ? OK : op_fail_errno(op, errno, "syncing a copy of the file");
}

bool h5_file_is_poisoned(const struct h5_file *file) {
    return file->shadow && shadow_state(file->shadow) == SHADOW_POISONED;
}

bool h5_file_wants_checkpoint(const struct h5_file *file) {
    return file->shadow && shadow_wants_checkpoint(file->shadow);
}

bool h5_file_has_journal(const struct h5_file *file) {
    return file->shadow && shadow_state(file->shadow) == SHADOW_COMMITTED;
}

/* Cut off behind its end, and the blocks asked for ahead with it. */
static void forget_room(struct h5_file *file) {
    struct stat status;
    if (file->ready_bytes != UINT64_MAX) {
        file->ready_bytes = fstat(file->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
    }
}

enum err h5_file_checkpoint(struct h5_file *file, struct op *op) {
    enum err err = file->shadow ? shadow_checkpoint(file->shadow, op) : OK;
    forget_room(file);
    return err;
}

enum err h5_file_rest(struct h5_file *file, struct op *op) {
    enum err err = file->shadow ? shadow_rest(file->shadow, op) : OK;
    forget_room(file);
    return err;
}

/* ---- bodies ---- */
bool h5_file_is_free(const struct h5_file *file, uint64_t offset, uint64_t bytes) {
    return !file->shadow || shadow_is_free(file->shadow, offset, bytes);
}

enum err h5_file_write_body(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                            size_t count) {
    return file->shadow ? shadow_write_body(file->shadow, op, offset, bytes, count)
                        : h5_file_pwrite(file, op, offset, bytes, count);
}

enum err h5_file_check_length(struct h5_file *file, struct op *op) {
    return file->shadow ? shadow_check_length(file->shadow, op) : OK;
}

void h5_file_lend(struct h5_file *file, uint64_t offset, uint64_t bytes) {
    if (file->shadow) {
        shadow_lend(file->shadow, offset, bytes);
    }
}

void h5_file_note_body(struct h5_file *file, uint64_t offset, uint64_t bytes) {
    if (file->shadow && bytes) {
        shadow_note_body(file->shadow, offset, bytes);
    }
}

enum err h5_file_write_metadata(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                                size_t count) {
    return file->shadow ? shadow_write_metadata(file->shadow, op, offset, bytes, count)
                        : h5_file_pwrite(file, op, offset, bytes, count);
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

size_t h5_file_pread_metadata(const struct h5_file *file, uint64_t offset, void *ret_bytes, size_t count) {
    ssize_t got = offset > INT64_MAX ? -1 : pread(file->fd, ret_bytes, count, (off_t)offset);
    return got > 0 ? (size_t)got : 0; /* interrupted or short: the library is asked instead */
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
