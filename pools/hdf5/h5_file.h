/* h5_file.h - one open HDF5 file: the library's ids and our own file descriptor beside them.
 *
 * The descriptor holds an exclusive flock (one pool per file, in this process and in others), serves every pread, and writes
 * the bodies; the library writes metadata only. Shared by reference count: the store and every version of the file
 * hold a reference; the last one closes it.
 *
 * Who wrote last? The root attribute "lailad_closed" tells, in seconds since 1970: our last clean close, and the file's
 * modification time is set to exactly that. Another time means that somebody else wrote since (H5_MARK_MIXED stays until
 * every entry was compared with its digest); H5_MARK_OPEN means that we are writing, or crashed.
 *
 * Threads: fields are set at open and read by any thread; functions that change the file belong to the store's thread.
 */
#ifndef POOLS_HDF5_H5_FILE_H
#define POOLS_HDF5_H5_FILE_H

#include "pools/hdf5/h5.h"

#include <stdatomic.h>
#include <stdbool.h>

#define H5_MARK_OPEN INT64_C(0)
#define H5_MARK_MIXED INT64_C(-1)

struct h5_file {
    atomic_uint refs;
    hid_t id;
    hid_t root;
    hid_t body_layout; /* dataset.c: made for the first body, costs a fifth of one */
    int fd;
    bool writable;
    bool ordered;                 /* the root group has an index by creation order */
    bool alone;                   /* nobody but us wrote since our last clean close */
    bool convertible;             /* not writable in place, but a copy of it is */
    char reason[OP_DETAIL_BYTES]; /* why not writable, with the remedy; "" when it is */
    uint64_t ready_bytes; /* the disk has blocks up to here; UINT64_MAX = the file system cannot promise */
    int64_t mark;         /* as in the file; of a file without: H5_MARK_OPEN */
    bool marked;          /* the attribute exists */
    uint64_t opened_mtime_ns; /* tells one state of a file of others from the next */
    int64_t closing_mtime_s;  /* set at the end of a clean close; 0 = leave it */
};

struct h5_file_options {
    bool read_only;
    bool create;    /* when it is missing or empty */
    bool exclusive; /* it must not be there yet */
    bool replace;   /* and emptied first, once its lock is ours; never through a symbolic link */
};

/* ERR_CONFLICT (REASON_FILE_IN_USE), ERR_UNAVAILABLE (REASON_POOL_FAILED) with a sentence that names no path. */
enum err h5_file_open(struct op *op, const char *path, const struct h5_file_options *options,
                      struct h5_file **ret_file) MUST_USE;
struct h5_file *h5_file_ref(struct h5_file *file);
void h5_file_unref(struct h5_file *file);
DEFINE_AUTO(struct h5_file, h5_file_unref)

/* Makes sure that the disk has blocks for all that is allocated and for the metadata of a batch, before anything is
 * written: ERR_NO_SPACE here leaves the file as it is. */
enum err h5_file_make_room(struct h5_file *file, struct op *op) MUST_USE;
/* The end of the allocated space. */
enum err h5_file_size(struct h5_file *file, struct op *op, uint64_t *ret_bytes) MUST_USE;
/* Everything the library holds back goes to the operating system. */
enum err h5_file_flush(struct h5_file *file, struct op *op) MUST_USE;
enum err h5_file_set_mark(struct h5_file *file, struct op *op, int64_t mark) MUST_USE;
/* More room for the library's cache of metadata while a scan by name jumps about. */
void h5_file_widen_cache(struct h5_file *file, bool wide);

/* All or fails; any thread. */
enum err h5_file_pwrite(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                        size_t count) MUST_USE;
/* Exactly `count` bytes, or ERR_CORRUPT (REASON_BAD_ANSWER) when the file ends before. */
enum err h5_file_pread(struct h5_file *file, struct op *op, uint64_t offset, void *ret_bytes,
                       size_t count) MUST_USE;

#endif
