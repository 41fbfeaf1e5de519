/* compact_work.c - when the file is copied: on request, when much of it is unused, before a first write that needs it. Runs on
 * the store's thread but for store_compact_begin. See compact.h and work.h.
 *
 * A compaction goes on in slices: longer ones while nobody waits, a short one after each batch, so that it ends under any
 * traffic. Uploads that have their place in the old file already are waited for; those that take longer than
 * UPLOADS_WAIT_NS are told to send the entry again.
 */
#include "pools/hdf5/compact.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SLICE_NS (5 * NS_PER_MS)
#define BETWEEN_SLICE_NS (2 * NS_PER_MS)
#define UPLOADS_WAIT_NS (30 * NS_PER_S)
#define UPLOADS_LOOK_NS (50 * NS_PER_MS)
/* By itself: not while somebody writes, and not soon again after a failure. */
#define QUIET_NS (5 * NS_PER_S)
#define AGAIN_NS (600 * NS_PER_S)
/* What an entry takes in the file beside its body. */
#define ENTRY_BYTES UINT64_C(512)
#define FILE_BYTES (UINT64_C(4) << 20)

static bool copy_path(const struct store *store, char ret_path[PATH_MAX]) {
    const char *name = strrchr(store->path, '/') + 1; /* paths of stores are absolute */
    int length = snprintf(ret_path, PATH_MAX, "%.*s.%s" STORE_COMPACT_SUFFIX, (int)(name - store->path),
                          store->path, name);
    return length > 0 && length < PATH_MAX;
}

/* About what a copy of the file takes. */
static uint64_t live_bytes(const struct store *store) {
    return atomic_load(&store->index.bytes) + atomic_load(&store->index.entries) * ENTRY_BYTES + FILE_BYTES;
}

/* ---- at the beginning ---- */
static enum err check_room(const struct store *store, struct op *op) {
    struct statvfs disk;
    if (statvfs(store->path, &disk) != 0) {
        return op_fail_errno(op, errno, "looking for room on the disk");
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return free_bytes < live_bytes(store)
               ? op_fail(op, REASON_NO_SPACE, "the disk has no room for a copy of the file")
               : OK;
}

enum err store_compact_begin(struct store *store, struct op *op) {
    enum err err = OK;
    if (atomic_load(&store->poisoned)) {
        err = store_fail_poisoned(store, op);
    } else if (!atomic_load(&store->copyable)) {
        char reason[OP_DETAIL_BYTES];
        store_reason(store, reason);
        err = op_fail(op, REASON_POOL_READ_ONLY, "%s", reason);
    } else {
        err = check_room(store, op);
    }
    if (err) {
        work_end(&store->work[UPKEEP_COMPACT], &op->fault);
    } else {
        atomic_store(&store->compact_wanted, true);
        commit_poke(&store->commit);
    }
    return err;
}

static enum err open_copy(struct store *store, struct op *op) {
    char path[PATH_MAX];
    return copy_path(store, path) ? compaction_open(op, store, path, true, &store->compaction)
                                  : op_fail_errno(op, ENAMETOOLONG, "copying the file");
}

static enum err begin(struct store *store, struct op *op) {
    struct work *work = &store->work[UPKEEP_COMPACT];
    uint64_t bytes = 0;
    enum err err = h5_file_size(store->file, op, &bytes);
    work_set_totals(work, atomic_load(&store->index.entries), atomic_load(&store->index.bytes));
    work_set_file_bytes(work, bytes, 0);
    return err ? err : open_copy(store, op);
}

/* ---- the end ---- */
/* fault NULL = it is done, or was cancelled. */
static void end(struct store *store, const struct fault *fault) {
    atomic_store(&store->compact_wanted, false);
    compaction_free(STEAL(store->compaction));
    if (fault) {
        log_line(LOG_WARNING, "hdf5", "a file could not be compacted: %s", fault->detail);
        store->compact_again_ns = clock_now_ns() + AGAIN_NS;
    }
    work_end(&store->work[UPKEEP_COMPACT], fault);
}

static enum err finish(struct store *store, struct op *op) {
    struct upkeep_status *status = &store->work[UPKEEP_COMPACT].status;
    uint64_t before = status->bytes_before; /* only this thread sets it while the work is under way */
    uint64_t after = 0;
    enum err err = compaction_switch(store->compaction, op, store->file->convertible);
    if (!err) {
        err = h5_file_size(store->file, op, &after);
    }
    if (!err) {
        work_set_file_bytes(&store->work[UPKEEP_COMPACT], before, after);
        store->compacted_bytes = after;
    }
    return err;
}

/* In how many ns it may be looked at again; 0 = now is the time to switch. */
static uint64_t wait_for_uploads(struct store *store) {
    struct compaction *compaction = store->compaction;
    uint64_t now_ns = clock_now_ns();
    if (!compaction->wait_until_ns) {
        compaction->wait_until_ns = now_ns + UPLOADS_WAIT_NS;
    }
    return LIST_EMPTY(&store->reservations) || now_ns >= compaction->wait_until_ns ? 0 : UPLOADS_LOOK_NS;
}

void store_note_change(struct store *store, const struct record *record) {
    if (store->compaction) {
        compaction_note(store->compaction, record);
    }
}

/* ---- slices ---- */
static uint64_t slice(struct store *store, struct op *op, uint64_t slice_ns, enum err *ret_err) {
    bool whole = false;
    enum err err = store->compaction ? OK : begin(store, op);
    if (!err) {
        err = compaction_step(store->compaction, op, clock_now_ns() + slice_ns, &whole);
    }
    uint64_t wait_ns = !err && whole ? wait_for_uploads(store) : 0;
    if (!err && whole && !wait_ns && work_begin_end(&store->work[UPKEEP_COMPACT])) {
        err = finish(store, op);
        if (!err) {
            end(store, NULL);
        }
    }
    *ret_err = err;
    return wait_ns;
}

uint64_t store_compact_slice(struct store *store, bool idle) {
    if (!atomic_load(&store->compact_wanted)) {
        return COMMIT_NO_WORK;
    }
    struct op op;
    op_init(&op, 0, 0);
    enum work_wish wish = work_wish(&store->work[UPKEEP_COMPACT]);
    if (wish == WORK_STOP) {
        end(store, NULL);
        return 0;
    }
    if (atomic_load(&store->poisoned)) {
        (void)store_fail_poisoned(store, &op);
        end(store, &op.fault);
        return 0;
    }
    if (wish == WORK_HOLD || !atomic_load(&store->loaded)) {
        return COMMIT_NO_WORK; /* resuming pokes; what is loaded comes by here again */
    }
    enum err err = OK;
    uint64_t wait_ns = slice(store, &op, idle ? SLICE_NS : BETWEEN_SLICE_NS, &err);
    if (err) {
        end(store, &op.fault);
    }
    return wait_ns;
}

void store_compact_stop(struct store *store, const struct fault *why) {
    if (atomic_load(&store->compact_wanted)) {
        end(store, why);
    }
}

/* It may be in the middle of its switch. */
void store_compact_spoil(struct store *store, const struct fault *why) {
    if (store->compaction) {
        store->compaction->spoiled = *why;
    }
}

/* ---- by itself ---- */
uint64_t store_compact_if_due(struct store *store, uint64_t now_ns) {
    const struct store_limits *limits = &store->limits;
    uint64_t bytes = 0;
    struct op op;
    op_init(&op, 0, 1); /* waits for nobody */
    bool able = limits->compact_ratio > 1 && atomic_load(&store->loaded) && atomic_load(&store->writable) &&
                !atomic_load(&store->poisoned) && !store->file->convertible &&
                !atomic_load(&store->foreign) && LIST_EMPTY(&store->reservations);
    if (!able || !store->changed_ns || h5_file_size(store->file, &op, &bytes) ||
        bytes < limits->compact_min_bytes) {
        return COMMIT_NO_WORK;
    }
    uint64_t live = live_bytes(store);
    uint64_t least = live > store->compacted_bytes ? live : store->compacted_bytes;
    if (bytes / limits->compact_ratio < least) {
        return COMMIT_NO_WORK;
    }
    uint64_t due_ns = store->changed_ns + QUIET_NS;
    due_ns = due_ns > store->compact_again_ns ? due_ns : store->compact_again_ns;
    if (now_ns < due_ns) {
        return due_ns - now_ns;
    }
    bool start = false;
    enum err err = work_steer(&store->work[UPKEEP_COMPACT], &op, UPKEEP_START, &start);
    if (!err && start && store_compact_begin(store, &op)) {
        store->compact_again_ns = now_ns + AGAIN_NS;
    }
    return 0;
}

/* ---- before a first write ---- */
/* A background compaction of the same file is brought to its end. */
static enum err convert(struct store *store, struct op *op) {
    store_load_all(store);
    bool whole = false;
    enum err err = store->compaction ? OK : open_copy(store, op);
    if (!err) {
        err = compaction_step(store->compaction, op, 0, &whole);
    }
    return err ? err : compaction_switch(store->compaction, op, true);
}

enum err store_convert(struct store *store, struct op *op) {
    if (clock_now_ns() < store->convert_again_ns) {
        return op_adopt(op, &store->convert_fault);
    }
    enum err err = convert(store, op);
    if (err) {
        store->convert_fault = op->fault;
        store->convert_again_ns = clock_now_ns() + STORE_CONVERT_PAUSE_NS;
    }
    if (atomic_load(&store->compact_wanted)) {
        end(store, err ? &op->fault : NULL);
    } else {
        compaction_free(STEAL(store->compaction));
    }
    return err;
}

/* ---- for others ---- */
enum err store_export(struct store *store, struct op *op, const char *path) {
    store_load_all(store);
    AUTO(compaction_free) struct compaction *compaction = NULL;
    bool whole = false;
    enum err err = compaction_open(op, store, path, false, &compaction);
    if (!err) {
        err = compaction_step(compaction, op, 0, &whole);
    }
    return err ? err : compaction_keep(compaction, op);
}

void store_drop_leftover(const struct store *store) {
    char path[PATH_MAX];
    int fd = copy_path(store, path) ? open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        (void)unlink(path); /* it only takes room */
    }
    close(fd);
}
