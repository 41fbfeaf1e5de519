/* mapping.c - see mapping.h. */
#include "pools/hdf5/mapping.h"

#include "pools/base/must.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What idle mappings take of the address space at most. Their pages are the page cache's, but count as resident. */
#define KEPT_BYTES (UINT64_C(128) << 20)
/* How many pages are asked about at a time. */
#define ASKED_PAGES 4096

/* Which pages of which file; the file cannot go while they are mapped, so its number is not given to another. */
struct stretch {
    dev_t device;
    ino_t file;
    uint64_t offset;
    size_t bytes;
};

struct mapping {
    TAILQ_ENTRY(mapping) link;
    struct stretch stretch;
    unsigned readers; /* 0 = idle */
    void *pages;
};

void mappings_init(struct mappings *mappings) {
    mutex_init(&mappings->mutex, RANK_KIND);
    TAILQ_INIT(&mappings->used);
    TAILQ_INIT(&mappings->idle);
    mappings->idle_bytes = 0;
}

static void unmap(struct mapping *mapping) {
    MUST(munmap(mapping->pages, mapping->stretch.bytes) == 0);
    free(mapping);
}

/* The one idle longest, no longer in the queue. */
static struct mapping *take_oldest_locked(struct mappings *mappings) {
    struct mapping *mapping = TAILQ_FIRST(&mappings->idle);
    TAILQ_REMOVE(&mappings->idle, mapping, link);
    mappings->idle_bytes -= mapping->stretch.bytes;
    return mapping;
}

void mappings_fini(struct mappings *mappings) {
    MUST(TAILQ_EMPTY(&mappings->used));
    while (!TAILQ_EMPTY(&mappings->idle)) {
        unmap(take_oldest_locked(mappings));
    }
    mutex_fini(&mappings->mutex);
}

static struct mapping *find(struct mapping_queue *queue, const struct stretch *stretch) {
    struct mapping *mapping = NULL;
    TAILQ_FOREACH(mapping, queue, link) {
        const struct stretch *other = &mapping->stretch;
        if (other->device == stretch->device && other->file == stretch->file &&
            other->offset == stretch->offset && other->bytes == stretch->bytes) {
            return mapping;
        }
    }
    return NULL;
}

/* Counts the caller in. NULL when there is none. */
static struct mapping *join_locked(struct mappings *mappings, const struct stretch *stretch) {
    struct mapping *mapping = find(&mappings->used, stretch);
    if (!mapping && (mapping = find(&mappings->idle, stretch)) != NULL) {
        TAILQ_REMOVE(&mappings->idle, mapping, link);
        mappings->idle_bytes -= stretch->bytes;
        TAILQ_INSERT_HEAD(&mappings->used, mapping, link);
    }
    if (mapping) {
        mapping->readers++;
    }
    return mapping;
}

static struct mapping *join(struct mappings *mappings, const struct stretch *stretch) {
    mutex_lock(&mappings->mutex);
    struct mapping *mapping = join_locked(mappings, stretch);
    mutex_unlock(&mappings->mutex);
    return mapping;
}

static bool is_in_memory(void *pages, size_t bytes, size_t page_bytes) {
    unsigned char state[ASKED_PAGES];
    const size_t step = sizeof state * page_bytes;
    for (size_t at = 0; at < bytes; at += step) {
        size_t count = bytes - at < step ? bytes - at : step;
        if (mincore((char *)pages + at, count, state) != 0) {
            return false;
        }
        for (size_t i = 0; i < (count + page_bytes - 1) / page_bytes; i++) {
            if (!(state[i] & 1)) {
                return false;
            }
        }
    }
    return true;
}

/* NULL: no address space left, a file system that cannot, not all in memory. */
static struct mapping *map(int fd, const struct stretch *stretch, size_t page_bytes) {
    void *pages = mmap(NULL, stretch->bytes, PROT_READ, MAP_SHARED, fd, (off_t)stretch->offset);
    if (pages == MAP_FAILED) {
        return NULL;
    }
    /* All pages at once: one by one, at the first copy, each costs more than to copy it. Before Linux 5.14 that cannot be asked for. */
    bool is_ready = is_in_memory(pages, stretch->bytes, page_bytes) &&
                    madvise(pages, stretch->bytes, MADV_POPULATE_READ) == 0;
    struct mapping *mapping = is_ready ? malloc(sizeof *mapping) : NULL;
    if (!mapping) {
        MUST(munmap(pages, stretch->bytes) == 0);
        return NULL;
    }
    *mapping = (struct mapping){.stretch = *stretch, .readers = 1, .pages = pages};
    return mapping;
}

/* Two readers may come at the same time: both use the mapping of one of them. */
static struct mapping *add(struct mappings *mappings, struct mapping *take_mapping) {
    mutex_lock(&mappings->mutex);
    struct mapping *first = join_locked(mappings, &take_mapping->stretch);
    if (!first) {
        TAILQ_INSERT_HEAD(&mappings->used, take_mapping, link);
    }
    mutex_unlock(&mappings->mutex);
    if (first) {
        unmap(take_mapping);
    }
    return first ? first : take_mapping;
}

enum err mapping_take(struct mappings *mappings, int fd, uint64_t offset, size_t count,
                      struct mapping **ret_mapping, const void **ret_bytes) {
    MUST(count > 0);
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return ERR_AGAIN;
    }
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t before = (size_t)(offset % page_bytes);
    struct stretch stretch = {
        .device = status.st_dev, .file = status.st_ino, .offset = offset - before, .bytes = before + count};
    struct mapping *mapping = join(mappings, &stretch);
    if (mapping && !is_in_memory(mapping->pages, stretch.bytes, page_bytes)) {
        mapping_release(mappings, mapping);
        return ERR_AGAIN;
    }
    if (!mapping) {
        struct mapping *own = map(fd, &stretch, page_bytes);
        mapping = own ? add(mappings, own) : NULL;
    }
    if (!mapping) {
        return ERR_AGAIN;
    }
    *ret_mapping = mapping;
    *ret_bytes = (const char *)mapping->pages + before;
    return OK;
}

void mapping_release(struct mappings *mappings, struct mapping *mapping) {
    if (!mapping) {
        return;
    }
    struct mapping_queue surplus = TAILQ_HEAD_INITIALIZER(surplus);
    mutex_lock(&mappings->mutex);
    if (--mapping->readers == 0) {
        TAILQ_REMOVE(&mappings->used, mapping, link);
        TAILQ_INSERT_TAIL(&mappings->idle, mapping, link);
        mappings->idle_bytes += mapping->stretch.bytes;
    }
    while (mappings->idle_bytes > KEPT_BYTES) {
        struct mapping *oldest = take_oldest_locked(mappings);
        TAILQ_INSERT_TAIL(&surplus, oldest, link);
    }
    mutex_unlock(&mappings->mutex);
    while (!TAILQ_EMPTY(&surplus)) {
        struct mapping *oldest = TAILQ_FIRST(&surplus);
        TAILQ_REMOVE(&surplus, oldest, link);
        unmap(oldest);
    }
}
