/* shadow.h - a file that changes in whole commits only, whatever crashes: an overlay of changed metadata in memory, a redo
 * journal beside the file, bodies in place.
 *
 * The HDF5 library writes through driver.c into a shadow. What it writes of metadata stays in memory until a commit appends it to
 * the journal; the file itself is brought up to date at a checkpoint. Bodies go straight to their place in the file, which
 * is why others may pread them without asking anybody: their place is space that the last commit does not refer to.
 *
 * Life (enum shadow_state)
 *   1 CLEAN       the file alone says everything. There is no journal, or one whose salt no record bears.
 *   2 CHANGED     the library wrote since the last commit. File + journal = the last commit, still.
 *   3 COMMITTED   file + journal = what the library sees. A crash loses nothing. Checkpoint leads back to 1.
 *   4 DISCARDING  after a failure that no sync was part of: writes succeed and go nowhere, so that the library can close its
 *                 ids; shadow_roll_back leads to 1 with the last commit.
 *   5 POISONED    a sync failed, or a roll back did: what is on the disk is not known. Nothing is written any more; the next
 *                 opening recovers the last commit that reached the disk.
 *
 * Threads: the owner (the store's thread) calls everything but the reads. Any thread may come in through the library to read (driver.c)
 * while the owner commits: `mutex` guards the overlay and is never held across a write or a sync.
 *
 * Read next: journal.h for the bytes on the disk, overlay.h for what is in memory, recover.h for what an opening does, driver.h for
 * what the library sees. README.md says why each step keeps the invariant.
 */
#ifndef POOLS_HDF5_VFD_SHADOW_H
#define POOLS_HDF5_VFD_SHADOW_H

#include "pools/base/op.h"
#include "pools/hdf5/vfd/medium.h"

#include <stdbool.h>
#include <stdint.h>

struct shadow;

enum shadow_state { SHADOW_CLEAN = 1, SHADOW_CHANGED, SHADOW_COMMITTED, SHADOW_DISCARDING, SHADOW_POISONED };

/* Takes the medium over (it is closed with the shadow; when this fails it stays the caller's). Recovers first: a journal
 * with commits is replayed into the file, which needs a writable medium: otherwise ERR_UNAVAILABLE (REASON_POOL_FAILED), whose
 * sentence names `lailad hdf5 recover`. A journal that belongs to another file is refused the same way. Blocks. */
enum err shadow_open(struct op *op, struct medium *take_medium, struct shadow **ret_shadow) MUST_USE;
/* Brings the file up to date and removes the journal, unless discarding or poisoned. The library has closed the file. */
enum err shadow_close(struct op *op, struct shadow *take_shadow);

/* The file is given up: the journal goes, and nothing is written any more. */
void shadow_abandon(struct shadow *shadow);

enum shadow_state shadow_state(const struct shadow *shadow);
/* Whether a journal lay beside the file when it was opened, with commits or without. */
bool shadow_found_journal(const struct shadow *shadow);
/* How large the file is to the library: what it has given out counts, too. */
uint64_t shadow_file_bytes(struct shadow *shadow);

/* ---- bodies: the owner ---- */
/* Whether the last commit, and the journal's replay, look nowhere into [offset, offset + bytes): then a body may be written
 * there in place. If not (the end of the file shrank and grew since the last commit): commit first, then it is. */
bool shadow_is_free(const struct shadow *shadow, uint64_t offset, uint64_t bytes);
/* Writes a body in place now; the next commit makes it durable, by copying it into the journal when the commit's bodies are few. */
enum err shadow_write_body(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                           size_t count) MUST_USE;
/* Whether the file is still as long as it was made. If somebody cut it off, the next write behind the cut would leave zeros where bodies
 * were, and the file would look whole: this poisons instead. Before a change's first body, commits and checkpoints look
 * themselves. */
enum err shadow_check_length(struct shadow *shadow, struct op *op) MUST_USE;
/* Somebody else will write a body there through the descriptor: from here to shadow_note_body no checkpoint writes there. The
 * extent must be free. */
void shadow_lend(struct shadow *shadow, uint64_t offset, uint64_t bytes);
/* Somebody else wrote, or may have written, a body of this extent in place, through the descriptor. Before the commit that refers to
 * it, and also when it is given up. The commit syncs the file first and revokes older images of the extent. */
void shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes);
/* Metadata that we write past the library (links.c mends a damaged header so). Journaled like the library's own. */
enum err shadow_write_metadata(struct shadow *shadow, struct op *op, uint64_t offset, const void *bytes,
                               size_t count) MUST_USE;

/* ---- commits: the owner, after H5Fflush ---- */
/* Makes everything since the last commit durable with one sync (two when large bodies came). A failed write leaves the last
 * commit as it was: the caller discards and rolls back (ERR_NO_SPACE and others). A failed sync poisons. Nothing to do is OK. */
enum err shadow_commit(struct shadow *shadow, struct op *op) MUST_USE;
/* Whether journal or overlay have grown so much that a checkpoint is due now. */
bool shadow_wants_checkpoint(const struct shadow *shadow);
/* The file alone says everything afterwards. Right after a commit: with changes that none has yet it does nothing. A failed write
 * leaves the last commit in the journal, as before; a failed sync poisons. */
enum err shadow_checkpoint(struct shadow *shadow, struct op *op) MUST_USE;
/* A checkpoint after which there is no journal either, until the next commit. */
enum err shadow_rest(struct shadow *shadow, struct op *op) MUST_USE;

/* From the next commit on the file gets this modification time, in seconds, with every checkpoint and recovery: a commit that says in the
 * file when that was closed is never found without it. */
void shadow_set_closing_mtime(struct shadow *shadow, int64_t mtime_s);

/* ---- going back ---- */
/* From here to shadow_roll_back, the library's writes succeed and go nowhere, so that it can close everything. */
void shadow_discard(struct shadow *shadow);
/* After the library has closed the file: the last commit is in the file, the overlay is empty. */
enum err shadow_roll_back(struct shadow *shadow, struct op *op) MUST_USE;
/* After it opened the file again: new space is given out above this only, for others may still be writing below. */
void shadow_raise_end(struct shadow *shadow, uint64_t end);

/* ---- what it costs, for status and tests ---- */
struct shadow_stats {
    uint64_t commits, checkpoints, journal_bytes, overlay_bytes;
};
void shadow_stats(const struct shadow *shadow, struct shadow_stats *ret_stats);

#endif
