/* s3fifo.c - see s3fifo.h for the algorithm and who locks.
 *
 * The ghost is a table of (fingerprint, when), four to a bucket; the oldest of the four is overwritten. A trace
 * counts only while it is among the last n remembered, n being how many nodes are queued now: so it forgets on time
 * without a queue of its own, and its memory is fixed.
 */
#include "pools/memory/s3fifo.h"

#include <stdlib.h>

#define GHOST_WAYS 4u
#define HITS_TO_STAY 2
/* One call moves at most so many nodes on before it takes the next as it is: the caller holds a lock. */
#define VICTIM_MOST_STEPS 256

struct s3fifo_trace {
    uint32_t fingerprint; /* 0 = free */
    uint32_t when;
};

static uint32_t fingerprint_of(uint64_t hash) {
    uint32_t fingerprint = (uint32_t)(hash >> 32);
    return fingerprint ? fingerprint : 1;
}

static struct s3fifo_trace *ghost_bucket(struct s3fifo *fifo, uint64_t hash) {
    return &fifo->ghost[(hash & fifo->ghost_mask) & ~(uint64_t)(GHOST_WAYS - 1)];
}

static void ghost_remember(struct s3fifo *fifo, uint64_t hash) {
    struct s3fifo_trace *bucket = ghost_bucket(fifo, hash);
    struct s3fifo_trace *trace = &bucket[0];
    for (unsigned i = 0; i < GHOST_WAYS && trace->fingerprint; i++) {
        if (!bucket[i].fingerprint || fifo->ghost_clock - bucket[i].when > fifo->ghost_clock - trace->when) {
            trace = &bucket[i];
        }
    }
    trace->fingerprint = fingerprint_of(hash);
    trace->when = fifo->ghost_clock++;
}

/* Whether the key left lately; if so, forgets it. */
static bool ghost_recall(struct s3fifo *fifo, uint64_t hash) {
    struct s3fifo_trace *bucket = ghost_bucket(fifo, hash);
    for (unsigned i = 0; i < GHOST_WAYS; i++) {
        if (bucket[i].fingerprint == fingerprint_of(hash)) {
            bucket[i].fingerprint = 0;
            return fifo->ghost_clock - bucket[i].when <= fifo->small.count + fifo->main.count + 1;
        }
    }
    return false;
}

static struct s3fifo_queue *queue_of(struct s3fifo *fifo, const struct s3fifo_node *node) {
    return node->place == S3FIFO_SMALL ? &fifo->small : &fifo->main;
}

static void link_newest(struct s3fifo *fifo, struct s3fifo_node *node, enum s3fifo_place place) {
    node->place = place;
    struct s3fifo_queue *queue = queue_of(fifo, node);
    node->newer = NULL;
    node->older = queue->newest;
    if (queue->newest) {
        queue->newest->newer = node;
    } else {
        queue->oldest = node;
    }
    queue->newest = node;
    queue->bytes += node->bytes;
    queue->count++;
}

bool s3fifo_init(struct s3fifo *fifo, size_t ghost_traces) {
    size_t traces = GHOST_WAYS;
    while (traces < ghost_traces) {
        traces *= 2;
    }
    *fifo = (struct s3fifo){.ghost_mask = traces - 1};
    fifo->ghost = calloc(traces, sizeof *fifo->ghost);
    return fifo->ghost != NULL;
}

void s3fifo_fini(struct s3fifo *fifo) {
    free(fifo->ghost);
    fifo->ghost = NULL;
}

void s3fifo_insert(struct s3fifo *fifo, struct s3fifo_node *node, bool warm) {
    atomic_store_explicit(&node->hits, 0, memory_order_relaxed);
    bool came_back = ghost_recall(fifo, node->hash);
    link_newest(fifo, node, warm || came_back ? S3FIFO_MAIN : S3FIFO_SMALL);
}

void s3fifo_remove(struct s3fifo *fifo, struct s3fifo_node *node) {
    if (node->place == S3FIFO_OUT) {
        return;
    }
    struct s3fifo_queue *queue = queue_of(fifo, node);
    if (node->newer) {
        node->newer->older = node->older;
    } else {
        queue->newest = node->older;
    }
    if (node->older) {
        node->older->newer = node->newer;
    } else {
        queue->oldest = node->newer;
    }
    queue->bytes -= node->bytes;
    queue->count--;
    node->newer = NULL;
    node->older = NULL;
    node->place = S3FIFO_OUT;
}

void s3fifo_hit(struct s3fifo_node *node) {
    /* Two hits at once may count as one: no atomic addition is worth paying here. */
    unsigned char hits = atomic_load_explicit(&node->hits, memory_order_relaxed);
    if (hits < S3FIFO_MOST_HITS) {
        atomic_store_explicit(&node->hits, (unsigned char)(hits + 1), memory_order_relaxed);
    }
}

struct s3fifo_node *s3fifo_victim(struct s3fifo *fifo, uint64_t small_bytes) {
    for (unsigned step = 0;; step++) {
        bool from_small = fifo->small.oldest && (fifo->small.bytes >= small_bytes || !fifo->main.oldest);
        struct s3fifo_node *node = from_small ? fifo->small.oldest : fifo->main.oldest;
        if (!node || step >= VICTIM_MOST_STEPS) {
            return node;
        }
        unsigned char hits = atomic_load_explicit(&node->hits, memory_order_relaxed);
        if (hits < (from_small ? HITS_TO_STAY : 1)) {
            return node;
        }
        s3fifo_remove(fifo, node);
        atomic_store_explicit(&node->hits, from_small ? 0 : (unsigned char)(hits - 1), memory_order_relaxed);
        link_newest(fifo, node, S3FIFO_MAIN);
    }
}

void s3fifo_evict(struct s3fifo *fifo, struct s3fifo_node *victim) {
    if (victim->place == S3FIFO_SMALL) {
        ghost_remember(fifo, victim->hash);
    }
    s3fifo_remove(fifo, victim);
}
