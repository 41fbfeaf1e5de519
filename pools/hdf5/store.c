/* store.c - the life of an open pool's inside, and how others put requests to its thread. See store.h. */
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Small files are loaded before open returns; large ones go on behind it. */
#define OPEN_WAIT_NS (50 * NS_PER_MS)
/* How soon a work that waits for that notices that it was cancelled. */
#define LOADED_LOOK_NS (100 * NS_PER_MS)

static uint64_t run_idle(void *context) {
    struct store *store = context;
    struct op op;
    op_init(&op, 0, 0);
    uint64_t now_ns = clock_now_ns();
    store_checkpoint_if_due(store);
    if (store->copies_due_ns > now_ns && !atomic_load(&store->poisoned)) {
        return store_load_slice(store) ? 0 : store->copies_due_ns - now_ns;
    }
    if ((store_let_go(store) || store->dirty) && !atomic_load(&store->poisoned)) {
        (void)store_settle(
            store, &op); /* a failure has been taken back, or poisoned the store, and is told from there */
        return 0;
    }
    if (store_load_slice(store)) {
        return 0;
    }
    uint64_t slice_ns = store_compact_slice(store, true);
    if (slice_ns != COMMIT_NO_WORK) {
        return slice_ns;
    }
    uint64_t rest_ns = store_rest(store, now_ns);
    uint64_t compact_ns = store_compact_if_due(store, now_ns);
    return rest_ns < compact_ns ? rest_ns : compact_ns;
}

static void run_between(void *context) {
    (void)store_compact_slice(context, false);
}

/* The mark says that only we wrote, when that is so, or when every digest has been compared since. */
static void mark_closed(struct store *store) {
    struct op op;
    op_init(&op, 0, 0);
    struct h5_file *file = store->file;
    bool unchanged = file->alone && file->mark > 0;
    if (!file->writable || file->convertible || atomic_load(&store->poisoned) || !file->marked) {
        return;
    }
    if (unchanged) {
        h5_file_set_closing_mtime(file, file->mark); /* the library may have touched the file for nothing */
        return;
    }
    bool verified = file->alone || index_all_verified(&store->index);
    int64_t now_s = clock_wall_ms() / 1000;
    if (verified && h5_file_set_mark(file, &op, now_s) == OK) {
        h5_file_set_closing_mtime(file, now_s);
        enum err err = h5_file_commit(file, &op);
        if (err) { /* it is tried once more when the file is closed */
            log_line(LOG_WARNING, "hdf5", "the end of a file could not be noted: %s", op.fault.detail);
        }
    }
}

static void close_everything(void *context) {
    struct store *store = context;
    struct op op;
    op_init(&op, 0, 0);
    store_compact_stop(store, NULL);
    (void)store_settle(store, &op);
    store_let_all_go(store);
    mark_closed(store);
    h5_close(store->link_list);
}

static const struct commit_ops commit_ops = {
    .begin = store_scan,
    .run_batch = store_run_batch,
    .run_urgent = store_run_urgent,
    .run_between = run_between,
    .run_idle = run_idle,
    .end = close_everything,
};

static enum err make_link_list(struct store *store, struct op *op) {
    store->link_list = H5Pcreate(H5P_LINK_CREATE);
    if (store->link_list < 0 || H5Pset_char_encoding(store->link_list, H5T_CSET_UTF8) < 0) {
        return h5_fail(op, "prepare");
    }
    return OK;
}

/* A file that only a copy of can be written is copied at the first write, unless it is too large for that. */
static enum err settle_writable(struct store *store, struct op *op, bool read_only) {
    const struct h5_file *file = store->file;
    uint64_t bytes = 0;
    enum err err = h5_file_size(store->file, op, &bytes);
    if (err) {
        return err;
    }
    bool too_large = file->convertible && bytes > STORE_CONVERT_MOST_BYTES;
    atomic_store(&store->copyable, file->writable);
    atomic_store(&store->writable, file->writable && !too_large);
    snprintf(store->reason, sizeof store->reason, "%.250s%s",
             read_only ? "the pool is configured read_only: set it to false to write" : file->reason,
             too_large ? "; compact the pool to convert it" : "");
    return OK;
}

enum err store_open(struct op *op, const char *path, const struct store_options *options,
                    struct store **ret_store) {
    AUTO(store_close) struct store *store = calloc(1, sizeof *store);
    if (!store) {
        return op_no_memory(op);
    }
    store->link_list = H5I_INVALID_HID;
    store->abandoned = true; /* until it is open */
    store->limits = options->limits;
    mutex_init(&store->mutex, RANK_KIND_INNER);
    cond_init(&store->loading);
    index_init(&store->index, options->limits.hot_max_bytes);
    commit_init(&store->commit, &commit_ops, store);
    for (size_t kind = 0; kind < UPKEEP_KINDS; kind++) {
        work_init(&store->work[kind]);
    }
    SLIST_INIT(&store->released);
    SLIST_INIT(&store->undo);
    LIST_INIT(&store->reservations);
    body_run_init(&store->run);
    STAILQ_INIT(&store->new_held);
    STAILQ_INIT(&store->held);
    store->path = strdup(path);
    if (!store->path) {
        return op_no_memory(op);
    }
    struct h5_file_options file_options = {.read_only = options->read_only, .create = true};
    enum err err = h5_file_open(op, path, &file_options, &store->file);
    if (!err) {
        err = make_link_list(store, op);
    }
    if (err) {
        return err;
    }
    store->ours = store->file->marked;
    index_set_file(&store->index, store->file);
    if (store->file->writable) {
        store_drop_leftover(store);
    }
    err = settle_writable(store, op, options->read_only);
    if (err) {
        return err;
    }
    err = commit_start(&store->commit, op);
    if (err) {
        return err;
    }
    struct op wait;
    op_init(&wait, 0, 0);
    (void)store_await_loaded(store, &wait, OPEN_WAIT_NS); /* if not, it goes on behind */
    store->abandoned = false;
    *ret_store = STEAL(store);
    return OK;
}

void store_abandon(struct store *store) {
    store->abandoned = true;
}

void store_close(struct store *store) {
    if (!store) {
        return;
    }
    store_end_upkeep(store);
    if (store->commit.started) {
        commit_stop(&store->commit);
    } else {
        h5_close(store->link_list);
    }
    commit_fini(&store->commit);
    store_forget_undo(store);
    body_run_fini(&store->run);
    index_fini(&store->index);
    if (store->file && store->abandoned) {
        h5_file_abandon(store->file, store->path);
    }
    h5_file_unref(store->file);
    for (size_t kind = 0; kind < UPKEEP_KINDS; kind++) {
        work_fini(&store->work[kind]);
    }
    cond_fini(&store->loading);
    mutex_fini(&store->mutex);
    free(store->window);
    free(store->path);
    free(store);
}

void store_reason(struct store *store, char ret_reason[OP_DETAIL_BYTES]) {
    mutex_lock(&store->mutex);
    memcpy(ret_reason, store->reason, OP_DETAIL_BYTES);
    mutex_unlock(&store->mutex);
}

void store_poison(struct store *store, const char *sentence) {
    mutex_lock(&store->mutex);
    if (!atomic_load(&store->poisoned)) {
        snprintf(store->reason, sizeof store->reason, "%s", sentence);
        atomic_store(&store->poisoned, true);
    }
    cond_broadcast(&store->loading);
    mutex_unlock(&store->mutex);
}

void store_poison_with_file(struct store *store, const struct op *op) {
    char sentence[OP_DETAIL_BYTES];
    const char *after = "; the file has to be opened again";
    snprintf(sentence, sizeof sentence, "%.*s%s", (int)(sizeof sentence - strlen(after) - 1),
             op->fault.detail, after);
    store_poison(store, sentence);
}

/* Nothing but a new start mends it: no use in asking every second. */
#define POISONED_RETRY_AFTER_S 60

static enum err fail_poisoned(struct store *store, struct op *op, const char *before) {
    char reason[OP_DETAIL_BYTES];
    store_reason(store, reason);
    op_record(op, REASON_POOL_POISONED, "%s%s", before, reason);
    op->fault.retry_after_s = POISONED_RETRY_AFTER_S;
    return reason_kind(REASON_POOL_POISONED);
}

enum err store_fail_poisoned(struct store *store, struct op *op) {
    return fail_poisoned(store, op, "");
}

bool store_is_unreadable(const struct store *store) {
    return atomic_load(&store->poisoned) && !atomic_load(&store->names_complete);
}

enum err store_check_writable(struct store *store, struct op *op) {
    if (atomic_load(&store->poisoned)) {
        return fail_poisoned(store, op, "the pool takes no writes: ");
    }
    if (!atomic_load(&store->writable)) {
        char reason[OP_DETAIL_BYTES];
        store_reason(store, reason);
        return op_fail(op, REASON_POOL_READ_ONLY, "%s", reason);
    }
    return OK;
}

enum err store_submit(struct store *store, struct op *op, struct store_request *request) {
    return commit_submit(&store->commit, op, &request->request);
}

enum err store_get(struct store *store, struct op *op, const struct id *id, struct version **ret_version) {
    bool complete = atomic_load(&store->names_complete); /* before the look: a miss is then a miss */
    if (store_is_unreadable(store)) {
        return store_fail_poisoned(store, op);
    }
    struct sight sight;
    index_look(&store->index, id, &sight);
    struct version *version = sight.version;
    if (!version && sight.is_resolved) {
        version = store_make_version(store, id);
    }
    if (!version && (sight.is_there || !complete)) {
        struct store_request request = {.request = {.urgent = true}, .action = STORE_LOOKUP, .id = id};
        enum err err = store_submit(store, op, &request);
        if (err) {
            return err;
        }
        version = request.version;
    }
    if (!version) {
        return op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool does not have the entry");
    }
    *ret_version = version;
    return OK;
}

void store_release_version(struct store *store, struct version *take_version) {
    if (version_unref(take_version)) {
        commit_poke(&store->commit);
    }
}

void store_release_reservation(struct store *store, struct reservation *take_reservation) {
    if (!take_reservation) {
        return;
    }
    mutex_lock(&store->mutex);
    SLIST_INSERT_HEAD(&store->released, take_reservation, in_released);
    mutex_unlock(&store->mutex);
    commit_poke(&store->commit);
}

static bool ids_known(struct store *store) {
    return atomic_load(&store->loaded) || (store->ours && atomic_load(&store->names_complete));
}

static bool all_known(struct store *store) {
    return atomic_load(&store->loaded);
}

static enum err await(struct store *store, struct op *op, uint64_t most_ns,
                      bool (*known)(struct store *store)) {
    uint64_t until_ns = clock_now_ns() + op_left_ns(op, most_ns);
    mutex_lock(&store->mutex);
    bool in_time = true;
    while (!known(store) && !atomic_load(&store->poisoned) && in_time) {
        in_time = cond_wait_until(&store->loading, &store->mutex, until_ns);
    }
    mutex_unlock(&store->mutex);
    if (known(store)) {
        return OK;
    }
    if (atomic_load(&store->poisoned)) {
        return store_fail_poisoned(store, op);
    }
    op_fail(op, REASON_LOADING, "the index of the file is still loading");
    op->fault.retry_after_s = 1;
    return ERR_BUSY;
}

enum err store_await_ids(struct store *store, struct op *op, uint64_t most_ns) {
    return ids_known(store) ? OK : await(store, op, most_ns, ids_known);
}

enum err store_await_loaded(struct store *store, struct op *op, uint64_t most_ns) {
    return all_known(store) ? OK : await(store, op, most_ns, all_known);
}

enum err store_await_all_loaded(struct store *store, struct op *op, struct work *work) {
    enum err err = store_await_loaded(store, op, LOADED_LOOK_NS);
    while (err && op->fault.reason == REASON_LOADING) {
        if (work && !work_goes_on(work, 0)) {
            return op_fail(op, REASON_CANCELLED, "it was cancelled while the file was loaded");
        }
        err = store_await_loaded(store, op, LOADED_LOOK_NS);
    }
    return err;
}
