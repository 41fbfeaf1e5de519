/* extents.c - see extents.h. */
#include "pools/hdf5/vfd/extents.h"

#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 16

void extents_init(struct extents *extents) {
    memset(extents, 0, sizeof *extents);
}

void extents_fini(struct extents *extents) {
    free(extents->items);
    extents_init(extents);
}

void extents_clear(struct extents *extents) {
    extents->count = 0;
}

size_t extents_find(const struct extents *extents, uint64_t at) {
    size_t low = 0;
    size_t high = extents->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (extents->items[middle].end > at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

uint64_t extents_bytes(const struct extents *extents) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < extents->count; i++) {
        bytes += extents->items[i].end - extents->items[i].start;
    }
    return bytes;
}

static bool reserve(struct extents *extents, size_t capacity) {
    if (capacity <= extents->capacity) {
        return true;
    }
    size_t larger = extents->capacity ? extents->capacity * 2 : FIRST_CAPACITY;
    larger = larger < capacity ? capacity : larger;
    struct extent *items = realloc(extents->items, larger * sizeof *items);
    if (!items) {
        return false;
    }
    extents->items = items;
    extents->capacity = larger;
    return true;
}

bool extents_put(struct extents *extents, uint64_t start, uint64_t end, uint64_t tag) {
    MUST(start < end);
    if (!reserve(extents, extents->count + 2)) {
        return false;
    }
    struct extent *items = extents->items;
    size_t first = extents_find(extents, start);
    size_t behind = first;
    while (behind < extents->count && items[behind].start < end) {
        behind++;
    }
    /* What the new stretch leaves of the first and the last one it meets; all in between goes. */
    struct extent pieces[3] = {{0, 0, 0}, {start, end, tag}, {0, 0, 0}};
    if (first < behind && items[first].start < start) {
        pieces[0] = (struct extent){items[first].start, start, items[first].tag};
    } else if (first > 0 && items[first - 1].end == start) {
        pieces[0] = items[--first];
    }
    if (first < behind && items[behind - 1].end > end) {
        pieces[2] = (struct extent){end, items[behind - 1].end, items[behind - 1].tag};
    } else if (behind < extents->count && items[behind].start == end) {
        pieces[2] = items[behind++];
    }
    if (pieces[0].end && pieces[0].tag == tag) {
        pieces[1].start = pieces[0].start;
        pieces[0].end = 0;
    }
    if (pieces[2].end && pieces[2].tag == tag) {
        pieces[1].end = pieces[2].end;
        pieces[2].end = 0;
    }
    struct extent kept[3] = {{0, 0, 0}};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        if (pieces[i].end) {
            kept[count++] = pieces[i];
        }
    }
    memmove(items + first + count, items + behind, (extents->count - behind) * sizeof *items);
    memcpy(items + first, kept, count * sizeof *items);
    extents->count = extents->count - (behind - first) + count;
    return true;
}
