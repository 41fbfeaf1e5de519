/* op.h - what travels with every call that may block: a deadline, a cancel flag, room for the fault.
 *
 * One op belongs to one piece of work and is used by one thread at a time; only `cancelled` may be
 * touched by another thread. The function that *discovers* a failure records it with op_fail and
 * returns the kind; callers pass the kind on and do not reword. A fault is one impersonal sentence;
 * secrets, signed URLs and file paths never enter it (design.md section 6).
 */
#ifndef POOLS_BASE_OP_H
#define POOLS_BASE_OP_H

#include "pools/base/err.h"

#include <stdatomic.h>
#include <stdint.h>

#define OP_DETAIL_BYTES 320
#define OP_POOL_BYTES 65

/* What went wrong, by whom. Plain data: copied freely (a flight hands it to all its readers). */
struct fault {
    enum reason reason;
    unsigned retry_after_s;   /* 0 = no advice */
    char pool[OP_POOL_BYTES]; /* nickname of the pool that failed, "" = none */
    char detail[OP_DETAIL_BYTES];
};

/* Nothing went wrong. */
static inline void fault_clear(struct fault *fault) {
    fault->reason = REASON_NONE;
    fault->retry_after_s = 0;
    fault->pool[0] = '\0';
    fault->detail[0] = '\0';
}

struct op {
    uint64_t deadline_ns; /* monotonic (clock_now_ns); 0 = none */
    uint64_t slide_ns;    /* while a body moves the deadline stays so far ahead (op_advance); 0 = it stands */
    uint64_t request_id;  /* 0 = none; appears in log lines */
    atomic_bool cancelled;
    struct fault fault;
};

/* timeout_ns 0 = no deadline. */
void op_init(struct op *op, uint64_t request_id, uint64_t timeout_ns);

/* Records the fault and gives reason_kind(reason), so that `return op_fail(...)` reads well. A macro, so that analyzers see
 * that it never gives OK; `reason` is evaluated twice. */
#define op_fail(op, reason, ...) (op_record(op, reason, __VA_ARGS__), reason_kind(reason))
void op_record(struct op *op, enum reason reason, const char *format, ...) PRINTF_LIKE(3, 4);
/* Takes over a fault another op recorded and returns its kind (OK when it holds none). */
enum err op_adopt(struct op *op, const struct fault *fault);
/* Out of memory, in one expression. */
static inline enum err op_no_memory(struct op *op) {
    return op_fail(op, REASON_NO_MEMORY, "out of memory");
}
/* From an errno: ENOSPC/EDQUOT/EFBIG -> NO_SPACE, ENOMEM -> NO_MEMORY, else REASON_IO; `what` is "write", "fsync". */
enum err op_fail_errno(struct op *op, int errno_value, const char *what);

/* OK, or ERR_CANCELLED / ERR_TIMEOUT recorded. Call it at every chunk of long work. */
enum err op_check(struct op *op) MUST_USE;
/* The next step begins: it has so much time; 0 = no limit. */
void op_step(struct op *op, uint64_t timeout_ns);
/* A piece of the body has moved: a deadline that slides is set anew. */
void op_advance(struct op *op);
/* Time until the deadline, never more than `most_ns`; 0 when it has passed. */
uint64_t op_left_ns(const struct op *op, uint64_t most_ns);

#endif
