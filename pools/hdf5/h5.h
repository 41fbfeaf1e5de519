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
/* The first name of an object that was made without one, at any time later. Such an object is marked to go when it is closed, and the library's
 * H5Olink takes the mark away from one whose header counts no names. But a header that left the metadata cache meanwhile comes back
 * with a count of one (HDF5 File Format 3.0, IV.A.2.w: only a count above one is stored): the object would be linked, and go all the same.
 * It may leave the cache before the call and within it. */
bool h5_link_first(hid_t object, hid_t group, const char *name, hid_t link_list);
/* Takes an id out of a variable that would close it. */
static inline hid_t h5_steal(hid_t *held) {
    hid_t taken = *held;
    *held = H5I_INVALID_HID;
    return taken;
}

/* ---- forms ---- */
/* What every entry is described by: made once, since making them costs as much as writing an entry. One thread at a time. */
struct h5_forms {
    hid_t scalar; /* one element */
    hid_t text;   /* a UTF-8 string, null-padded */
    hid_t digest; /* the same with the length of a digest in hex */
    hid_t line;   /* one dimension */
    hid_t body;   /* how bodies are laid out: in one piece, allotted at once, never filled, without times */
};
enum err h5_forms_open(struct h5_forms *ret_forms, struct op *op) MUST_USE;
void h5_forms_close(struct h5_forms *forms);
/* The text or the line with that size, until the next call. Negative = the library failed. */
hid_t h5_forms_text(const struct h5_forms *forms, size_t bytes);
hid_t h5_forms_line(const struct h5_forms *forms, uint64_t count);

#endif
