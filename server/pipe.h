/* pipe.h - a bounded byte pipe between one producer thread and one consumer thread.
 *
 * The one back-pressure primitive of the server: an upload goes poll thread -> pipe -> lane, a pulled answer lane -> pipe ->
 * poll thread. It is a ring that neither side locks: the producer owns `in`, the consumer owns `out`, each reads the other's.
 * It never waits and never wakes anybody: a full or empty pipe is the owner's business (exchange.h).
 *
 * Rules
 *  - The producer ends the pipe exactly once, with OK (complete) or a failure; nothing is written afterwards.
 *  - The consumer learns of the end only when it has taken every byte before it.
 *  - "Producer" and "consumer" are roles: a role may move to another thread if that hand-over is synchronised.
 */
#ifndef SERVER_PIPE_H
#define SERVER_PIPE_H

#include "pools/base/err.h"

#include <stdatomic.h>
#include <stdint.h>

struct pipe {
    uint8_t *memory;
    size_t capacity;
    atomic_size_t in;  /* bytes ever written */
    atomic_size_t out; /* bytes ever taken */
    atomic_int end;    /* PIPE_OPEN, or the enum err it ended with */
};

/* Allocates nothing; a pipe that was never opened is empty, has no space and is not ended. */
void pipe_init(struct pipe *pipe);
/* Gives it its ring; false when out of memory. */
bool pipe_open(struct pipe *pipe, size_t capacity_bytes) MUST_USE;
void pipe_fini(struct pipe *pipe);

/* Producer. The free bytes that lie in one piece (0 = full); what was written there counts after pipe_commit. */
size_t pipe_space(struct pipe *pipe, void **ret_where);
void pipe_commit(struct pipe *pipe, size_t count);
/* Copies as much as fits and returns how much that was. */
size_t pipe_write(struct pipe *pipe, const void *bytes, size_t count);
void pipe_end(struct pipe *pipe, enum err result);

/* Consumer. Takes up to cap bytes; 0 = empty. */
size_t pipe_read(struct pipe *pipe, void *ret_bytes, size_t cap);
/* True when the end was reached: nothing is left and nothing will come. */
bool pipe_at_end(const struct pipe *pipe, enum err *ret_result);

/* Either side; may be out of date for the other's part in the safe direction only. */
size_t pipe_used(const struct pipe *pipe);

#endif
