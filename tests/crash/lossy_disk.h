/* lossy_disk.h - a medium in memory that remembers every operation, and what a power cut at any moment may leave of them.
 *
 * The rules of the cut: what was synced is there. Of each sector of 512 bytes written since then, any of the versions that it went through
 * may be there, each sector for itself: so writes are dropped, torn and in any order. The file's length is any that it
 * went through. A directory entry made or removed since the directory was synced may be there or not.
 */
#ifndef TESTS_CRASH_LOSSY_DISK_H
#define TESTS_CRASH_LOSSY_DISK_H

#include "pools/hdf5/vfd/medium.h"
#include "tests/crash/chance.h"

struct disk_file {
    uint8_t *bytes;
    size_t size;
    size_t capacity;
};

/* Both files, as they are when nobody has them open. */
struct disk_image {
    struct disk_file main;
    struct disk_file journal;
    bool has_journal;
};

enum disk_op_kind {
    DISK_WRITE,
    DISK_SET_SIZE,
    DISK_SYNC,
    DISK_CREATE,
    DISK_REMOVE,
    DISK_SYNC_DIRECTORY,
    DISK_MARK
};

struct disk_op {
    enum disk_op_kind kind;
    enum medium_file file;
    unsigned journal; /* which of the journals that there have been; 0 = none */
    uint64_t offset;  /* or the size, or the mark's number */
    unsigned mark;
    uint8_t *bytes;
    size_t count;
};

struct lossy_disk {
    struct medium medium;
    struct disk_image now;
    struct disk_image base; /* before the first operation */
    struct disk_op *ops;
    size_t op_count;
    size_t op_capacity;
    unsigned journals; /* how many there have been */
    bool journal_open;
    /* Faults that a test turns on. */
    bool ignores_sync[2];   /* by file: says yes and does nothing */
    unsigned fail_write_in; /* the n-th write from now fails after half of it; 0 = none does */
    bool fail_sync;
    int fail_errno;
};

/* Starts with a copy of the image; NULL = no files but an empty main one. */
void disk_open(struct lossy_disk *disk, const struct disk_image *image);
void disk_free(struct lossy_disk *disk);
/* Something that the test wants to know about the moment. */
void disk_mark(struct lossy_disk *disk, unsigned mark, uint64_t number);

/* What a cut leaves: operation `at` was under way, all before it had returned. */
void disk_cut(const struct lossy_disk *disk, size_t at, struct chance *chance, struct disk_image *ret_image);
void image_copy(const struct disk_image *image, struct disk_image *ret_image);
void image_free(struct disk_image *image);

#endif
