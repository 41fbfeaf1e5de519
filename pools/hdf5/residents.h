/* residents.h - versions that are kept because they were used lately, so that their entry's header need not be read again.
 *
 * A queue with a second chance, like hot.h's, of what the index shows and what is not hot. It is bounded loosely: index_trim, on the store's
 * thread, brings it back to `most`, and passes over those in use. From twice that on, readers leave it to the store's thread to make
 * versions (index_source), which trims before each batch.
 * Lock: the index's, for everything here. Read next: index.h.
 */
#ifndef POOLS_HDF5_RESIDENTS_H
#define POOLS_HDF5_RESIDENTS_H

#include "pools/hdf5/version.h"

/* Some 8 MiB. */
#define RESIDENTS_MOST 32768u

struct residents {
    struct version_queue queue; /* the oldest first */
    size_t count, most;
};

void residents_init(struct residents *residents);
/* A version that is neither hot nor in the queue. */
void residents_enter(struct residents *residents, struct version *version);
/* Nothing happens when it is not in the queue. */
void residents_leave(struct residents *residents, struct version *version);
/* More than `most`: the oldest, taken out of the queue; else NULL. */
struct version *residents_take_surplus(struct residents *residents);

#endif
