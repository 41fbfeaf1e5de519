/* overlay.c - see overlay.h. */
#include "pools/hdf5/vfd/overlay.h"

#include "pools/base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS (OVERLAY_PAGE_BYTES / 64)
/* Equal bytes between two differences of one write that cost less in the journal than a second image. */
#define GAP_BYTES 32
#define STEP_BYTES sizeof(uint64_t)
#define STRIDE_BYTES ((size_t)256)

struct overlay_page {
    struct map_node node;
    struct overlay_page *next_changed;
    bool listed;
    uint64_t offset;
    uint64_t changed[WORDS];
    uint64_t dirty[WORDS];
    uint8_t bytes[OVERLAY_PAGE_BYTES];
};

/* ---- bits ---- */

static void bits_put(uint64_t *bits, size_t from, size_t to, bool value) {
    while (from < to) {
        size_t low = from % 64;
        size_t count = 64 - low < to - from ? 64 - low : to - from;
        uint64_t mask = (count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1) << low;
        bits[from / 64] = value ? bits[from / 64] | mask : bits[from / 64] & ~mask;
        from += count;
    }
}

/* The first bit at or behind `from` that is `value`; OVERLAY_PAGE_BYTES when there is none. */
static size_t bits_find(const uint64_t *bits, size_t from, bool value) {
    for (size_t word = from / 64; word < WORDS; word++) {
        uint64_t found = value ? bits[word] : ~bits[word];
        if (word == from / 64) {
            found &= UINT64_MAX << (from % 64);
        }
        if (found) {
            return word * 64 + (size_t)__builtin_ctzll(found);
        }
    }
    return OVERLAY_PAGE_BYTES;
}

/* ---- pages ---- */

static uint64_t hash_of(uint64_t page_offset) {
    return (page_offset / OVERLAY_PAGE_BYTES) * UINT64_C(0x9E3779B97F4A7C15);
}

static bool page_is(const struct map_node *node, const void *key) {
    uint64_t offset = 0;
    memcpy(&offset, key, sizeof offset);
    return CONTAINER_OF_CONST(node, struct overlay_page, node)->offset == offset;
}

void overlay_init(struct overlay *overlay) {
    map_init(&overlay->pages, page_is);
    overlay->changed = NULL;
    atomic_init(&overlay->bytes, 0);
}

static void free_page(struct map_node *node, void *context) {
    (void)context;
    free(CONTAINER_OF(node, struct overlay_page, node));
}

void overlay_drop(struct overlay *overlay) {
    map_each(&overlay->pages, free_page, NULL);
    map_fini(&overlay->pages);
    map_init(&overlay->pages, page_is);
    overlay->changed = NULL;
    atomic_store(&overlay->bytes, 0);
}

static struct overlay_page *find_page(const struct overlay *overlay, uint64_t page_offset) {
    struct map_node *node = map_find(&overlay->pages, hash_of(page_offset), &page_offset);
    return node ? CONTAINER_OF(node, struct overlay_page, node) : NULL;
}

/* As the file has it; zeros beyond its end. */
static int load(struct medium *medium, uint64_t offset, uint8_t *ret_bytes, size_t count) {
    size_t got = 0;
    int result = medium->ops->read(medium, MEDIUM_MAIN, offset, ret_bytes, count, &got);
    if (!result) {
        memset(ret_bytes + got, 0, count - got);
    }
    return result;
}

static int need_page(struct overlay *overlay, struct medium *medium, uint64_t page_offset,
                     struct overlay_page **ret_page) {
    *ret_page = find_page(overlay, page_offset);
    if (*ret_page) {
        return 0;
    }
    struct overlay_page *page = malloc(sizeof *page);
    if (!page) {
        return ENOMEM;
    }
    memset(page, 0, offsetof(struct overlay_page, bytes));
    page->offset = page_offset;
    int result = load(medium, page_offset, page->bytes, sizeof page->bytes);
    if (!result && !map_insert(&overlay->pages, &page->node, hash_of(page_offset))) {
        result = ENOMEM;
    }
    if (result) {
        free(page);
        return result;
    }
    atomic_fetch_add(&overlay->bytes, sizeof *page);
    *ret_page = page;
    return 0;
}

/* ---- writing ---- */

/* The start of the first step at or behind `at` in which the two differ; count when they are equal from there. In strides first: a flush
 * writes whole blocks of which little changed. */
static size_t next_difference(const uint8_t *one, const uint8_t *other, size_t at, size_t count) {
    while (at + STRIDE_BYTES <= count && memcmp(one + at, other + at, STRIDE_BYTES) == 0) {
        at += STRIDE_BYTES;
    }
    for (; at + STEP_BYTES <= count; at += STEP_BYTES) {
        uint64_t a = 0;
        uint64_t b = 0;
        memcpy(&a, one + at, sizeof a);
        memcpy(&b, other + at, sizeof b);
        if (a != b) {
            return at;
        }
    }
    return at < count && memcmp(one + at, other + at, count - at) != 0 ? at : count;
}

static void mark(struct overlay *overlay, struct overlay_page *page, size_t from, size_t to) {
    bits_put(page->changed, from, to, true);
    bits_put(page->dirty, from, to, true);
    if (!page->listed) {
        page->listed = true;
        page->next_changed = overlay->changed;
        overlay->changed = page;
    }
}

static bool write_page(struct overlay *overlay, struct overlay_page *page, size_t at, const uint8_t *bytes,
                       size_t count) {
    const uint8_t *before = page->bytes + at;
    size_t from = next_difference(before, bytes, 0, count);
    if (from == count) {
        return false;
    }
    while (from < count) {
        size_t to = from + STEP_BYTES;
        size_t next = next_difference(before, bytes, to, count);
        while (next < count && next - to <= GAP_BYTES) {
            to = next + STEP_BYTES;
            next = next_difference(before, bytes, to, count);
        }
        mark(overlay, page, at + from, at + (to < count ? to : count));
        from = to < count ? next : count;
    }
    memcpy(page->bytes + at, bytes, count);
    return true;
}

int overlay_write(struct overlay *overlay, struct medium *medium, uint64_t offset, const void *bytes,
                  size_t count, bool *ret_changed) {
    const uint8_t *from = bytes;
    while (count) {
        size_t at = (size_t)(offset % OVERLAY_PAGE_BYTES);
        size_t piece = OVERLAY_PAGE_BYTES - at < count ? OVERLAY_PAGE_BYTES - at : count;
        struct overlay_page *page = NULL;
        int result = need_page(overlay, medium, offset - at, &page);
        if (result) {
            return result;
        }
        if (write_page(overlay, page, at, from, piece)) {
            *ret_changed = true;
        }
        from += piece;
        offset += piece;
        count -= piece;
    }
    return 0;
}

int overlay_read(const struct overlay *overlay, struct medium *medium, uint64_t offset, void *ret_bytes,
                 size_t count) {
    uint8_t *to = ret_bytes;
    bool loaded = false;
    for (size_t done = 0; done < count;) {
        size_t at = (size_t)((offset + done) % OVERLAY_PAGE_BYTES);
        size_t piece = OVERLAY_PAGE_BYTES - at < count - done ? OVERLAY_PAGE_BYTES - at : count - done;
        const struct overlay_page *page = find_page(overlay, offset + done - at);
        if (page) {
            memcpy(to + done, page->bytes + at, piece);
        } else if (!loaded) {
            /* All the rest at once: pages that follow are laid over it. */
            int result = load(medium, offset + done, to + done, count - done);
            if (result) {
                return result;
            }
            loaded = true;
        }
        done += piece;
    }
    return 0;
}

/* ---- stretches that others write ---- */

struct stretch {
    uint64_t start;
    uint64_t end;
    struct medium *medium; /* NULL = only take the bits away */
    int result;
};

static void look_at_page(struct map_node *node, void *context) {
    struct stretch *stretch = context;
    struct overlay_page *page = CONTAINER_OF(node, struct overlay_page, node);
    if (page->offset >= stretch->end || page->offset + OVERLAY_PAGE_BYTES <= stretch->start) {
        return;
    }
    size_t from = stretch->start > page->offset ? (size_t)(stretch->start - page->offset) : 0;
    uint64_t left = stretch->end - page->offset;
    size_t to = left < OVERLAY_PAGE_BYTES ? (size_t)left : OVERLAY_PAGE_BYTES;
    if (!stretch->medium) {
        bits_put(page->changed, from, to, false);
        bits_put(page->dirty, from, to, false);
    } else if (!stretch->result) {
        stretch->result = load(stretch->medium, page->offset + from, page->bytes + from, to - from);
    }
}

/* A large stretch asks every page, a small one is asked for its pages. */
static void each_page(struct overlay *overlay, struct stretch *stretch) {
    uint64_t first = stretch->start - stretch->start % OVERLAY_PAGE_BYTES;
    if ((stretch->end - first) / OVERLAY_PAGE_BYTES > overlay->pages.count) {
        map_each(&overlay->pages, look_at_page, stretch);
        return;
    }
    for (uint64_t offset = first; offset < stretch->end; offset += OVERLAY_PAGE_BYTES) {
        struct overlay_page *page = find_page(overlay, offset);
        if (page) {
            look_at_page(&page->node, stretch);
        }
    }
}

void overlay_forget(struct overlay *overlay, uint64_t offset, uint64_t count) {
    struct stretch stretch = {.start = offset, .end = offset + count};
    each_page(overlay, &stretch);
}

int overlay_refresh(struct overlay *overlay, struct medium *medium, uint64_t offset, uint64_t count) {
    struct stretch stretch = {.start = offset, .end = offset + count, .medium = medium};
    each_page(overlay, &stretch);
    return stretch.result;
}

/* ---- commits ---- */

bool overlay_each_changed(const struct overlay *overlay, overlay_visit_fn *visit, void *context) {
    for (const struct overlay_page *page = overlay->changed; page; page = page->next_changed) {
        size_t from = bits_find(page->changed, 0, true);
        while (from < OVERLAY_PAGE_BYTES) {
            size_t to = bits_find(page->changed, from, false);
            if (!visit(context, page->offset + from, page->bytes + from, to - from)) {
                return false;
            }
            from = bits_find(page->changed, to, true);
        }
    }
    return true;
}

void overlay_commit(struct overlay *overlay) {
    while (overlay->changed) {
        struct overlay_page *page = overlay->changed;
        overlay->changed = page->next_changed;
        page->listed = false;
        page->next_changed = NULL;
        memset(page->changed, 0, sizeof page->changed);
    }
}

/* ---- checkpoints ---- */

static void gather(struct map_node *node, void *context) {
    struct overlay_walk *walk = context;
    walk->pages[walk->count++] = CONTAINER_OF(node, struct overlay_page, node);
}

static int by_offset(const void *one, const void *other) {
    struct overlay_page *const *a = one;
    struct overlay_page *const *b = other;
    return ((*a)->offset > (*b)->offset) - ((*a)->offset < (*b)->offset);
}

bool overlay_walk_start(struct overlay_walk *walk, const struct overlay *overlay) {
    memset(walk, 0, sizeof *walk);
    size_t count = overlay->pages.count;
    walk->pages = malloc((count ? count : 1) * sizeof *walk->pages);
    if (!walk->pages) {
        return false;
    }
    struct map pages = overlay->pages; /* only looked at */
    map_each(&pages, gather, walk);
    qsort(walk->pages, walk->count, sizeof *walk->pages, by_offset);
    return true;
}

void overlay_walk_end(struct overlay_walk *walk) {
    free(walk->pages);
    memset(walk, 0, sizeof *walk);
}

size_t overlay_walk_take(struct overlay_walk *walk, uint8_t *ret_bytes, size_t capacity,
                         uint64_t *ret_offset) {
    size_t taken = 0;
    while (walk->page < walk->count && taken < capacity) {
        const struct overlay_page *page = walk->pages[walk->page];
        size_t from = bits_find(page->dirty, walk->byte, true);
        if (taken && page->offset + from != *ret_offset + taken) {
            break;
        }
        if (from == OVERLAY_PAGE_BYTES) {
            walk->page++;
            walk->byte = 0;
            continue;
        }
        size_t to = bits_find(page->dirty, from, false);
        to = to - from > capacity - taken ? from + (capacity - taken) : to;
        if (!taken) {
            *ret_offset = page->offset + from;
        }
        memcpy(ret_bytes + taken, page->bytes + from, to - from);
        taken += to - from;
        walk->byte = to;
        if (to == OVERLAY_PAGE_BYTES) {
            walk->page++;
            walk->byte = 0;
        }
    }
    return taken;
}

static void settle_page(struct map_node *node, void *context) {
    struct overlay *overlay = context;
    struct overlay_page *page = CONTAINER_OF(node, struct overlay_page, node);
    if (page->listed) {
        memcpy(page->dirty, page->changed, sizeof page->dirty);
        return;
    }
    map_remove(&overlay->pages, node);
    atomic_fetch_sub(&overlay->bytes, sizeof *page);
    free(page);
}

void overlay_settle(struct overlay *overlay) {
    map_each(&overlay->pages, settle_page, overlay);
}
