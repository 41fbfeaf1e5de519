/* overlay.h - the changed metadata of a file, in memory: pages of 4 KiB that know which of their bytes were written.
 *
 * Each page has two bitmaps, a bit per byte: *changed* since the last commit, *dirty* since the last checkpoint (so changed is part of
 * dirty). Bytes without a bit are as in the file. A write is compared with the page first and only what differs gets its bits, give or take
 * a few equal bytes between two differences of the same write: bytes that the metadata did not write never get one. That is
 * why a body that shares a page with metadata is safe from commits, checkpoints and replays.
 *
 * Not synchronised: the shadow locks. Pages are loaded from the file inside a write, so under that lock.
 * Functions that return an int return 0 or an errno.
 */
#ifndef POOLS_HDF5_VFD_OVERLAY_H
#define POOLS_HDF5_VFD_OVERLAY_H

#include "pools/base/map.h"
#include "pools/hdf5/vfd/medium.h"

#include <stdatomic.h>

#define OVERLAY_PAGE_BYTES 4096

struct overlay_page;

struct overlay {
    struct map pages;
    struct overlay_page *changed; /* a list of the pages with changed bytes, and maybe of some without */
    atomic_size_t bytes;          /* of memory; read by anybody */
};

void overlay_init(struct overlay *overlay);
/* Forgets everything. The overlay may be used on. */
void overlay_drop(struct overlay *overlay);

/* *ret_changed becomes true when a byte got its bit; else it stays. On failure the write is done in part. */
int overlay_write(struct overlay *overlay, struct medium *medium, uint64_t offset, const void *bytes,
                  size_t count, bool *ret_changed) MUST_USE;
/* The file with the overlay on it; zeros beyond its end. */
int overlay_read(const struct overlay *overlay, struct medium *medium, uint64_t offset, void *ret_bytes,
                 size_t count) MUST_USE;
/* The stretch is not metadata any more: no page writes it to the file again. */
void overlay_forget(struct overlay *overlay, uint64_t offset, uint64_t count);
/* Pages take up what the file has there now, because somebody wrote past them. */
int overlay_refresh(struct overlay *overlay, struct medium *medium, uint64_t offset, uint64_t count) MUST_USE;

/* Calls with each run of changed bytes until false. */
typedef bool overlay_visit_fn(void *context, uint64_t offset, const uint8_t *bytes, size_t count);
bool overlay_each_changed(const struct overlay *overlay, overlay_visit_fn *visit, void *context);
/* Everything changed is committed. */
void overlay_commit(struct overlay *overlay);

/* Walks the dirty bytes in address order. The overlay may get new pages meanwhile, but must not be dropped or settled. */
struct overlay_walk {
    struct overlay_page **pages;
    size_t count;
    size_t page;
    size_t byte;
};
bool overlay_walk_start(struct overlay_walk *walk,
                        const struct overlay *overlay) MUST_USE; /* false: memory */
void overlay_walk_end(struct overlay_walk *walk);
/* The next run, over page ends, up to `capacity` bytes; 0 at the end. */
size_t overlay_walk_take(struct overlay_walk *walk, uint8_t *ret_bytes, size_t capacity,
                         uint64_t *ret_offset);
/* All that was committed is in the file: only what changed since stays. */
void overlay_settle(struct overlay *overlay);

#endif
