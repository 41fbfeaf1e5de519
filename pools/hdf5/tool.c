/* tool.c - see hdf5_tool.h: an operator's calls, each on a store that is opened and closed for it. */
#include "pools/hdf5_tool.h"

#include "pools/hdf5/store.h"
#include "pools/hdf5/vfd/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void hdf5_report_fini(struct hdf5_report *report) {
    upkeep_status_fini(&report->scrub);
}

/* ---- the journal ---- */
static enum err open_locked(struct op *op, const char *path, bool writable, int *ret_fd) {
    int fd =
        open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK); /* a pipe is not waited for */
    if (fd < 0) {
        return op_fail(op, REASON_POOL_FAILED, "%s",
                       errno == ENOENT   ? "there is no such file"
                       : errno == EISDIR ? "the path is a directory"
                                         : "this process may not open the file");
    }
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return op_fail(op, REASON_POOL_FAILED, "the path is not a regular file");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return op_fail(op, REASON_FILE_IN_USE, "another pool or program holds the file's lock");
    }
    *ret_fd = fd;
    return OK;
}

static void tell_journal(const struct recover_report *found, struct hdf5_journal *ret_journal) {
    *ret_journal = (struct hdf5_journal){.present = found->present,
                                         .belongs = found->belongs,
                                         .damaged = found->damaged,
                                         .lost = found->lost,
                                         .commits = found->commits,
                                         .bytes = found->bytes};
}

static enum err inspect(struct op *op, int fd, const char *path, struct hdf5_journal *ret_journal) {
    struct medium *medium = NULL;
    struct recover_report found = {0};
    enum err err = medium_open_posix(op, fd, path, false, &medium);
    if (!err) {
        err = recover_inspect(op, medium, &found);
        medium->ops->close(medium);
    }
    if (!err) {
        tell_journal(&found, ret_journal);
    }
    return err;
}

enum err hdf5_tool_inspect(struct op *op, const char *path, struct hdf5_journal *ret_journal) {
    int fd = -1;
    enum err err = open_locked(op, path, false, &fd);
    if (err) {
        return err;
    }
    err = inspect(op, fd, path, ret_journal);
    close(fd);
    return err;
}

/* The format's signature stands at byte 0, or behind a user block of 512 bytes, 1024, and so on. */
static enum err check_signature(struct op *op, int fd) {
    static const uint8_t signature[8] = "\x89HDF\r\n\x1a\n";
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return op_fail_errno(op, errno, "stat");
    }
    for (off_t at = 0; at < status.st_size; at = at ? 2 * at : 512) {
        uint8_t there[sizeof signature];
        if (pread(fd, there, sizeof there, at) == (ssize_t)sizeof there &&
            memcmp(there, signature, sizeof there) == 0) {
            return OK;
        }
    }
    return op_fail(op, REASON_POOL_FAILED,
                   status.st_size ? "the file is not an HDF5 file" : "the file is empty");
}

/* Only a journal of its own may make an HDF5 file of it: when it has just been created. */
static enum err replay(struct op *op, int fd, const char *path, unsigned allowed,
                       const struct hdf5_journal *journal) {
    bool makes_it_whole = journal->commits && journal->belongs;
    enum err err = makes_it_whole ? OK : check_signature(op, fd);
    struct medium *medium = NULL;
    struct recover_report done = {0};
    if (!err) {
        err = medium_open_posix(op, fd, path, true, &medium);
    }
    if (!err) {
        err = recover_run(op, medium, allowed, &done);
        medium->ops->close(medium);
    }
    return err ? err : check_signature(op, fd);
}

/* ---- a store for one call ---- */
static enum err open_store(struct op *op, const char *path, bool read_only, struct store **ret_store) {
    char whole[PATH_MAX];
    if (!realpath(path, whole)) {
        return op_fail(op, REASON_POOL_FAILED, "there is no such file");
    }
    struct store_options options = {.read_only = read_only};
    AUTO(store_close) struct store *store = NULL;
    enum err err = store_open(op, whole, &options, &store);
    if (!err) {
        err = store_await_all_loaded(store, op, NULL);
    }
    if (!err) {
        *ret_store = STEAL(store);
    }
    return err;
}

/* The file says that a journal belongs to it until it is closed. */
static enum err close_well(struct op *op, const char *path) {
    AUTO(store_close) struct store *store = NULL;
    return open_store(op, path, false, &store);
}

/* Begins it and waits for its end. */
static enum err do_upkeep(struct store *store, struct op *op, enum upkeep_kind kind,
                          struct upkeep_status *ret_status) {
    enum err err = store_upkeep(store, op, kind, UPKEEP_START);
    if (!err) {
        work_wait(&store->work[kind]);
        err = work_look(&store->work[kind], op, ret_status);
    }
    return err || ret_status->state != UPKEEP_ERROR ? err : op_adopt(op, &ret_status->fault);
}

/* ---- the calls ---- */
enum err hdf5_tool_recover(struct op *op, const char *path, bool adopt, bool accept_loss,
                           struct hdf5_journal *ret_journal) {
    int fd = -1;
    unsigned allowed = (adopt ? RECOVER_ADOPT : 0U) | (accept_loss ? RECOVER_ACCEPT_LOSS : 0U);
    enum err err = open_locked(op, path, true, &fd);
    if (err) {
        return err;
    }
    err = inspect(op, fd, path, ret_journal);
    if (!err) {
        err = replay(op, fd, path, allowed, ret_journal);
    }
    close(fd);
    return err || !ret_journal->present ? err : close_well(op, path);
}

static enum err check(struct op *op, const char *path, struct hdf5_report *report) {
    AUTO(store_close) struct store *store = NULL;
    struct stat status;
    enum err err = open_store(op, path, true, &store);
    if (!err && fstat(store->file->fd, &status) != 0) {
        err = op_fail_errno(op, errno, "stat");
    }
    if (!err) {
        report->file_bytes = (uint64_t)status.st_size;
        report->journal.missing = store->file->misses_journal;
        err = do_upkeep(store, op, UPKEEP_SCRUB, &report->scrub);
    }
    if (!err) {
        report->entries = atomic_load(&store->index.entries);
        report->live_bytes = atomic_load(&store->index.bytes);
        report->foreign = atomic_load(&store->foreign);
    }
    return err;
}

enum err hdf5_tool_check(struct op *op, const char *path, struct hdf5_report *ret_report) {
    *ret_report = (struct hdf5_report){0};
    enum err err = hdf5_tool_inspect(op, path, &ret_report->journal);
    return err ? err : check(op, path, ret_report);
}

enum err hdf5_tool_compact(struct op *op, const char *path, struct upkeep_status *ret_status) {
    AUTO(store_close) struct store *store = NULL;
    *ret_status = (struct upkeep_status){0};
    enum err err = open_store(op, path, false, &store);
    return err ? err : do_upkeep(store, op, UPKEEP_COMPACT, ret_status);
}

enum err hdf5_tool_export(struct op *op, const char *path, const char *out, uint64_t *ret_entries) {
    AUTO(store_close) struct store *store = NULL;
    enum err err = open_store(op, path, true, &store);
    struct store_request request = {.action = STORE_EXPORT, .path = out};
    if (!err) {
        err = store_submit(store, op, &request);
    }
    if (!err) {
        *ret_entries = atomic_load(&store->index.entries);
    }
    return err;
}
