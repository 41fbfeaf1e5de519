/* pipe.c - see pipe.h. `in` and `out` only grow; the place in the ring is their remainder. */
#include "server/pipe.h"

#include "pools/base/must.h"

#include <stdlib.h>

enum { PIPE_OPEN = -1 };

void pipe_init(struct pipe *pipe) {
    pipe->memory = NULL;
    pipe->capacity = 0;
    atomic_init(&pipe->in, 0);
    atomic_init(&pipe->out, 0);
    atomic_init(&pipe->end, PIPE_OPEN);
}

bool pipe_open(struct pipe *pipe, size_t capacity_bytes) {
    MUST(!pipe->memory && capacity_bytes);
    pipe->memory = malloc(capacity_bytes);
    pipe->capacity = pipe->memory ? capacity_bytes : 0;
    return pipe->memory != NULL;
}

void pipe_fini(struct pipe *pipe) {
    free(pipe->memory);
    pipe_init(pipe);
}

size_t pipe_space(struct pipe *pipe, void **ret_where) {
    if (!pipe->capacity) {
        return 0;
    }
    size_t in = atomic_load_explicit(&pipe->in, memory_order_relaxed);
    size_t used = in - atomic_load_explicit(&pipe->out, memory_order_acquire);
    size_t place = in % pipe->capacity;
    size_t room = pipe->capacity - used;
    size_t to_edge = pipe->capacity - place;
    *ret_where = pipe->memory + place;
    return room < to_edge ? room : to_edge;
}

void pipe_commit(struct pipe *pipe, size_t count) {
    size_t in = atomic_load_explicit(&pipe->in, memory_order_relaxed);
    MUST(in + count - atomic_load_explicit(&pipe->out, memory_order_relaxed) <= pipe->capacity);
    atomic_store_explicit(&pipe->in, in + count, memory_order_release);
}

size_t pipe_write(struct pipe *pipe, const void *bytes, size_t count) {
    size_t written = 0;
    void *where = NULL;
    size_t space = 0;
    while (written < count && (space = pipe_space(pipe, &where)) > 0) {
        size_t piece = count - written < space ? count - written : space;
        memcpy(where, (const uint8_t *)bytes + written, piece);
        pipe_commit(pipe, piece);
        written += piece;
    }
    return written;
}

void pipe_end(struct pipe *pipe, enum err result) {
    MUST(atomic_load_explicit(&pipe->end, memory_order_relaxed) == PIPE_OPEN);
    atomic_store_explicit(&pipe->end, (int)result, memory_order_release);
}

size_t pipe_read(struct pipe *pipe, void *ret_bytes, size_t cap) {
    size_t out = atomic_load_explicit(&pipe->out, memory_order_relaxed);
    size_t used = atomic_load_explicit(&pipe->in, memory_order_acquire) - out;
    size_t count = used < cap ? used : cap;
    if (!count) {
        return 0;
    }
    size_t place = out % pipe->capacity;
    size_t to_edge = pipe->capacity - place;
    size_t first = count < to_edge ? count : to_edge;
    memcpy(ret_bytes, pipe->memory + place, first);
    memcpy((uint8_t *)ret_bytes + first, pipe->memory, count - first);
    atomic_store_explicit(&pipe->out, out + count, memory_order_release);
    return count;
}

bool pipe_at_end(const struct pipe *pipe, enum err *ret_result) {
    /* The end is read before the fill level: bytes committed before the end are seen. */
    int end = atomic_load_explicit(&pipe->end, memory_order_acquire);
    if (end == PIPE_OPEN || pipe_used(pipe)) {
        return false;
    }
    *ret_result = (enum err)end;
    return true;
}

size_t pipe_used(const struct pipe *pipe) {
    size_t out = atomic_load_explicit(&pipe->out, memory_order_acquire);
    return atomic_load_explicit(&pipe->in, memory_order_acquire) - out;
}
