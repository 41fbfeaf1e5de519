/* extents.h - stretches of a file, disjoint and in order, each with a tag.
 *
 * Two uses: the bodies written since the last commit (tags unused), and at recovery which record revoked a stretch last (the tag is its
 * sequence number). A sorted array: stretches come mostly in rising order, and there are few.
 *
 * Not synchronised: the owner locks.
 */
#ifndef POOLS_HDF5_VFD_EXTENTS_H
#define POOLS_HDF5_VFD_EXTENTS_H

#include "pools/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extent {
    uint64_t start;
    uint64_t end; /* the first byte behind it */
    uint64_t tag;
};

struct extents {
    struct extent *items;
    size_t count;
    size_t capacity;
};

void extents_init(struct extents *extents);
void extents_fini(struct extents *extents);
void extents_clear(struct extents *extents); /* keeps its memory */
/* [start, end) gets this tag, whatever it had; neighbours of one tag become one. False when out of memory: nothing changed. */
bool extents_put(struct extents *extents, uint64_t start, uint64_t end, uint64_t tag) MUST_USE;
/* The index of the first stretch that ends behind `at`; count when there is none. */
size_t extents_find(const struct extents *extents, uint64_t at);
uint64_t extents_bytes(const struct extents *extents);

static inline void extents_fini_auto(struct extents *extents) {
    extents_fini(extents);
}

#endif
