/* s3_remove.c - deleting one object, under a precondition or not.
 *
 * S3 answers the same whether or not the object was there, so the existence reported is "yes" unless something told otherwise.
 */
#include "pools/s3/s3_internal.h"

#include <stdio.h>

/* A 412 after an attempt whose answer was lost: the object may be gone by that attempt. */
static enum err settle(struct s3_pool *s3, struct op *op, const char *name, const char *etag) {
    struct fault refused = op->fault;
    char now[S3_ETAG_BYTES];
    enum err err = s3_head(s3, op, name, NULL, now);
    if (err == ERR_NOT_FOUND) {
        return OK;
    }
    if (err == OK && strcmp(now, etag) == 0) {
        return op_adopt(op, &refused); /* still the version we named: nothing was deleted */
    }
    return op_fail(op, REASON_UNAVAILABLE, "the answer to the delete was lost; its outcome is unknown");
}

static enum err delete_object(struct s3_pool *s3, struct op *op, const char *name, const char *etag,
                              bool *ret_existed) {
    struct s3_call call = {.method = "DELETE", .name = name};
    char quoted[S3_ETAG_BYTES + 2];
    if (etag) {
        snprintf(quoted, sizeof quoted, "\"%s\"", etag);
        s3_call_field(&call, "If-Match", quoted);
        call.conditional = true;
    }
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    enum err err = s3_call_send(s3, op, &call, &answer);
    if (err == ERR_PRECONDITION && etag && answer.ambiguous) {
        err = settle(s3, op, name, etag);
    }
    *ret_existed = err == OK || answer.ambiguous; /* gone by an earlier attempt, it was there */
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err s3_remove(struct pool *pool, struct op *op, const struct id *id, const struct condition *condition,
                   bool *ret_existed) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    char name[S3_NAME_BYTES];
    bool fits = s3_key_from_id(s3->prefix, id, name);
    bool conditional = condition && condition->kind != CONDITION_NONE;
    char etag[S3_ETAG_BYTES] = "";
    if (conditional) {
        enum err err =
            fits ? s3_condition_judge(s3, op, name, condition, etag) : condition_check(op, condition, NULL);
        if (err != OK) {
            return err;
        }
    }
    if (!fits || (conditional && etag[0] == '\0')) {
        *ret_existed = false; /* nothing there, and the condition is content with that */
        return OK;
    }
    enum err err = delete_object(s3, op, name, conditional ? etag : NULL, ret_existed);
    /* A cached copy goes also where the store cannot judge the demand: HEAD, then DELETE, as a fill is HEAD, then PUT. */
    if (err == ERR_UNSUPPORTED && conditional && condition->kind == CONDITION_CACHED) {
        err = delete_object(s3, op, name, NULL, ret_existed);
    }
    return err;
}
