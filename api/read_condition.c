/* read_condition.c - see read_condition.h; the order is RFC 9110, 13.2.2's. */
#include "api/read_condition.h"

#include "api/headers.h"

enum err read_condition_judge(struct request *request, const char *tag, bool *ret_not_modified) {
    struct op *op = &request->op;
    const struct request_io *io = request->io;
    struct condition condition;
    enum err err = headers_condition(op, io->header(request, "If-Match"), NULL, &condition);
    if (!err && condition.kind == CONDITION_MATCH && !headers_condition_names(&condition, tag)) {
        err = op_fail(op, REASON_PRECONDITION_FAILED, "the current entity tag is %s", tag);
    }
    err = err ? err : headers_condition(op, NULL, io->header(request, "If-None-Match"), &condition);
    *ret_not_modified =
        !err && (condition.kind == CONDITION_ABSENT || headers_condition_names(&condition, tag));
    return err;
}
