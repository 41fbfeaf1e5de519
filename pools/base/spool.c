/* spool.c - see spool.h.
 *
 * One budget per directory, an atomic: a spool takes from it before it writes to its file and gives
 * everything back when closed. The file is O_TMPFILE, or mkostemp + unlink where the file system
 * has no O_TMPFILE. Only the writer changes a spool, so it reads its own fields unlocked; the lock
 * lets readers see memory, file and size change in one step.
 */
#include "pools/base/spool.h"

#include "pools/base/must.h"
#include "pools/base/mutex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPOOL_FIRST_BYTES 4096

struct spool_dir {
    char *path;
    uint64_t max_bytes;
    atomic_uint_fast64_t used_bytes;
    atomic_uint open_spools;
};

struct spool {
    struct mutex mutex; /* ram, fd, size_bytes: written under it by the one writer */
    struct spool_dir *dir;
    size_t ram_bytes;
    char *ram;
    size_t ram_capacity;
    int fd; /* -1 while everything is in memory */
    uint64_t size_bytes;
    uint64_t taken_bytes; /* from the directory's budget */
};

enum err spool_dir_open(struct op *op, const char *path, uint64_t max_bytes, struct spool_dir **ret_dir) {
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return op_fail_errno(op, errno, "making the spool directory");
    }
    struct spool_dir *dir = calloc(1, sizeof *dir);
    if (!dir) {
        return op_no_memory(op);
    }
    dir->path = strdup(path);
    if (!dir->path) {
        free(dir);
        return op_no_memory(op);
    }
    dir->max_bytes = max_bytes;
    atomic_init(&dir->used_bytes, 0);
    atomic_init(&dir->open_spools, 0);
    *ret_dir = dir;
    return OK;
}

void spool_dir_close(struct spool_dir *dir) {
    if (!dir) {
        return;
    }
    MUST(atomic_load(&dir->open_spools) == 0);
    free(dir->path);
    free(dir);
}

enum err spool_open(struct op *op, struct spool_dir *dir, size_t ram_bytes, struct spool **ret_spool) {
    struct spool *spool = calloc(1, sizeof *spool);
    if (!spool) {
        return op_no_memory(op);
    }
    spool->dir = dir;
    spool->ram_bytes = ram_bytes;
    spool->fd = -1;
    mutex_init(&spool->mutex, RANK_SPOOL);
    if (dir) {
        atomic_fetch_add(&dir->open_spools, 1);
    }
    *ret_spool = spool;
    return OK;
}

void spool_close(struct spool *spool) {
    if (!spool) {
        return;
    }
    if (spool->fd >= 0) {
        close(spool->fd); /* nothing to lose: the file is unlinked already */
    }
    if (spool->dir) {
        atomic_fetch_sub(&spool->dir->used_bytes, spool->taken_bytes);
        atomic_fetch_sub(&spool->dir->open_spools, 1);
    }
    free(spool->ram);
    mutex_fini(&spool->mutex);
    free(spool);
}

static enum err open_file(const struct spool *spool, struct op *op, int *ret_fd) {
    int fd = open(spool->dir->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        char path[4096];
        int length = snprintf(path, sizeof path, "%s/spool-XXXXXX", spool->dir->path);
        if (length < 0 || (size_t)length >= sizeof path) {
            return op_fail_errno(op, ENAMETOOLONG, "opening a spool file");
        }
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            unlink(path);
        }
    }
    if (fd < 0) {
        return op_fail_errno(op, errno, "opening a spool file");
    }
    *ret_fd = fd;
    return OK;
}

static enum err write_file(struct op *op, int fd, uint64_t offset, const char *bytes, size_t count) {
    while (count) {
        ssize_t written = pwrite(fd, bytes, count, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return op_fail_errno(op, errno, "writing to the spool");
        }
        bytes += written;
        offset += (uint64_t)written;
        count -= (size_t)written;
    }
    return OK;
}

static enum err take_budget(struct spool *spool, struct op *op, uint64_t count) {
    uint64_t used = atomic_load(&spool->dir->used_bytes);
    do {
        if (count > spool->dir->max_bytes || used > spool->dir->max_bytes - count) {
            return op_fail(op, REASON_NO_SPACE, "the spool is full");
        }
    } while (!atomic_compare_exchange_weak(&spool->dir->used_bytes, &used, used + count));
    spool->taken_bytes += count;
    return OK;
}

static enum err write_ram(struct spool *spool, struct op *op, const void *bytes, size_t count) {
    size_t need = (size_t)spool->size_bytes + count;
    char *larger = NULL;
    size_t capacity = spool->ram_capacity ? spool->ram_capacity : SPOOL_FIRST_BYTES;
    if (need > spool->ram_capacity) {
        while (capacity < need) {
            capacity *= 2;
        }
        larger = malloc(capacity);
        if (!larger) {
            return op_no_memory(op);
        }
        if (spool->size_bytes) {
            memcpy(larger, spool->ram, (size_t)spool->size_bytes);
        }
    }
    mutex_lock(&spool->mutex);
    char *old = larger ? spool->ram : NULL;
    if (larger) {
        spool->ram = larger;
        spool->ram_capacity = capacity;
    }
    memcpy(spool->ram + spool->size_bytes, bytes, count);
    spool->size_bytes += count;
    mutex_unlock(&spool->mutex);
    free(old);
    return OK;
}

/* From memory to a file: everything so far is copied, the memory is freed. */
static enum err move_to_file(struct spool *spool, struct op *op) {
    enum err err = take_budget(spool, op, spool->size_bytes);
    if (err) {
        return err;
    }
    int fd = -1;
    err = open_file(spool, op, &fd);
    if (err) {
        return err;
    }
    err = write_file(op, fd, 0, spool->ram, (size_t)spool->size_bytes);
    if (err) {
        close(fd);
        return err;
    }
    mutex_lock(&spool->mutex);
    char *old = spool->ram;
    spool->fd = fd;
    spool->ram = NULL;
    spool->ram_capacity = 0;
    mutex_unlock(&spool->mutex);
    free(old);
    return OK;
}

enum err spool_write(struct spool *spool, struct op *op, const void *bytes, size_t count) {
    if (!count) {
        return OK;
    }
    if (spool->fd < 0 && count <= spool->ram_bytes && spool->size_bytes <= spool->ram_bytes - count) {
        return write_ram(spool, op, bytes, count);
    }
    if (!spool->dir) {
        return op_fail(op, REASON_TOO_LARGE, "the body is larger than %zu bytes", spool->ram_bytes);
    }
    if (spool->fd < 0) {
        enum err err = move_to_file(spool, op);
        if (err) {
            return err;
        }
    }
    enum err err = take_budget(spool, op, count);
    if (err) {
        return err;
    }
    err = write_file(op, spool->fd, spool->size_bytes, bytes, count);
    if (err) {
        return err;
    }
    mutex_lock(&spool->mutex);
    spool->size_bytes += count;
    mutex_unlock(&spool->mutex);
    return OK;
}

uint64_t spool_size_bytes(struct spool *spool) {
    mutex_lock(&spool->mutex);
    uint64_t size_bytes = spool->size_bytes;
    mutex_unlock(&spool->mutex);
    return size_bytes;
}

enum err spool_read(struct spool *spool, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                    size_t *ret_count) {
    mutex_lock(&spool->mutex);
    int fd = spool->fd;
    if (fd < 0) {
        size_t left = offset < spool->size_bytes ? (size_t)(spool->size_bytes - offset) : 0;
        size_t count = left < cap ? left : cap;
        if (count) {
            memcpy(ret_bytes, spool->ram + offset, count);
        }
        mutex_unlock(&spool->mutex);
        *ret_count = count;
        return OK;
    }
    mutex_unlock(&spool->mutex);
    for (;;) {
        ssize_t count = pread(fd, ret_bytes, cap, (off_t)offset);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return op_fail_errno(op, errno, "reading from the spool");
        }
        *ret_count = (size_t)count;
        return OK;
    }
}

const void *spool_ram(const struct spool *spool) {
    return spool->fd < 0 ? (const void *)(spool->ram ? spool->ram : "") : NULL;
}
