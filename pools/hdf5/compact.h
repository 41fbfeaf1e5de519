/* compact.h - a copy of the store's file that holds what the file's index shows, made in pieces while the store goes on working.
 *
 * The one way to copy a file: for less space (compaction), for files that must not be written in place (conversion), for a
 * file that can be given away (export). The store's thread only.
 *
 * Life
 *   1 COPYING    first what is foreign below the root, then the entries in the order of their hashes, up to `cursor`
 *   2 CATCHING UP  what was changed behind the cursor meanwhile has been noted by its link's name, and is copied anew
 *   3 WHOLE      nothing is noted: compaction_step says so, and until the next batch the copy is what the index shows
 *   4 SWITCHED   the copy has the path and the index points into it; or kept under its own name (export)
 * Freed before 4, the copy is gone, and nothing else has changed.
 *
 * Invariant: of an entry behind the cursor, either its place in the copy is known and right, or its name is noted.
 *
 * The copy's name is one that no pool may have (file_path.c), and nothing is emptied or unlinked whose lock we do not hold.
 * Files: compact.c the walk and the notes, compact_copy.c one object, compact_switch.c the end, compact_work.c when.
 */
#ifndef POOLS_HDF5_COMPACT_H
#define POOLS_HDF5_COMPACT_H

#include "pools/hdf5/link_name.h"
#include "pools/hdf5/store.h"

#include <limits.h>

/* A body that is copied in pieces; others may be changed meanwhile, and so may it. */
struct large_copy {
    hid_t dataset;        /* in the copy, without a name yet; H5I_INVALID_HID = there is none under way */
    struct version *from; /* one reference */
    struct placement to;
    uint64_t at, bytes; /* all of what is stored: the padding of a string of others, too */
    char name[LINK_NAME_BYTES];
};

struct compaction {
    struct store *store;
    struct h5_file *copy;
    char path[PATH_MAX];
    bool keeps_copy;   /* it is not unlinked any more */
    bool name_lost;    /* it has the path, but perhaps not after a power cut */
    struct map places; /* by the address in the old file */
    struct map noted;  /* by name; each is in the queue, too */
    STAILQ_HEAD(note_queue, note) notes;
    bool note_lost;       /* for want of memory */
    struct fault spoiled; /* what the old file went back for */
    bool foreign_copied;
    uint64_t cursor; /* entries up to this hash have been copied, or noted since */
    bool begun, walked;
    struct large_copy large;
    uint64_t unpushed_bytes; /* written since the disk was last told to begin with them */
    uint64_t wait_until_ns;  /* for uploads under way; 0 = not yet waiting */
};

/* Where an object of the old file is in the copy. */
struct place {
    struct map_node node;
    uint64_t from; /* the address in the old file */
    uint64_t address, offset;
};

/* replace = what is there may be emptied (a crash may have left it); else it must not exist. */
enum err compaction_open(struct op *op, struct store *store, const char *path, bool replace,
                         struct compaction **ret_compaction) MUST_USE;
/* Copies until the copy is whole, or the time has come (0 = never). */
enum err compaction_step(struct compaction *compaction, struct op *op, uint64_t until_ns,
                         bool *ret_whole) MUST_USE;
/* Before a change of the record is staged. */
void compaction_note(struct compaction *compaction, const struct record *record);
/* Of a whole copy. The old file keeps a name beside the path if so wanted; a crash leaves one of the two under the path. */
enum err compaction_switch(struct compaction *compaction, struct op *op, bool keep_original) MUST_USE;
/* Of a whole copy: it is synced and stays where it is, like a file after a clean close. */
enum err compaction_keep(struct compaction *compaction, struct op *op) MUST_USE;
void compaction_free(struct compaction *compaction);
DEFINE_AUTO(struct compaction, compaction_free)

/* ---- among the files of this module ---- */
struct place *compaction_find_place(const struct compaction *compaction, uint64_t from);
/* compact_copy.c: everything below the root that is no entry, and the root's attributes. */
enum err compaction_copy_foreign(struct compaction *compaction, struct op *op) MUST_USE;
/* At once, or begins a large one. *ret_place is undefined for a large one. */
enum err compaction_copy_entry(struct compaction *compaction, struct op *op, const char *name,
                               struct record *record, bool *ret_is_large, struct place *ret_place) MUST_USE;
/* One piece more; *ret_done with its place when that was the last. */
enum err compaction_copy_piece(struct compaction *compaction, struct op *op, bool *ret_done,
                               struct place *ret_place) MUST_USE;
void compaction_drop_large(struct compaction *compaction);

#endif
