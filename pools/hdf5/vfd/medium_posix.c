/* medium_posix.c - the real medium: the caller's descriptor of the HDF5 file, and the journal beside it. See medium.h.
 *
 * The journal's name is the file's with `-journal` behind it. It is locked as long as it is open, so that two programs never append to
 * one journal, whatever became of the lock on the file itself.
 *
 * Threads: reads of the file come from any thread (pread); everything else from the shadow's owner.
 */
#include "pools/hdf5/vfd/medium.h"

#include "pools/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REJECTED_SUFFIX ".rejected"
#define MOST_REJECTED 100

struct posix_medium {
    struct medium base;
    int main_fd; /* the caller's */
    int journal_fd;
    mode_t mode; /* who may read the file may read its journal */
    char *journal_path;
};

static struct posix_medium *posix_of(struct medium *medium) {
    return CONTAINER_OF(medium, struct posix_medium, base);
}

static int fd_of(struct medium *medium, enum medium_file file) {
    struct posix_medium *posix = posix_of(medium);
    return file == MEDIUM_MAIN ? posix->main_fd : posix->journal_fd;
}

static int posix_read(struct medium *medium, enum medium_file file, uint64_t offset, void *ret_bytes,
                      size_t count, size_t *ret_count) {
    int fd = fd_of(medium, file);
    char *at = ret_bytes;
    size_t left = count;
    while (left) {
        ssize_t got = pread(fd, at, left, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno;
        }
        if (got == 0) {
            break;
        }
        at += got;
        offset += (uint64_t)got;
        left -= (size_t)got;
    }
    *ret_count = count - left;
    return 0;
}

static int posix_write(struct medium *medium, enum medium_file file, uint64_t offset, const void *bytes,
                       size_t count) {
    int fd = fd_of(medium, file);
    const char *at = bytes;
    while (count) {
        ssize_t written = pwrite(fd, at, count, (off_t)offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : EIO;
        }
        at += written;
        offset += (uint64_t)written;
        count -= (size_t)written;
    }
    return 0;
}

static int posix_sync(struct medium *medium, enum medium_file file) {
    int fd = fd_of(medium, file);
    while (fdatasync(fd) != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static int posix_size(struct medium *medium, enum medium_file file, uint64_t *ret_bytes) {
    struct stat status;
    if (fstat(fd_of(medium, file), &status) != 0) {
        return errno;
    }
    *ret_bytes = (uint64_t)status.st_size;
    return 0;
}

static int posix_set_size(struct medium *medium, enum medium_file file, uint64_t bytes) {
    int fd = fd_of(medium, file);
    while (ftruncate(fd, (off_t)bytes) != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

static int posix_set_mtime(struct medium *medium, int64_t seconds) {
    int fd = fd_of(medium, MEDIUM_MAIN);
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = seconds}};
    if (futimens(fd, times) != 0) {
        return errno;
    }
    while (fsync(fd) != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

int medium_sync_directory(const char *path) {
    char *directory = strdup(path);
    if (!directory) {
        return ENOMEM;
    }
    char *slash = strrchr(directory, '/');
    if (slash) {
        slash[slash == directory ? 1 : 0] = '\0';
    }
    int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) {
        close(fd);
    }
    free(directory);
    return result;
}

static int posix_open_journal(struct medium *medium, bool create) {
    struct posix_medium *posix = posix_of(medium);
    if (posix->journal_fd >= 0) {
        return 0;
    }
    /* Not waiting: a pipe of that name would never be opened from its other end. */
    int flags =
        (medium->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (create ? O_CREAT : 0);
    int fd = open(posix->journal_path, flags, posix->mode);
    if (fd < 0) {
        return errno;
    }
    struct stat status;
    int result = fstat(fd, &status) != 0 ? errno : S_ISREG(status.st_mode) ? 0 : EINVAL;
    if (!result) {
        result = flock(fd, LOCK_EX | LOCK_NB) != 0 ? errno : 0;
    }
    if (!result && create) {
        result = medium_sync_directory(posix->journal_path);
    }
    if (result) {
        close(fd);
        return result;
    }
    posix->journal_fd = fd;
    return 0;
}

/* A second name for it, which nobody has yet. */
static int keep_journal(const struct posix_medium *posix) {
    size_t bytes = strlen(posix->journal_path) + sizeof REJECTED_SUFFIX + 8;
    char *kept = malloc(bytes);
    int result = kept ? EEXIST : ENOMEM;
    for (int i = 0; i < MOST_REJECTED && result == EEXIST; i++) {
        char number[8] = "";
        if (i) {
            snprintf(number, sizeof number, ".%d", i);
        }
        snprintf(kept, bytes, "%s" REJECTED_SUFFIX "%s", posix->journal_path, number);
        result = link(posix->journal_path, kept) == 0 ? 0 : errno;
    }
    free(kept);
    return result;
}

static int posix_remove_journal(struct medium *medium) {
    struct posix_medium *posix = posix_of(medium);
    if (posix->journal_fd >= 0) {
        close(posix->journal_fd);
        posix->journal_fd = -1;
    }
    if (unlink(posix->journal_path) != 0 && errno != ENOENT) {
        return errno;
    }
    return medium_sync_directory(posix->journal_path);
}

static int posix_set_journal_aside(struct medium *medium) {
    int result = keep_journal(posix_of(medium));
    return result ? result : posix_remove_journal(medium);
}

static void posix_close(struct medium *medium) {
    struct posix_medium *posix = posix_of(medium);
    if (posix->journal_fd >= 0) {
        close(posix->journal_fd);
    }
    free(posix->journal_path);
    free(posix);
}

static const struct medium_ops posix_ops = {
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .size = posix_size,
    .set_size = posix_set_size,
    .set_mtime = posix_set_mtime,
    .open_journal = posix_open_journal,
    .remove_journal = posix_remove_journal,
    .set_journal_aside = posix_set_journal_aside,
    .close = posix_close,
};

static struct posix_medium *posix_new(int fd, const char *path, bool writable) {
    struct posix_medium *posix = calloc(1, sizeof *posix);
    if (!posix) {
        return NULL;
    }
    size_t bytes = strlen(path) + sizeof MEDIUM_JOURNAL_SUFFIX;
    posix->journal_path = malloc(bytes);
    if (!posix->journal_path) {
        free(posix);
        return NULL;
    }
    snprintf(posix->journal_path, bytes, "%s" MEDIUM_JOURNAL_SUFFIX, path);
    posix->base.ops = &posix_ops;
    posix->base.writable = writable;
    posix->main_fd = fd;
    posix->journal_fd = -1;
    return posix;
}

enum err medium_open_posix(struct op *op, int fd, const char *path, bool writable,
                           struct medium **ret_medium) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return op_fail_errno(op, errno, "looking at the HDF5 file");
    }
    struct posix_medium *posix = posix_new(fd, path, writable);
    if (!posix) {
        return op_no_memory(op);
    }
    posix->base.main_identity = (uint64_t)status.st_ino;
    posix->mode = status.st_mode & 0666;
    int result = posix_open_journal(&posix->base, false);
    if (result && result != ENOENT) {
        posix_close(&posix->base);
        return result == EWOULDBLOCK
                   ? op_fail(op, REASON_FILE_IN_USE, "another program holds the lock of the file's journal")
                   : op_fail_errno(op, result, "opening the file's journal");
    }
    *ret_medium = &posix->base;
    return OK;
}
