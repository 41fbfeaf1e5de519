/* shadow_inside.h - a shadow's inside, for shadow*.c; and what driver.c calls for the library (any thread that is in the library). */
#ifndef POOLS_HDF5_VFD_SHADOW_INSIDE_H
#define POOLS_HDF5_VFD_SHADOW_INSIDE_H

#include "pools/base/mutex.h"
#include "pools/hdf5/vfd/extents.h"
#include "pools/hdf5/vfd/journal.h"
#include "pools/hdf5/vfd/overlay.h"
#include "pools/hdf5/vfd/shadow.h"

#include <stdatomic.h>

/* Bodies up to this much go into a commit's record, so that one sync is enough. */
#define BODIES_COPIED_MOST_BYTES ((uint64_t)256 << 10)

struct shadow {
    struct medium *medium;
    atomic_int state; /* enum shadow_state; changed under the mutex */
    struct mutex mutex;

    /* Under the mutex. */
    struct overlay overlay;
    struct extents bodies; /* written in place since the last commit */
    bool bodies_noted;     /* some of them by others: the file must be synced */
    uint64_t changes;      /* counts what changed the state, so that a commit sees what came while it wrote */
    uint64_t end;          /* where the library ends the file: its end of address */
    uint64_t size;         /* what the library is told the file's size is */

    /* The owner's. set_end is one of its calls, through the library. */
    uint64_t lowest_end;     /* of `end` since the last commit */
    uint64_t committed_end;  /* `end` at the last commit: it refers to nothing behind */
    uint64_t written_end;    /* the file is at least this long, unless somebody else cut it off */
    bool found_journal;      /* when it was opened */
    bool settled;            /* what the journal's images are differences to has been synced */
    int64_t closing_mtime_s; /* what the file's time is to be at its end; 0 = whatever it is */
    struct journal journal;
    uint64_t commits, checkpoints;
};

/* Something for the next commit. The mutex is held. */
void shadow_mark_changed(struct shadow *shadow);
/* Records the fault that a poisoned shadow gives. */
enum err shadow_tell_poisoned(struct op *op);
/* After this nothing is written any more. */
void shadow_poison(struct shadow *shadow);

/* ---- for driver.c: 0 or an errno ---- */
int shadow_library_read(struct shadow *shadow, uint64_t offset, void *ret_bytes, size_t count);
/* body: the library says that these bytes are a dataset's. */
int shadow_library_write(struct shadow *shadow, bool body, uint64_t offset, const void *bytes, size_t count);
uint64_t shadow_library_end(struct shadow *shadow);
void shadow_library_set_end(struct shadow *shadow, uint64_t end);
uint64_t shadow_library_size(struct shadow *shadow);
/* The file ends where its end of address is; on the disk it does so at the next checkpoint. */
void shadow_library_truncate(struct shadow *shadow);
/* The library starts a new file: nothing of the old one is seen any more. */
void shadow_library_empty(struct shadow *shadow);

#endif
