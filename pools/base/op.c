/* op.c - deadlines and faults. See op.h. */
#include "pools/base/op.h"

#include "pools/base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void op_init(struct op *op, uint64_t request_id, uint64_t timeout_ns) {
    op_step(op, timeout_ns);
    op->slide_ns = 0;
    op->request_id = request_id;
    atomic_init(&op->cancelled, false);
    fault_clear(&op->fault);
}

void op_record(struct op *op, enum reason reason, const char *format, ...) {
    op->fault.reason = reason;
    op->fault.retry_after_s = 0;
    op->fault.pool[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(op->fault.detail, sizeof op->fault.detail, format, arguments);
    va_end(arguments);
}

enum err op_adopt(struct op *op, const struct fault *fault) {
    op->fault = *fault;
    return reason_kind(fault->reason);
}

enum err op_fail_errno(struct op *op, int errno_value, const char *what) {
    char text[96];
    switch (errno_value) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return op_fail(op, REASON_NO_SPACE, "%s: no space left", what);
    case ENOMEM:
        return op_no_memory(op);
    default:
        break;
    }
    /* The GNU form: returns the text, which may or may not be in the buffer. */
    return op_fail(op, REASON_IO, "%s: %s", what, strerror_r(errno_value, text, sizeof text));
}

enum err op_check(struct op *op) {
    if (atomic_load_explicit(&op->cancelled, memory_order_relaxed)) {
        return op_fail(op, REASON_CANCELLED, "the operation was cancelled");
    }
    if (op->deadline_ns && clock_now_ns() >= op->deadline_ns) {
        return op_fail(op, REASON_TIMEOUT, "the deadline has passed");
    }
    return OK;
}

void op_step(struct op *op, uint64_t timeout_ns) {
    op->deadline_ns = timeout_ns ? clock_now_ns() + timeout_ns : 0;
}

void op_advance(struct op *op) {
    if (op->slide_ns) {
        op->deadline_ns = clock_now_ns() + op->slide_ns;
    }
}

uint64_t op_left_ns(const struct op *op, uint64_t most_ns) {
    if (!op->deadline_ns) {
        return most_ns;
    }
    uint64_t now_ns = clock_now_ns();
    if (now_ns >= op->deadline_ns) {
        return 0;
    }
    uint64_t left_ns = op->deadline_ns - now_ns;
    return left_ns < most_ns ? left_ns : most_ns;
}
