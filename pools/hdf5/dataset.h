/* dataset.h - one entry's dataset: making it, finding out what one of somebody else holds, reading through the library.
 *
 * Ours are contiguous, allocated when made and never filled, so that the body's place is known before its bytes are written and
 * never moves: bodies are written and read with pwrite and pread, outside the library and its lock.
 *
 *   text   scalar, fixed-length UTF-8, null-padded: valid UTF-8 without NUL, 1 byte to 2 GiB - 1
 *   bytes  one dimension of uint8: everything else; empty bodies have length 0 and no place
 *
 * Of others we read strings as text, and whatever holds no pointers as its bytes in the file's own byte order.
 */
#ifndef POOLS_HDF5_DATASET_H
#define POOLS_HDF5_DATASET_H

#include "pools/hdf5/h5_file.h"
#include "pools/hdf5/version.h"

#define DATASET_TEXT_MOST_BYTES UINT64_C(0x7fffffff)
/* Bodies that only the library can read are read whole; larger ones are refused. */
#define DATASET_LIBRARY_MOST_BYTES (UINT64_C(256) << 20)

#define WINDOW_BYTES ((size_t)32 << 10)

/* Whether these bytes may be stored as text. */
bool dataset_is_text(const void *bytes, size_t count);

/* A dataset that has no name yet: closing it without linking leaves no trace. kind is VERSION_TEXT or VERSION_BYTES. */
enum err dataset_create(struct h5_file *file, struct op *op, enum version_kind kind, uint64_t length,
                        hid_t *ret_dataset, struct placement *ret_placement) MUST_USE;

/* By the address of its header; the caller closes it. */
enum err dataset_open(struct h5_file *file, struct op *op, uint64_t address, hid_t *ret_dataset) MUST_USE;

/* What an object is: its place and metadata, if it can be an entry. */
struct description {
    bool is_entry; /* false: a group, a table with pointers ... */
    struct placement placement;
    struct meta meta;
};
static inline void description_fini(struct description *description) {
    meta_fini(&description->meta);
}

/* Through the library, 40 us. Ended with description_fini when it succeeds. */
enum err dataset_describe(struct h5_file *file, struct op *op, uint64_t address,
                          struct description *ret_description) MUST_USE;
/* Some of the file's bytes, read at once for many headers that are looked at in the order of the file. Zero-initialised = none yet. Of
 * use only for objects that do not change meanwhile. */
struct window {
    uint64_t from;
    size_t count;
    uint8_t bytes[WINDOW_BYTES];
};
/* The same from the bytes in the file, 1 us; any thread, each with its own window or NULL. False = it has to be done through the
 * library, nothing was set. Only while the object is as the library last flushed it. */
bool dataset_describe_quickly(struct h5_file *file, struct window *window, uint64_t address,
                              struct description *ret_description) MUST_USE;
/* A version of what is an entry. NULL when out of memory. */
struct version *dataset_version(struct h5_file *file, const struct description *description);

/* The whole body of the library's kinds. Any thread; takes the library's lock. */
enum err dataset_read(const struct version *version, struct op *op, struct blob **ret_body) MUST_USE;

#endif
