/* mapping.h - stretches of a file in the address space, for bodies that the kernel is to copy from there into a socket.
 *
 * Nobody here may look at the bytes: a page that cannot be had (somebody cut the file off, the disk fails) is an error of
 * the send() that copies from it, but a signal for a program that touches it. The bytes are copied once, from the page cache
 * to the socket, while the reader holds its version; what is sent afterwards is the socket's own.
 *
 * A mapping says nothing about what lies there: it is a window on the file, and may outlive every version that lay
 * behind it. So mappings stay for the next reader, idle ones up to KEPT_BYTES: making one costs up to as much as
 * copying it, where a virtual machine keeps a second table of its pages.
 *
 * Life of a mapping: 1 used, by one reader or several; 2 idle, in the queue; then 1 again, or unmapped.
 */
#ifndef POOLS_HDF5_MAPPING_H
#define POOLS_HDF5_MAPPING_H

#include "pools/base/err.h"
#include "pools/base/mutex.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct mapping;
TAILQ_HEAD(mapping_queue, mapping);

/* A file's. Any thread, but for init and fini. */
struct mappings {
    struct mutex mutex;
    struct mapping_queue used, idle; /* idle: the one used last at the end */
    uint64_t idle_bytes;
};

void mappings_init(struct mappings *mappings);
void mappings_fini(struct mappings *mappings); /* none is used any more */

/* OK when all of it is in the page cache and ready to be copied from, else ERR_AGAIN: read it instead. count > 0; *ret_bytes is good until
 * mapping_release. Where the kernel does not tell what it has in memory (somebody else's file) it may wait for the disk: lanes only. */
enum err mapping_take(struct mappings *mappings, int fd, uint64_t offset, size_t count,
                      struct mapping **ret_mapping, const void **ret_bytes) MUST_USE;
/* Nobody copies from it any more on the caller's behalf. NULL allowed. May unmap, which takes a millisecond for 64 MiB. */
void mapping_release(struct mappings *mappings, struct mapping *mapping);

#endif
