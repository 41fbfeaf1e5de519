/* stream.h - one growing body with one producer and any number of readers.
 *
 * A stream is made from an open reader of the tier that has the entry. Its producer task (on a fetch lane) copies the body
 * into memory, past flight_max_bytes into an unlinked spool file, hashing as it goes; readers and fills follow at their own
 * offsets. A body of known length up to entry_most_bytes is built as one `struct entry`.
 *
 * States
 *   1 GROWING   bytes are coming; size_now only grows.
 *   2 COMPLETE  all bytes are there, length and (when known) digest agree. The entry, if one is built, is set.
 *   3 FAILED    the source failed, ended early or did not match its digest. Whoever serves it must cut off.
 * Before state 2 becomes visible every attached fence is moved to SETTLING (fence.h).
 *
 * Threads: any; one mutex per stream (RANK_STREAM). Reading from the spool happens outside it.
 */
#ifndef POOLS_CHAIN_STREAM_H
#define POOLS_CHAIN_STREAM_H

#include "pools/base/executor.h"
#include "pools/base/spool.h"
#include "pools/base/waker.h"
#include "pools/pool.h"

struct stream;

struct stream_limits {
    uint64_t entry_most_bytes;
    uint64_t flight_max_bytes;
    uint64_t step_timeout_ns; /* for each piece; 0 = no limit */
};

/* Takes the reader and starts the producer on that lane, as a task of that share; without an executor the whole body is produced before this returns. One
 * reference. ERR_NO_MEMORY (then the reader is closed too). */
enum err stream_open(struct op *op, struct executor *executor, enum lane lane, const void *share,
                     struct spool_dir *spool_dir, const struct stream_limits *limits,
                     struct reader *take_reader, struct stream **ret_stream) MUST_USE;
struct stream *stream_ref(struct stream *stream);
void stream_unref(struct stream *stream);
/* How many references there are, the producer's included: whoever knows its own can tell whether anybody else is left. */
unsigned stream_refs(struct stream *stream);
DEFINE_AUTO(struct stream, stream_unref)
/* Ends the producer at its next piece. */
void stream_cancel(struct stream *stream);

/* As far as known now; the digest is set in state 2 at the latest. The copy is the caller's (meta_fini). */
void stream_meta(struct stream *stream, struct meta *ret_meta);
/* Whether the answer may be sent: COMPLETE, or GROWING with a body that will not be awaited whole. FAILED records the fault.
 * ERR_AGAIN otherwise. */
enum err stream_ready(struct stream *stream, struct op *op) MUST_USE;
/* State 2 or 3: nothing will change any more. */
bool stream_ended(struct stream *stream);
/* State 3. */
bool stream_failed(struct stream *stream);
/* The whole body as an entry (referenced), or NULL. */
struct entry *stream_entry(struct stream *stream);
/* From offset on: OK and a count > 0; OK and 0 at the verified end; ERR_AGAIN; or the failure. The last byte of a body of known length is
 * held back until state 2: who counts bytes must not have the answer before it is verified. */
enum err stream_read(struct stream *stream, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                     size_t *ret_count) MUST_USE;

/* A listener is woken under the stream's lock on every growth and at the end. */
struct stream_listener {
    struct stream_listener *next;
    struct waker waker;
};
void stream_listen(struct stream *stream, struct stream_listener *listener);
/* No wake starts after it returned. */
void stream_unlisten(struct stream *stream, struct stream_listener *listener);

/* The fence goes to SETTLING before readers can see the end; at once when the stream is complete already. */
struct stream_fence {
    struct stream_fence *next;
    struct fence_table *table;
    struct fence *fence;
};
void stream_attach_fence(struct stream *stream, struct stream_fence *fence);
void stream_detach_fence(struct stream *stream, struct stream_fence *fence);

#endif
