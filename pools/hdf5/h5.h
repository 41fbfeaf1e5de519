/* h5.h - the HDF5 library as this folder uses it: one include, one set-up, one way to report its errors.
 *
 * The library is thread-safe by one global lock. Its error stack is per thread and prints to standard error
 * unless every thread that calls it says otherwise: h5_enter does so and must come first on each thread.
 * Process state: the library's own, and the once-only set-up in h5.c (no exit handler: pools close their files).
 */
#ifndef POOLS_HDF5_H5_H
#define POOLS_HDF5_H5_H

#define H5_USE_110_API
#include <hdf5.h>

#include "pools/base/op.h"

/* Prepares the library (once per process) and silences it on the calling thread. Cheap: call it before each use. */
void h5_enter(void);

/* Records the failure that the library just reported on this thread and clears it. No space on the disk is ERR_NO_SPACE,
 * everything else REASON_IO. `doing` completes "could not ...". The library's own texts that may hold a path are left out. */
enum err h5_fail(struct op *op, const char *doing);
/* Forgets what a call that was allowed to fail reported. */
void h5_forget(void);

/* Closes any id of the library; 0 and negative ones are none. AUTO(h5_close) hid_t type = ...; */
void h5_close(hid_t id);
static inline void h5_close_auto(const hid_t *held) {
    h5_close(*held);
}
/* Takes an id out of a variable that would close it. */
static inline hid_t h5_steal(hid_t *held) {
    hid_t taken = *held;
    *held = H5I_INVALID_HID;
    return taken;
}

#endif
