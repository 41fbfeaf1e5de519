/* s3_remove.c - deleting one object, under a precondition or not.
 *
 * S3 answers the same whether or not the object was there, so the existence reported is "yes" unless something told otherwise.
 */
#include "pools/s3/s3_internal.h"

#include <stdio.h>

static enum err delete_object(struct s3_pool *s3, struct op *op, const char *name, const char *etag,
                              bool *ret_existed) {
    struct s3_call call = {.method = "DELETE", .name = name};
    char quoted[S3_ETAG_BYTES + 2];
    if (etag) {
        snprintf(quoted, sizeof quoted, "\"%s\"", etag);
        s3_call_field(&call, "If-Match", quoted);
        call.conditional = true;
    }
    enum err err = s3_call_send_only(s3, op, &call);
    *ret_existed = err == OK;
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
    return delete_object(s3, op, name, conditional ? etag : NULL, ret_existed);
}
