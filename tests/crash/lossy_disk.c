/* lossy_disk.c - see lossy_disk.h: the medium and its memory. What a cut leaves is in lossy_cut.c. */
#include "tests/crash/lossy_disk.h"

#include "pools/base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Whoever writes behind this took nonsense for an address. */
#define FILE_MOST_BYTES ((uint64_t)1 << 28)

/* ---- files ---- */

static void file_need(struct disk_file *file, size_t size) {
    if (size > file->capacity) {
        size_t capacity = size + size / 2;
        file->bytes = realloc(file->bytes, capacity);
        MUST(file->bytes);
        file->capacity = capacity;
    }
    if (size > file->size) {
        memset(file->bytes + file->size, 0, size - file->size);
        file->size = size;
    }
}

static void file_copy(const struct disk_file *file, struct disk_file *ret_file) {
    *ret_file = (struct disk_file){0};
    file_need(ret_file, file->size);
    if (file->size) {
        memcpy(ret_file->bytes, file->bytes, file->size);
    }
}

static void file_free(struct disk_file *file) {
    free(file->bytes);
    *file = (struct disk_file){0};
}

void image_copy(const struct disk_image *image, struct disk_image *ret_image) {
    file_copy(&image->main, &ret_image->main);
    file_copy(&image->journal, &ret_image->journal);
    ret_image->has_journal = image->has_journal;
}

void image_free(struct disk_image *image) {
    file_free(&image->main);
    file_free(&image->journal);
    image->has_journal = false;
}

/* ---- the medium ---- */

static struct lossy_disk *disk_of(struct medium *medium) {
    return CONTAINER_OF(medium, struct lossy_disk, medium);
}

static struct disk_file *file_of(struct lossy_disk *disk, enum medium_file file) {
    MUST(file == MEDIUM_MAIN || disk->journal_open);
    return file == MEDIUM_MAIN ? &disk->now.main : &disk->now.journal;
}

static struct disk_op *remember(struct lossy_disk *disk, enum disk_op_kind kind, enum medium_file file) {
    if (disk->op_count == disk->op_capacity) {
        disk->op_capacity = disk->op_capacity ? disk->op_capacity * 2 : 256;
        disk->ops = realloc(disk->ops, disk->op_capacity * sizeof *disk->ops);
        MUST(disk->ops);
    }
    struct disk_op *op = &disk->ops[disk->op_count++];
    *op = (struct disk_op){.kind = kind, .file = file};
    op->journal = disk->now.has_journal ? disk->journals : 0;
    return op;
}

static int disk_read(struct medium *medium, enum medium_file file, uint64_t offset, void *ret_bytes,
                     size_t count, size_t *ret_count) {
    const struct disk_file *from = file_of(disk_of(medium), file);
    size_t left = offset < from->size ? from->size - (size_t)offset : 0;
    *ret_count = left < count ? left : count;
    if (*ret_count) {
        memcpy(ret_bytes, from->bytes + offset, *ret_count);
    }
    return 0;
}

static void put(struct lossy_disk *disk, enum medium_file file, uint64_t offset, const void *bytes,
                size_t count) {
    struct disk_file *to = file_of(disk, file);
    file_need(to, (size_t)offset + count);
    memcpy(to->bytes + offset, bytes, count);
    struct disk_op *op = remember(disk, DISK_WRITE, file);
    op->offset = offset;
    op->count = count;
    op->bytes = malloc(count);
    MUST(op->bytes);
    memcpy(op->bytes, bytes, count);
}

static int disk_write(struct medium *medium, enum medium_file file, uint64_t offset, const void *bytes,
                      size_t count) {
    struct lossy_disk *disk = disk_of(medium);
    MUST(count > 0);
    if (offset + count > FILE_MOST_BYTES) {
        return EFBIG;
    }
    if (disk->fail_write_in && --disk->fail_write_in == 0) {
        if (count > 1) {
            put(disk, file, offset, bytes, count / 2);
        }
        return disk->fail_errno;
    }
    put(disk, file, offset, bytes, count);
    return 0;
}

static int disk_sync(struct medium *medium, enum medium_file file) {
    struct lossy_disk *disk = disk_of(medium);
    (void)file_of(disk, file);
    if (disk->fail_sync) {
        return disk->fail_errno;
    }
    if (!disk->ignores_sync[file]) {
        remember(disk, DISK_SYNC, file);
    }
    return 0;
}

static int disk_size(struct medium *medium, enum medium_file file, uint64_t *ret_bytes) {
    *ret_bytes = file_of(disk_of(medium), file)->size;
    return 0;
}

static int disk_set_size(struct medium *medium, enum medium_file file, uint64_t bytes) {
    struct lossy_disk *disk = disk_of(medium);
    struct disk_file *to = file_of(disk, file);
    if (bytes > FILE_MOST_BYTES) {
        return EFBIG;
    }
    to->size = to->size < bytes ? to->size : (size_t)bytes;
    file_need(to, (size_t)bytes);
    remember(disk, DISK_SET_SIZE, file)->offset = bytes;
    return 0;
}

/* Nobody asks it what time it is. */
static int disk_set_mtime(struct medium *medium, int64_t seconds) {
    (void)medium;
    (void)seconds;
    return 0;
}

static int disk_open_journal(struct medium *medium, bool create) {
    struct lossy_disk *disk = disk_of(medium);
    if (disk->journal_open) {
        return 0;
    }
    if (!disk->now.has_journal) {
        if (!create) {
            return ENOENT;
        }
        disk->now.has_journal = true;
        disk->journals++;
        remember(disk, DISK_CREATE, MEDIUM_JOURNAL);
    }
    disk->journal_open = true;
    if (create) {
        remember(disk, DISK_SYNC_DIRECTORY, MEDIUM_JOURNAL);
    }
    return 0;
}

static int disk_remove_journal(struct medium *medium) {
    struct lossy_disk *disk = disk_of(medium);
    file_free(&disk->now.journal);
    disk->now.has_journal = false;
    disk->journal_open = false;
    remember(disk, DISK_REMOVE, MEDIUM_JOURNAL);
    remember(disk, DISK_SYNC_DIRECTORY, MEDIUM_JOURNAL);
    return 0;
}

/* The disk stays: the test looks at it. */
static void disk_close(struct medium *medium) {
    disk_of(medium)->journal_open = false;
}

static const struct medium_ops disk_ops = {
    .read = disk_read,
    .write = disk_write,
    .sync = disk_sync,
    .size = disk_size,
    .set_size = disk_set_size,
    .set_mtime = disk_set_mtime,
    .open_journal = disk_open_journal,
    .remove_journal = disk_remove_journal,
    .set_journal_aside = disk_remove_journal, /* under no name that anybody looks at */
    .close = disk_close,
};

void disk_open(struct lossy_disk *disk, const struct disk_image *image) {
    static const struct disk_image nothing;
    *disk = (struct lossy_disk){.medium = {.ops = &disk_ops, .writable = true, .main_identity = 4711}};
    image_copy(image ? image : &nothing, &disk->now);
    image_copy(image ? image : &nothing, &disk->base);
    disk->journals = disk->now.has_journal ? 1 : 0;
}

void disk_free(struct lossy_disk *disk) {
    image_free(&disk->now);
    image_free(&disk->base);
    for (size_t i = 0; i < disk->op_count; i++) {
        free(disk->ops[i].bytes);
    }
    free(disk->ops);
    *disk = (struct lossy_disk){0};
}

void disk_mark(struct lossy_disk *disk, unsigned mark, uint64_t number) {
    struct disk_op *op = remember(disk, DISK_MARK, MEDIUM_MAIN);
    op->mark = mark;
    op->offset = number;
}
