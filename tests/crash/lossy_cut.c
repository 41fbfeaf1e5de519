/* lossy_cut.c - what a power cut leaves; the rules are in lossy_disk.h.
 *
 * Each file is built from what was durable and the operations since its last sync, the *pending* ones. A sector gets its pending
 * operations up to a number of its own, its cut-off. How cut-offs are drawn is the manner of the cut: some manners are
 * realistic, some are mean, each finds other mistakes sooner.
 */
#include "tests/crash/lossy_disk.h"

#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

#define SECTOR_BYTES 512

enum manner {
    CUT_NOTHING_LEFT,
    CUT_ALL_LEFT,
    CUT_IN_ORDER, /* everything up to one operation */
    CUT_ANY_VERSION,
    CUT_ALL_OR_NOTHING, /* per sector */
    CUT_LOSES_ONE,      /* operation, and what came later over it */
    CUT_LEAVES_ONE,
    CUT_LOSES_A_SECTOR, /* of one operation */
    CUT_MANNERS
};

struct cut {
    const struct lossy_disk *disk;
    size_t *pending; /* numbers of operations */
    size_t count;
    enum manner manner;
    size_t chosen; /* the one operation of a manner that has one */
    uint64_t salt;
};

static bool touches(const struct disk_op *op, uint64_t sector) {
    uint64_t first = op->offset / SECTOR_BYTES;
    if (op->kind == DISK_SET_SIZE) {
        return sector >= first;
    }
    return sector >= first && sector <= (op->offset + op->count - 1) / SECTOR_BYTES;
}

static uint64_t lost_sector(const struct disk_op *op, uint64_t salt) {
    uint64_t first = op->offset / SECTOR_BYTES;
    return op->kind == DISK_WRITE ? first + salt % ((op->offset + op->count - 1) / SECTOR_BYTES - first + 1)
                                  : first;
}

static size_t cut_off(const struct cut *cut, uint64_t sector) {
    struct chance own = chance_of(cut->salt, sector);
    const struct disk_op *chosen = cut->count ? &cut->disk->ops[cut->pending[cut->chosen]] : NULL;
    switch (cut->manner) {
    case CUT_NOTHING_LEFT:
        return 0;
    case CUT_ALL_LEFT:
        return cut->count;
    case CUT_IN_ORDER:
        return cut->chosen;
    case CUT_ANY_VERSION:
        return chance_below(&own, cut->count + 1);
    case CUT_ALL_OR_NOTHING:
        return chance_percent(&own, 50) ? cut->count : 0;
    case CUT_LOSES_ONE:
        return touches(chosen, sector) ? cut->chosen : cut->count;
    case CUT_LEAVES_ONE:
        return touches(chosen, sector) ? cut->chosen + 1 : 0;
    case CUT_LOSES_A_SECTOR:
        return sector == lost_sector(chosen, cut->salt) ? cut->chosen : cut->count;
    case CUT_MANNERS:
        break;
    }
    return 0;
}

static void need(struct disk_file *file, size_t size) {
    if (size > file->capacity) {
        file->bytes = realloc(file->bytes, size + size / 2);
        MUST(file->bytes);
        file->capacity = size + size / 2;
    }
    if (size > file->size) {
        memset(file->bytes + file->size, 0, size - file->size);
        file->size = size;
    }
}

static void apply(struct disk_file *file, const struct disk_op *op) {
    if (op->kind == DISK_WRITE) {
        need(file, (size_t)op->offset + op->count);
        memcpy(file->bytes + op->offset, op->bytes, op->count);
    } else if (op->kind == DISK_SET_SIZE) {
        file->size = file->size < op->offset ? file->size : (size_t)op->offset;
        need(file, (size_t)op->offset);
    }
}

/* Sector by sector; the length is not touched by a smaller size, only what stands behind it becomes zeros. */
static void apply_in_part(const struct cut *cut, struct disk_file *file, size_t index) {
    const struct disk_op *op = &cut->disk->ops[cut->pending[index]];
    uint64_t end = op->kind == DISK_WRITE ? op->offset + op->count : file->size;
    need(file, (size_t)end);
    for (uint64_t at = op->offset; at < end;) {
        uint64_t sector = at / SECTOR_BYTES;
        uint64_t next = (sector + 1) * SECTOR_BYTES;
        next = next < end ? next : end;
        if (index < cut_off(cut, sector)) {
            if (op->kind == DISK_WRITE) {
                memcpy(file->bytes + at, op->bytes + (at - op->offset), (size_t)(next - at));
            } else {
                memset(file->bytes + at, 0, (size_t)(next - at));
            }
        }
        at = next;
    }
}

/* The length after so many pending operations. */
static size_t length_after(const struct cut *cut, size_t durable, size_t operations) {
    size_t length = durable;
    for (size_t i = 0; i < operations; i++) {
        const struct disk_op *op = &cut->disk->ops[cut->pending[i]];
        if (op->kind == DISK_SET_SIZE) {
            length = (size_t)op->offset;
        } else if (op->offset + op->count > length) {
            length = (size_t)op->offset + op->count;
        }
    }
    return length;
}

static size_t choose_length(const struct cut *cut, struct chance *chance, size_t durable) {
    size_t operations = chance_below(chance, cut->count + 1);
    switch (cut->manner) {
    case CUT_NOTHING_LEFT:
        operations = 0;
        break;
    case CUT_ALL_LEFT:
    case CUT_LOSES_ONE:
    case CUT_LOSES_A_SECTOR:
        operations = cut->count;
        break;
    case CUT_IN_ORDER:
        operations = cut->chosen;
        break;
    case CUT_LEAVES_ONE:
        operations = cut->count ? cut->chosen + 1 : 0;
        break;
    case CUT_ANY_VERSION:
    case CUT_ALL_OR_NOTHING:
    case CUT_MANNERS:
        break;
    }
    return length_after(cut, durable, operations);
}

static bool is_of(const struct disk_op *op, enum medium_file file, unsigned journal) {
    return op->kind <= DISK_SYNC && op->file == file && (file == MEDIUM_MAIN || op->journal == journal);
}

/* `file` holds what it was before the first operation. */
static void cut_file(const struct lossy_disk *disk, size_t at, struct chance *chance, enum medium_file which,
                     unsigned journal, struct disk_file *file) {
    size_t synced = 0;
    for (size_t i = 0; i < at; i++) {
        if (disk->ops[i].kind == DISK_SYNC && is_of(&disk->ops[i], which, journal)) {
            synced = i;
        }
    }
    struct cut cut = {.disk = disk, .salt = chance_next(chance)};
    cut.pending = malloc((at + 2) * sizeof *cut.pending);
    MUST(cut.pending);
    for (size_t i = 0; i <= at && i < disk->op_count; i++) {
        const struct disk_op *op = &disk->ops[i];
        if (!is_of(op, which, journal) || op->kind == DISK_SYNC) {
            continue;
        }
        if (i < synced) {
            apply(file, op);
        } else {
            cut.pending[cut.count++] = i;
        }
    }
    cut.manner = (enum manner)chance_below(chance, CUT_MANNERS);
    cut.chosen = cut.count ? chance_below(chance, cut.count) : 0;
    size_t durable = file->size;
    for (size_t i = 0; i < cut.count; i++) {
        apply_in_part(&cut, file, i);
    }
    size_t length = choose_length(&cut, chance, durable);
    need(file, length);
    file->size = length;
    free(cut.pending);
}

/* Which journal the directory shows: the one of its last sync, or the one there was at the cut. */
static unsigned choose_journal(const struct lossy_disk *disk, size_t at, struct chance *chance) {
    unsigned synced = disk->base.has_journal ? 1 : 0;
    unsigned latest = synced;
    for (size_t i = 0; i <= at && i < disk->op_count; i++) {
        const struct disk_op *op = &disk->ops[i];
        if (op->kind == DISK_CREATE || op->kind == DISK_REMOVE) {
            latest = op->journal;
        } else if (op->kind == DISK_SYNC_DIRECTORY && i < at) {
            synced = latest;
        }
    }
    return chance_percent(chance, 50) ? synced : latest;
}

void disk_cut(const struct lossy_disk *disk, size_t at, struct chance *chance, struct disk_image *ret_image) {
    image_copy(&disk->base, ret_image);
    cut_file(disk, at, chance, MEDIUM_MAIN, 0, &ret_image->main);
    unsigned journal = choose_journal(disk, at, chance);
    bool was_there = disk->base.has_journal && journal == 1;
    ret_image->has_journal = journal != 0;
    if (!was_there) {
        ret_image->journal.size = 0;
    }
    if (journal) {
        cut_file(disk, at, chance, MEDIUM_JOURNAL, journal, &ret_image->journal);
    }
}
