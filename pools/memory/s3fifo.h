/* s3fifo.h - which cached copy goes when room is needed: S3-FIFO (Yang et al., "FIFO queues are all you need for cache
 * eviction", SOSP 2023).
 *
 * Three first-in first-out queues. New keys enter `small` (a tenth of the room). What was hit twice there moves on
 * to `main`, the rest leaves and only its hash is remembered in `ghost`; a key that returns while it is remembered
 * enters `main` at once. The end of `main` goes round again once for every hit it had. So a scan of keys that are read once
 * passes through `small` and never pushes out what is in use, and a hit moves nothing: it raises one counter.
 *
 * Nodes are embedded in the owner's objects. Not synchronised: the owner locks, except s3fifo_hit, which any thread may
 * call while the node cannot be freed.
 */
#ifndef POOLS_MEMORY_S3FIFO_H
#define POOLS_MEMORY_S3FIFO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum s3fifo_place { S3FIFO_OUT, S3FIFO_SMALL, S3FIFO_MAIN };

struct s3fifo_node {
    struct s3fifo_node *newer, *older;
    uint64_t hash;     /* of the key; set by the owner before the node is inserted */
    uint64_t bytes;    /* what its leaving frees; likewise */
    atomic_uchar hits; /* 0 to S3FIFO_MOST_HITS */
    enum s3fifo_place place;
};

#define S3FIFO_MOST_HITS 3

struct s3fifo_queue {
    struct s3fifo_node *newest, *oldest;
    uint64_t bytes;
    size_t count;
};

struct s3fifo_trace; /* one remembered key */

struct s3fifo {
    struct s3fifo_queue small, main;
    struct s3fifo_trace *ghost;
    size_t ghost_mask;
    uint32_t ghost_clock; /* keys remembered so far; wraps */
};

/* ghost_traces is how many left keys can be remembered, rounded up to a power of two. False when out of memory. */
bool s3fifo_init(struct s3fifo *fifo, size_t ghost_traces);
void s3fifo_fini(struct s3fifo *fifo); /* the nodes are the owner's */

/* The node becomes the newest of `small`, or of `main` when it is warm or its key left only lately. */
void s3fifo_insert(struct s3fifo *fifo, struct s3fifo_node *node, bool warm);
/* Taken out by its owner: nothing is remembered. Legal on a node that is out. */
void s3fifo_remove(struct s3fifo *fifo, struct s3fifo_node *node);
void s3fifo_hit(struct s3fifo_node *node);

/* Moves on what has earned it and returns who leaves next, still queued; NULL when there is nobody. `small` gives
 * first while it holds at least small_bytes. A bounded amount of work. */
struct s3fifo_node *s3fifo_victim(struct s3fifo *fifo, uint64_t small_bytes);
/* The victim leaves; one that goes from `small` is remembered. */
void s3fifo_evict(struct s3fifo *fifo, struct s3fifo_node *victim);

#endif
