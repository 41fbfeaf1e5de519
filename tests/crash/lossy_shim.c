/* lossy_shim.c - writes down all that a program does to the files of a folder, so that a power cut at any moment of it can be made up.
 *
 * Loaded before a program's libraries (LD_PRELOAD). LAILAD_LOSSY_FOLDER is the folder, flat; LAILAD_LOSSY_LOG a file that gets the records
 * (struct record and its bytes; power_cut.py knows them); LAILAD_LOSSY_KEEP a folder on the same file system, where each file gets a second name, its
 * inode's number, so that what the folder showed once can be put there again with the same inode.
 *
 * One mutex is held over each call and its record, so the records are in the order in which things happened. A change is written down before
 * it is made, a sync after it was. What is written to standard output is a record, too: what the program told the world by then.
 * A directory is written down whole: after each call that changes it, with the first change of a file that is new, and when it is synced.
 *
 * LAILAD_LOSSY_UNSYNCED: syncs of files whose path ends in this are not written down, as if the program had forgotten them.
 *
 * The calls go to the kernel directly, as those of fault_shim.c do, for the same reasons. Threads: any.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_FILES 4096
#define PATH_BYTES 1024

enum kind { WRITE = 1, SET_SIZE, SYNC, DIRECTORY, SYNC_DIRECTORY, TOLD };

struct record {
    uint64_t kind, inode, offset, count; /* count bytes follow; SET_SIZE: offset is the size */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static const char *folder, *keep, *unsynced;
static uint64_t known[MOST_FILES];
static size_t known_count;

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("LAILAD_LOSSY_LOG");
    folder = getenv("LAILAD_LOSSY_FOLDER");
    keep = getenv("LAILAD_LOSSY_KEEP");
    unsynced = getenv("LAILAD_LOSSY_UNSYNCED");
    if (log && folder && keep) {
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
}

/* ---- records ---- */

static void record(enum kind kind, uint64_t inode, uint64_t offset, const void *bytes, size_t count) {
    struct record head = {kind, inode, offset, count};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)(uintptr_t)bytes, count}};
    if (syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof head + count)) {
        _exit(5);
    }
}

/* The file has a second name from now on. */
static bool is_new(uint64_t inode, const char *path) {
    for (size_t i = 0; i < known_count; i++) {
        if (known[i] == inode) {
            return false;
        }
    }
    char kept[PATH_BYTES];
    snprintf(kept, sizeof kept, "%s/%llu", keep, (unsigned long long)inode);
    if (known_count == MOST_FILES ||
        (syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, kept, 0) && errno != EEXIST)) {
        _exit(6);
    }
    known[known_count++] = inode;
    return true;
}

/* "inode name\n" for each file. */
static void record_directory(enum kind kind) {
    char listing[PATH_BYTES * 4];
    size_t length = 0;
    DIR *directory = opendir(folder);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)) != NULL) {
        char path[PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_REG && length < sizeof listing) {
            (void)is_new(entry->d_ino, path);
            length += (size_t)snprintf(listing + length, sizeof listing - length, "%llu %s\n",
                                       (unsigned long long)entry->d_ino, entry->d_name);
        }
    }
    if (!directory || length >= sizeof listing) {
        _exit(7);
    }
    closedir(directory);
    record(kind, 0, 0, listing, length);
}

/* ---- whose call it is ---- */

static bool is_below(const char *path) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* 0 = none of the folder's; *ret_path is its name, or the one it had. */
static uint64_t inode_of(int fd, char ret_path[PATH_BYTES]) {
    char link[64];
    struct stat status;
    if (log_fd < 0) {
        return 0;
    }
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, ret_path, PATH_BYTES - 1);
    ret_path[bytes > 0 ? bytes : 0] = '\0';
    bool ours = bytes > 0 && is_below(ret_path) && fstat(fd, &status) == 0;
    errno = saved;
    return ours ? status.st_ino : 0;
}

/* Before a change of the file. */
static void record_change(int fd, enum kind kind, uint64_t offset, const void *bytes, size_t count) {
    char path[PATH_BYTES];
    uint64_t inode = inode_of(fd, path);
    int saved = errno;
    if (inode && is_new(inode, path)) {
        record_directory(DIRECTORY);
    }
    if (inode) {
        record(kind, inode, offset, bytes, count);
    }
    errno = saved;
}

static bool ends_in(const char *path, const char *end) {
    size_t length = strlen(path);
    size_t tail = strlen(end);
    return tail <= length && strcmp(path + length - tail, end) == 0;
}

/* ---- files ---- */

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    pthread_mutex_lock(&mutex);
    record_change(fd, WRITE, (uint64_t)offset, bytes, count);
    ssize_t written = syscall(SYS_pwrite64, fd, bytes, count, offset);
    pthread_mutex_unlock(&mutex);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return pwrite(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (log_fd < 0 || fd != STDOUT_FILENO) {
        return syscall(SYS_write, fd, bytes, count);
    }
    pthread_mutex_lock(&mutex);
    record(TOLD, 0, 0, bytes, count);
    ssize_t written = syscall(SYS_write, fd, bytes, count);
    pthread_mutex_unlock(&mutex);
    return written;
}

int ftruncate(int fd, off_t size) {
    pthread_mutex_lock(&mutex);
    record_change(fd, SET_SIZE, (uint64_t)size, NULL, 0);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_unlock(&mutex);
    return result;
}

int ftruncate64(int fd, off64_t size) {
    return ftruncate(fd, size);
}

static int sync_with(long call, int fd) {
    char path[PATH_BYTES] = "";
    pthread_mutex_lock(&mutex);
    int result = (int)syscall(call, fd);
    uint64_t inode = result == 0 ? inode_of(fd, path) : 0;
    bool counts = inode && !(unsynced && ends_in(path, unsynced));
    if (counts && strcmp(path, folder) == 0) {
        record_directory(SYNC_DIRECTORY);
    } else if (counts) {
        record(SYNC, inode, 0, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}

int fsync(int fd) {
    return sync_with(SYS_fsync, fd);
}

int fdatasync(int fd) {
    return sync_with(SYS_fdatasync, fd);
}

/* ---- names ---- */

static int change_names(long call, const char *path, const char *to) {
    pthread_mutex_lock(&mutex);
    bool ours = log_fd >= 0 && is_below(path);
    int result = (int)syscall(call, path, to);
    int saved = errno;
    if (ours && result == 0) {
        record_directory(DIRECTORY);
    }
    errno = saved;
    pthread_mutex_unlock(&mutex);
    return result;
}

int rename(const char *from, const char *to) {
    return change_names(SYS_rename, from, to);
}

int link(const char *from, const char *to) {
    return change_names(SYS_link, from, to);
}

int unlink(const char *path) {
    return change_names(SYS_unlink, path, NULL);
}
