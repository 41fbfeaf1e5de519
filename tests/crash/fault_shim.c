/* fault_shim.c - a disk that fails on command: loaded before a program's libraries (LD_PRELOAD), it stands in front of the calls that change files.
 *
 * LAILAD_FAULTS names a file of a page, mapped and shared with the test, which says what is to fail, and when, while the program runs
 * (struct control; tests/behaviour/faults.py writes it). Without it, or when it is not armed, every call goes through.
 *
 * The calls go to the kernel directly, so nothing of another library is asked, and it works in front of a sanitizer's own
 * (ASAN_OPTIONS=verify_asan_link_order=0). It is built without sanitizers for the same reason. Threads: any.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define CONTROL_BYTES 4096
#define PATTERN_BYTES 256
#define PATH_TEXT_BYTES 4096

enum call { CALL_WRITE = 1, CALL_SYNC = 2, CALL_ALLOCATE = 4, CALL_SET_SIZE = 8 };

/* faults.py knows these places. */
struct control {
    _Atomic uint32_t armed;
    _Atomic uint32_t calls;      /* enum call, any of them */
    _Atomic uint32_t pass;       /* so many of them go through first */
    _Atomic uint32_t count;      /* and so many fail then */
    _Atomic uint32_t error;      /* the errno; 0 = a write takes half of what it was given */
    _Atomic uint32_t failed;     /* how many did */
    char pattern[PATTERN_BYTES]; /* only of files in whose path this is; a '$' stands for its end */
};

static struct control *control;
static pthread_once_t control_once = PTHREAD_ONCE_INIT;

static void map_control(void) {
    const char *path = getenv("LAILAD_FAULTS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *page = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        control = page == MAP_FAILED ? NULL : page;
        close(fd);
    }
}

static bool path_matches(int fd) {
    char link[64];
    char path[PATH_TEXT_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, sizeof path - 2);
    if (bytes < 0) {
        return false;
    }
    memcpy(path + bytes, "$", 2);
    return strstr(path, control->pattern) != NULL;
}

/* One off, unless it is 0 already. */
static bool take_one(_Atomic uint32_t *number) {
    uint32_t old = atomic_load(number);
    while (old && !atomic_compare_exchange_weak(number, &old, old - 1)) {
    }
    return old != 0;
}

/* Whether this call is to fail, and how. */
static bool fails(enum call call, int fd, int *ret_error) {
    int saved = errno;
    pthread_once(&control_once, map_control);
    bool is_meant =
        control && atomic_load(&control->armed) && (atomic_load(&control->calls) & call) && path_matches(fd);
    errno = saved;
    if (!is_meant || take_one(&control->pass) || !take_one(&control->count)) {
        return false;
    }
    atomic_fetch_add(&control->failed, 1);
    *ret_error = (int)atomic_load(&control->error);
    return true;
}

static long fail_with(int error) {
    errno = error;
    return -1;
}

/* ---- writes ---- */

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    int error = 0;
    if (fails(CALL_WRITE, fd, &error)) {
        if (error) {
            return fail_with(error);
        }
        count = count > 1 ? count / 2 : count;
    }
    return syscall(SYS_pwrite64, fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return pwrite(fd, bytes, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    int error = 0;
    if (fails(CALL_WRITE, fd, &error)) {
        return error ? fail_with(error)
                     : syscall(SYS_pwrite64, fd, parts->iov_base,
                               parts->iov_len > 1 ? parts->iov_len / 2 : parts->iov_len, offset);
    }
    return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
    return pwritev(fd, parts, count, offset);
}

/* ---- syncs ---- */

int fsync(int fd) {
    int error = 0;
    return (int)(fails(CALL_SYNC, fd, &error) ? fail_with(error) : syscall(SYS_fsync, fd));
}

int fdatasync(int fd) {
    int error = 0;
    return (int)(fails(CALL_SYNC, fd, &error) ? fail_with(error) : syscall(SYS_fdatasync, fd));
}

/* ---- room ---- */

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
    int error = 0;
    return (int)(fails(CALL_ALLOCATE, fd, &error) ? fail_with(error)
                                                  : syscall(SYS_fallocate, fd, mode, offset, bytes));
}

int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
    return fallocate(fd, mode, offset, bytes);
}

int posix_fallocate(int fd, off_t offset, off_t bytes) {
    return fallocate(fd, 0, offset, bytes) == 0 ? 0 : errno;
}

int posix_fallocate64(int fd, off64_t offset, off64_t bytes) {
    return posix_fallocate(fd, offset, bytes);
}

int ftruncate(int fd, off_t bytes) {
    int error = 0;
    return (int)(fails(CALL_SET_SIZE, fd, &error) ? fail_with(error) : syscall(SYS_ftruncate, fd, bytes));
}

int ftruncate64(int fd, off64_t bytes) {
    return ftruncate(fd, bytes);
}
