/* h5_file.h - one open HDF5 file: the library's ids and our own file descriptor beside them.
 *
 * The descriptor holds an exclusive flock (one pool per file, in this process and in others), serves every pread, and writes
 * the bodies; the library writes metadata only, into the shadow (vfd/shadow.h), whose commits survive any crash. Shared by
 * reference count: the store and every version of the file hold a reference; the last one closes it.
 *
 * A *copy* in the making has no shadow: the library writes it plainly, and it counts for nothing until h5_file_settle_copy
 * has synced it and somebody renames it.
 *
 * Who wrote last? The root attribute "lailad_closed" tells, in seconds since 1970: our last clean close, and the file's
 * modification time is set to exactly that; the commit that brings the one brings the other, and the first commit of a session takes the mark away
 * before the file is touched. So a kill at no moment makes it look as if others wrote. Another time means that somebody else wrote since (H5_MARK_MIXED stays until
 * every entry was compared with its digest); H5_MARK_OPEN means that we are writing, or crashed, and H5_MARK_JOURNALED
 * that a journal lies beside the file then: it is in the file itself before anything is acknowledged, so a journal that somebody took away is
 * missed.
 *
 * Threads: fields are set at open and read by any thread, but `id` and `root`, which other threads than the store's may only use
 * under `reopening`; functions that change the file belong to the store's thread.
 */
#ifndef POOLS_HDF5_H5_FILE_H
#define POOLS_HDF5_H5_FILE_H

#include "pools/hdf5/h5.h"
#include "pools/hdf5/mapping.h"
#include "pools/hdf5/vfd/shadow.h"

#include <stdatomic.h>
#include <stdbool.h>

#define H5_MARK_OPEN INT64_C(0)
#define H5_MARK_MIXED INT64_C(-1)
#define H5_MARK_JOURNALED INT64_C(-2)

struct h5_file {
    atomic_uint refs;
    hid_t id;
    hid_t root;
    struct h5_forms forms;
    struct mutex
        reopening; /* RANK_KIND_INNER: others read through the library only with it, since going back opens the file anew */
    struct mappings mappings; /* of this file, lent to readers */
    int fd;
    struct shadow *shadow; /* NULL = a copy in the making */
    bool writable;
    bool created;     /* there was none before it was opened */
    bool ordered;     /* the root group has an index by creation order */
    bool plain;       /* addresses and lengths of 8 bytes, from the file's first byte: object_header.h */
    bool alone;       /* nobody but us wrote since our last clean close */
    bool convertible; /* not writable in place, but a copy of it is */
    char reason[OP_DETAIL_BYTES]; /* why not writable, with the remedy; "" when it is */
    uint64_t ready_bytes; /* the disk has blocks up to here; UINT64_MAX = the file system cannot promise */
    int64_t mark;         /* as in the file; of a file without: H5_MARK_OPEN */
    bool marked;          /* the attribute exists */
    bool misses_journal;  /* there was to be one when it was opened: commits may be lost */
    uint64_t opened_mtime_ns; /* tells one state of a file of others from the next */
    int64_t closing_mtime_s;  /* of a clean close; 0 = leave it */
};

struct h5_file_options {
    bool read_only;
    bool create;    /* when it is missing or empty */
    bool exclusive; /* it must not be there yet */
    bool replace;   /* and emptied first, once its lock is ours; never through a symbolic link */
    bool copy;      /* a copy in the making */
};

/* ERR_CONFLICT (REASON_FILE_IN_USE), ERR_UNAVAILABLE (REASON_POOL_FAILED) with a sentence that names no path. */
enum err h5_file_open(struct op *op, const char *path, const struct h5_file_options *options,
                      struct h5_file **ret_file) MUST_USE;
/* Takes the file away again, and its journal, if opening it made it. What is closed afterwards is lost. No other thread uses it. */
void h5_file_abandon(struct h5_file *file, const char *path);
struct h5_file *h5_file_ref(struct h5_file *file);
void h5_file_unref(struct h5_file *file);
DEFINE_AUTO(struct h5_file, h5_file_unref)

/* Makes sure that the disk has blocks for all that is allocated and for the metadata of a batch, before anything is
 * written: ERR_NO_SPACE here leaves the file as it is. */
enum err h5_file_make_room(struct h5_file *file, struct op *op) MUST_USE;
/* The end of the allocated space. */
enum err h5_file_size(struct h5_file *file, struct op *op, uint64_t *ret_bytes) MUST_USE;
/* ---- commits: the store's thread ---- */
/* Everything since the last commit becomes durable. When it fails the file can go back to that (h5_file_roll_back), unless a
 * sync failed: then nothing can be done until it is opened again. */
enum err h5_file_commit(struct h5_file *file, struct op *op) MUST_USE;
bool h5_file_is_poisoned(const struct h5_file *file);
bool h5_file_wants_checkpoint(const struct h5_file *file);
/* Whether the last commit lies in the journal in part. */
bool h5_file_has_journal(const struct h5_file *file);
/* After a commit: the file alone says everything. */
enum err h5_file_checkpoint(struct h5_file *file, struct op *op) MUST_USE;
/* The same, and the journal goes, until the next commit: before the path is given to another file. */
enum err h5_file_rest(struct h5_file *file, struct op *op) MUST_USE;
/* All of a copy is on the disk, and the library is done with it. Any write that failed is told here at the latest. */
enum err h5_file_finish_copy(struct h5_file *file, struct op *op) MUST_USE;
/* The same, and the copy becomes a file with commits; the journal will lie beside `path`, where it is going to be. */
enum err h5_file_settle_copy(struct h5_file *file, struct op *op, const char *path) MUST_USE;
/* From here to h5_file_roll_back, what the library writes is forgotten: ids may be closed without harm. */
void h5_file_discard(struct h5_file *file);
/* The file is as after its last commit, all ids of the library but `id` and `root` are dead. New space begins at keep_end at the
 * least: below it uploads may be under way. */
enum err h5_file_roll_back(struct h5_file *file, struct op *op, uint64_t keep_end) MUST_USE;
enum err h5_file_set_mark(struct h5_file *file, struct op *op, int64_t mark) MUST_USE;
/* What the file's modification time is to be when it is closed; before the commit of a mark that says the same, which is never found without. */
void h5_file_set_closing_mtime(struct h5_file *file, int64_t mtime_s);
/* More room for the library's cache of metadata while a scan by name jumps about. */
void h5_file_widen_cache(struct h5_file *file, bool wide);

/* ---- bodies ---- */
/* Whether a body may be written there before the next commit: the last one does not look there. The store's thread. */
bool h5_file_is_free(const struct h5_file *file, uint64_t offset, uint64_t bytes);
/* Whether the file is as long as it was made; poisoned if not (shadow_check_length). Before a change. The store's thread. */
enum err h5_file_check_length(struct h5_file *file, struct op *op) MUST_USE;
/* All or fails; the next commit makes it durable. The store's thread. */
enum err h5_file_write_body(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                            size_t count) MUST_USE;
/* Somebody else is going to write there with h5_file_pwrite: from now to the note we do not. The store's thread. */
void h5_file_lend(struct h5_file *file, uint64_t offset, uint64_t bytes);
/* Somebody else wrote there with h5_file_pwrite: before the commit that refers to it, and when it is given up. The store's thread. */
void h5_file_note_body(struct h5_file *file, uint64_t offset, uint64_t bytes);
/* Past the library, for what it cannot mend itself. The store's thread. */
enum err h5_file_write_metadata(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                                size_t count) MUST_USE;
/* All or fails; any thread, into space that is its own. */
enum err h5_file_pwrite(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                        size_t count) MUST_USE;
/* Metadata as the library last flushed it; how many bytes there were, 0 when reading failed. Any thread. */
size_t h5_file_pread_metadata(const struct h5_file *file, uint64_t offset, void *ret_bytes, size_t count);
/* Exactly `count` bytes, or ERR_CORRUPT (REASON_BAD_ANSWER) when the file ends before. */
enum err h5_file_pread(struct h5_file *file, struct op *op, uint64_t offset, void *ret_bytes,
                       size_t count) MUST_USE;

#endif
