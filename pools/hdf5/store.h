/* store.h - one open HDF5 pool inside: the file, its index, its thread, and what may be asked of them.
 *
 * The thread (commit.h) owns every change: it judges conditions and fences, makes room, changes the file and the index. So
 * a check and the change it guards are one step without a lock. Others only look: index_look, pread.
 *
 * How a write travels: writer.c gathers the body, decides text or bytes, and for large bodies asks for a reservation (a
 * dataset without a name) which it fills itself; then STORE_PUT. apply.c links the dataset under the id and stages the new
 * version; after the batch's commit index_publish shows it and the caller wakes.
 *
 * A batch of nothing but copies is shown without a commit: it rides on the next batch's, or on its own after STORE_COPIES_NS. Nothing
 * is let go before that.
 *
 * How a read travels: hdf5_pool.c's peek, or reader.c: index_look, then pread under the version's reference. A version that the index
 * does not keep is made by the reader, from the file; an id that is not loaded yet is asked for with STORE_LOOKUP.
 *
 * Loading (load.c): 1 SCANNING names and addresses, in `begin`; lookups are served in between. 2 RESOLVING places and
 * metadata, in idle slices; 3 LOADED.
 *
 * Replaced datasets are *held*: kept open after their link is gone, so that their space is not given to others, until
 * no reader has the version any more. What a batch replaces is let go by a later one, after that one's puts.
 *
 * Files: store.c life and requests, apply.c a batch, findings.c what only looks, settle.c its end, undo.c back to the last commit, links.c names and held datasets, room.c limits and
 * eviction, load.c the scan, compact*.c copies of the file (compact.h), upkeep.c and scrub.c work in the background.
 */
#ifndef POOLS_HDF5_STORE_H
#define POOLS_HDF5_STORE_H

#include "pools/hdf5/body_run.h"
#include "pools/hdf5/commit.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/h5_file.h"
#include "pools/hdf5/index.h"
#include "pools/hdf5/work.h"

/* A dataset without a name whose body its owner writes with h5_file_pwrite. */
struct reservation {
    SLIST_ENTRY(reservation) in_released;
    LIST_ENTRY(reservation) in_reservations; /* the store's thread */
    struct h5_file *file;                    /* one reference */
    hid_t dataset;
    struct placement placement;
    struct fault lost; /* why it is, if so */
};
SLIST_HEAD(reservation_list, reservation);
LIST_HEAD(live_reservations, reservation);

/* A replaced version whose dataset stays open. */
struct held {
    STAILQ_ENTRY(held) in_held;
    hid_t dataset;
    struct version *version; /* one reference */
};
STAILQ_HEAD(held_queue, held);

struct store_limits {
    uint64_t max_bytes, max_entries, max_file_bytes; /* 0 = none */
    uint64_t hot_max_bytes;                          /* hot.h; 0 = keeps none */
    uint64_t
        compact_ratio; /* the file is compacted by itself when it is so many times what is live; below 2 = never */
    uint64_t compact_min_bytes; /* and at least so large */
};

struct store {
    struct h5_file *file; /* changed by the thread only, in compact_switch.c */
    char *path;
    struct index index;
    struct commit commit;
    struct store_limits limits;
    atomic_bool evictable;      /* cached copies may make room */
    atomic_bool names_complete; /* an id that is not in the index is not in the file */
    atomic_bool loaded;
    bool ours;      /* the file bears our mark; set at open */
    bool abandoned; /* store_abandon */
    atomic_bool poisoned;
    atomic_bool copyable;          /* a copy may take its place: everything but a file that is only read */
    atomic_bool compact_wanted;    /* a compaction is under way, or to be begun */
    atomic_bool writable;          /* the file, or a copy that a first write makes of it */
    atomic_uint_fast64_t foreign;  /* links that are no entries */
    atomic_uint_fast64_t expected; /* links there were at open: about as many entries */
    struct mutex mutex;            /* RANK_KIND_INNER: the fields below */
    struct cond loading;           /* signalled when names_complete, loaded or poisoned came true */
    char reason[OP_DETAIL_BYTES];  /* why poisoned or read-only */
    struct reservation_list released;
    pthread_t scrub_thread; /* to be joined when scrub_began */
    bool scrub_began;
    /* The thread only */
    hid_t link_list;     /* how links are made */
    bool dirty;          /* something has not been committed */
    bool must_roll_back; /* what is not committed may not be: break_fault says why */
    struct fault break_fault;
    struct request_batch *batch;      /* under way; NULL = none */
    struct body_run run;              /* bodies of the batch that are not in the file yet */
    uint64_t checkpoint_again_ns;     /* not before; after one that failed */
    SLIST_HEAD(undo_list, undo) undo; /* undo.c */
    struct live_reservations reservations;
    struct compaction *compaction; /* compact.h; NULL = none */
    uint64_t changed_ns;           /* when the file was last written to; 0 = not since it was opened */
    uint64_t compacted_bytes;      /* the size after the last compaction */
    uint64_t compact_again_ns;     /* by itself not before */
    uint64_t rest_due_ns;          /* when the file is to be brought up to date; 0 = not yet known */
    uint64_t copies_due_ns;        /* when copies that are shown already must be; 0 = there are none */
    struct fault convert_fault;    /* why the last conversion failed */
    uint64_t convert_again_ns;     /* not before; monotonic */
    struct held_queue new_held, held;
    struct window *window; /* load.c: while it goes through the file; NULL when there was no memory for it */
    struct work work[UPKEEP_KINDS]; /* by enum upkeep_kind */
};

enum store_action {
    STORE_PUT,    /* id, meta, kind, length and bytes or reservation, condition, fence -> version, existed */
    STORE_REMOVE, /* id, condition, version (only if it is still this one; may be NULL) -> existed */
    STORE_REMOVE_MANY, /* ids -> removed */
    STORE_RESERVE,     /* kind, length -> reservation */
    STORE_LOOKUP,      /* id -> version, NULL = absent */
    STORE_LEARN, /* version, sha256; id when it shall be written to the file too, if that is one of ours */
    STORE_QUARANTINE, /* id, version -> existed: it was still this one */
    STORE_EXPORT      /* path */
};

struct store_request {
    struct request request; /* first: apply.c gets back from it */
    enum store_action action;
    const struct id *id;
    const struct meta *meta;
    const struct condition *condition;
    const struct fence *fence; /* not NULL = a fill */
    enum version_kind kind;
    uint64_t length;
    const void *bytes;
    struct reservation *reservation; /* PUT takes it over when it succeeds */
    struct version *version;         /* out: one reference */
    const uint8_t *sha256;
    const struct listing *ids;
    const char *path;
    uint64_t removed;
    bool existed;
    bool changed;
    bool undecided; /* carried out, or judged by what was, since the last commit: the next one decides */
};

struct store_options {
    bool read_only;
    struct store_limits limits;
};

/* ---- any thread ---- */
enum err store_open(struct op *op, const char *path, const struct store_options *options,
                    struct store **ret_store) MUST_USE;
/* The pool is not wanted after all: what opening it made is taken away at the close. Before that, any one thread. */
void store_abandon(struct store *store);
void store_close(struct store *store); /* every reader and writer is gone */
DEFINE_AUTO(struct store, store_close)
/* ERR_CONFLICT (REASON_POOL_READ_ONLY) or ERR_BUSY (REASON_POOL_POISONED). */
enum err store_check_writable(struct store *store, struct op *op) MUST_USE;
/* A reference to the resolved version of the id; ERR_NOT_FOUND recorded. */
enum err store_get(struct store *store, struct op *op, const struct id *id,
                   struct version **ret_version) MUST_USE;
enum err store_submit(struct store *store, struct op *op, struct store_request *request);
/* load.c: the same of an entry whose version has to be made, if that can be done on this thread; else NULL. Blocks. */
struct version *store_make_version(struct store *store, const struct id *id);
/* Ends a read; lets the thread know when space can be given back. */
void store_release_version(struct store *store, struct version *take_version);
/* Without linking it. Never blocks. */
void store_release_reservation(struct store *store, struct reservation *take_reservation);
/* Waits until every id is known; ERR_BUSY (REASON_LOADING) when that takes longer than most_ns. In a file that only we
 * make, names are ids; in others each object has to be looked at. */
enum err store_await_ids(struct store *store, struct op *op, uint64_t most_ns) MUST_USE;
/* The same until everything is loaded. */
enum err store_await_loaded(struct store *store, struct op *op, uint64_t most_ns);
/* The same however long it takes, unless the work (NULL = none) is cancelled: ERR_CANCELLED. */
enum err store_await_all_loaded(struct store *store, struct op *op, struct work *work) MUST_USE;
void store_reason(struct store *store, char ret_reason[OP_DETAIL_BYTES]);

/* upkeep.c: pool_ops' slots. */
enum err store_upkeep(struct store *store, struct op *op, enum upkeep_kind kind,
                      enum upkeep_action action) MUST_USE;
/* At the close: tells all upkeep to stop, and waits for it. */
void store_end_upkeep(struct store *store);
/* scrub.c: after work_steer said so. A failure shows in the work. */
void store_scrub_begin(struct store *store);
void store_scrub_join(struct store *store);

/* ---- the thread ---- */
void store_run_batch(void *context, struct request_batch *batch);  /* apply.c: commit_ops.run_batch */
void store_run_urgent(void *context, struct request_batch *batch); /* apply.c: commit_ops.run_urgent */
/* How long a copy may wait for the flush of somebody else. A flush of its own costs more than the copy does. */
#define STORE_COPIES_NS (UINT64_C(50) * 1000 * 1000)
/* Commits, shows the staged changes, lets held datasets go. When that fails, everything since the last commit is taken back; after a
 * failed sync the store is poisoned instead. A poisoned store fails and shows nothing. */
enum err store_settle(struct store *store, struct op *op);
/* undo.c: notes what the index shows of an id, before a change of it is staged. record NULL = nothing. */
enum err store_note_undo(struct store *store, struct op *op, const struct id *id,
                         const struct record *record) MUST_USE;
void store_forget_undo(struct store *store);
/* Back to the last commit. Where that fails, the store is poisoned. */
void store_roll_back(struct store *store, const struct fault *why);
/* The file's state may not be committed: the end of the batch takes it back. */
void store_break(struct store *store, const struct fault *why);
/* settle.c: the bodies of the batch go into the file. A failure breaks the batch. */
void store_push_bodies(struct store *store);
/* Brings the file up to date when so much has gathered that it is due. */
void store_checkpoint_if_due(struct store *store);
/* The same when nobody has written for a while. In how many ns it has to be called again, or COMMIT_NO_WORK. */
uint64_t store_rest(struct store *store, uint64_t now_ns);
/* Gives back what nobody reads any more; true when the file changed. */
bool store_let_go(struct store *store);
/* At the end, when there are no readers. */
void store_let_all_go(struct store *store);
void store_poison(struct store *store, const char *sentence);
/* The file is poisoned; op's fault says why. */
void store_poison_with_file(struct store *store, const struct op *op);
/* Any thread: what is in the file could not be found out, so no id is there or not there. Every look answers with store_fail_poisoned. */
bool store_is_unreadable(const struct store *store);
/* Any thread, of a poisoned store: ERR_BUSY, with why. The write that met the failure itself gets that failure. */
enum err store_fail_poisoned(struct store *store, struct op *op);
/* links.c: the dataset gets the name; what had it (NULL = nobody) is held. */
enum err store_link(struct store *store, struct op *op, hid_t dataset, const char *name,
                    struct version *old) MUST_USE;
/* Unlinks a record's dataset, holds it and stages the removal. */
enum err store_unlink(struct store *store, struct op *op, struct record *record) MUST_USE;
/* compact_work.c: before a change of what the index shows is staged. */
void store_note_change(struct store *store, const struct record *record);
/* Must come before any change of the file. What only removes does not ask for room on the disk. */
enum err store_begin_change(struct store *store, struct op *op, bool grows) MUST_USE;

/* findings.c: STORE_LOOKUP, STORE_LEARN, STORE_QUARANTINE. */
enum err store_look_up(struct store *store, struct store_request *request) MUST_USE;
enum err store_learn(struct store *store, struct store_request *request) MUST_USE;
enum err store_quarantine(struct store *store, struct store_request *request) MUST_USE;

/* room.c: evicts cached copies if need be and allowed, never the id's own. ERR_TOO_LARGE, ERR_NO_SPACE: nothing was changed.
 * May load the rest of the index: records that the caller found before, and that are not resolved, may be gone. */
enum err store_make_room(struct store *store, struct op *op, const struct id *id, uint64_t length) MUST_USE;
/* room.c: dataset_create within max_file_bytes. */
enum err store_create_dataset(struct store *store, struct op *op, enum version_kind kind, uint64_t length,
                              hid_t *ret_dataset, struct placement *ret_placement) MUST_USE;

void store_scan(void *context); /* load.c: commit_ops.begin */
/* Shows only what it found itself, nothing that a batch has staged. True = there is more. */
bool store_load_slice(struct store *store);
/* Serves lookups between its slices. */
void store_load_all(struct store *store);
/* Makes the record's version if there is none. ERR_CORRUPT: what there is now tells no more than the address. The record may turn out to be
 * no entry, or be NULL: *record is NULL then. */
enum err store_know(struct store *store, struct op *op, struct record **record) MUST_USE;
/* The record of an id, found by name while the scan is not through; with its version. *ret_record NULL = absent. */
enum err store_find(struct store *store, struct op *op, const struct id *id,
                    struct record **ret_record) MUST_USE;

/* What the name of a copy under way ends in: no pool's file may. */
#define STORE_COMPACT_SUFFIX ".lailad-compact"
/* compact_work.c. Sets a compaction off that work_steer began; any thread. What stands in the way ends it. */
enum err store_compact_begin(struct store *store, struct op *op) MUST_USE;
/* A piece of a compaction, if there is one; in how many ns to come again. idle = nobody waits. */
uint64_t store_compact_slice(struct store *store, bool idle);
/* What was copied counts for nothing. why NULL = the pool is closed. */
void store_compact_stop(struct store *store, const struct fault *why);
/* The file went back to an earlier state: a compaction under way gives up at its next step. */
void store_compact_spoil(struct store *store, const struct fault *why);
/* Begins one when the file has become too large; in how many ns to come again. Nobody waits. */
uint64_t store_compact_if_due(struct store *store, uint64_t now_ns);
/* A plain file of all entries, journal-free, where none is yet. */
enum err store_export(struct store *store, struct op *op, const char *path) MUST_USE;
/* At opening, under the file's lock: what a crash left beside it. */
void store_drop_leftover(const struct store *store);
/* The store goes on in a copy of its file that can be written; the original stays beside it. A failure is
 * remembered and told again for STORE_CONVERT_PAUSE_NS instead of a new copy for every write. */
enum err store_convert(struct store *store, struct op *op) MUST_USE;
/* What is converted without being asked. */
#define STORE_CONVERT_MOST_BYTES (UINT64_C(1) << 30)
#define STORE_CONVERT_PAUSE_NS (UINT64_C(60) * 1000 * 1000 * 1000)

#endif
