/* hot.h - small entries kept whole in memory because they were read lately.
 *
 * A hit on one costs no system call, and what the server keeps with an entry (its finished answer) is kept as long. The page
 * cache alone would save the disk, but not the copy and the answer's header, which are two thirds of a small hit.
 *
 * Invariant: only what the index shows now is hot. A version cools in the very step in which it is replaced or removed, under the
 * same lock, so a hot entry is never older than the index.
 * Bounds: bodies up to HOT_BODY_MOST_BYTES; max_bytes in all, where an entry counts its body and HOT_OVERHEAD_BYTES. When that is full the
 * oldest goes, unless it was read since it was last passed over; after a few such, the oldest goes all the same. What has cooled is
 * not counted any more and lives as long as somebody reads the replaced version.
 * Lock: the index's, for everything here. What falls out is let go by the caller after the unlock. Read next: index.h.
 */
#ifndef POOLS_HDF5_HOT_H
#define POOLS_HDF5_HOT_H

#include "pools/hdf5/version.h"

#define HOT_BODY_MOST_BYTES (UINT64_C(16) << 10)
/* An entry's metadata, and an answer with its header fields. */
#define HOT_OVERHEAD_BYTES (UINT64_C(4) << 10)
/* How many the largest newcomer can drive out: each gives back its overhead at least. */
#define HOT_MOST_FALLEN 5

struct hot {
    struct version_queue queue; /* the oldest first */
    uint64_t bytes, max_bytes;
};

void hot_init(struct hot *hot, uint64_t max_bytes); /* 0 = keeps none */
/* A reference to the version's entry, or NULL. */
struct entry *hot_get(struct version *version);
/* The version, which the index shows, becomes hot; takes its own reference to the entry. Returns how many are in ret_fallen: they are
 * hot no more, and their entries are the caller's to take away. */
unsigned hot_keep(struct hot *hot, struct version *version, struct entry *entry,
                  struct version *ret_fallen[HOT_MOST_FALLEN]);
/* The index does not show it any more. Its entry goes with it. NULL allowed. */
void hot_cool(struct hot *hot, struct version *version);

#endif
