/* medium.h - what a shadow does to the disk: two files side by side, the HDF5 file and its journal, and nothing else.
 *
 * A table of functions, so that tests can stand in for a disk that loses what was not synced, tears writes or is full. medium_posix.c
 * is the real one.
 *
 * The functions return 0 or an errno; short writes are carried on with inside.
 */
#ifndef POOLS_HDF5_VFD_MEDIUM_H
#define POOLS_HDF5_VFD_MEDIUM_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The journal is beside the file: its name and this. */
#define MEDIUM_JOURNAL_SUFFIX "-journal"

enum medium_file { MEDIUM_MAIN, MEDIUM_JOURNAL };

struct medium;

struct medium_ops {
    /* Fewer bytes than asked for = the file ends there. */
    int (*read)(struct medium *medium, enum medium_file file, uint64_t offset, void *ret_bytes, size_t count,
                size_t *ret_count);
    int (*write)(struct medium *medium, enum medium_file file, uint64_t offset, const void *bytes,
                 size_t count);
    int (*sync)(struct medium *medium, enum medium_file file); /* data, and what is needed to find them */
    int (*size)(struct medium *medium, enum medium_file file, uint64_t *ret_bytes);
    int (*set_size)(struct medium *medium, enum medium_file file, uint64_t bytes);
    int (*set_mtime)(struct medium *medium, int64_t seconds); /* the main file's modification time; synced */
    int (*open_journal)(struct medium *medium,
                        bool create); /* ENOENT = there is none; create also syncs the directory */
    int (*remove_journal)(struct medium *medium); /* closed, unlinked, the directory synced */
    int (*set_journal_aside)(
        struct medium *medium); /* the same, but it is kept, as `<path>-journal.rejected` */
    void (*close)(struct medium *medium);
};

struct medium {
    const struct medium_ops *ops;
    bool writable;
    uint64_t main_identity; /* tells the file from its copies: the inode's number */
};

/* An entry made or removed beside the path is durable afterwards. 0 or an errno. */
int medium_sync_directory(const char *path);

/* The real one. fd is the HDF5 file's, locked by the caller, and stays the caller's; the journal is beside it.
 * Takes an exclusive flock on the journal, too: ERR_CONFLICT (REASON_FILE_IN_USE). */
enum err medium_open_posix(struct op *op, int fd, const char *path, bool writable,
                           struct medium **ret_medium) MUST_USE;

#endif
