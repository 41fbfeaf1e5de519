/* s3_errors.h - the one place where an S3 refusal becomes an error of ours. */
#ifndef POOLS_S3_S3_ERRORS_H
#define POOLS_S3_S3_ERRORS_H

#include "pools/base/op.h"
#include "pools/object_store/retry.h"

#include <stdbool.h>

/* What an answer other than success says. Nothing in it is secret. */
struct s3_refusal {
    unsigned status;
    const char *code;   /* of the error document; "" when there was none */
    const char *region; /* where the bucket is; "" when not told */
    unsigned retry_after_s;
    bool conditional; /* the request had a precondition */
    bool asks_object; /* it was for an object that need not be there: only then absence is an answer */
};

struct s3_error_row {
    unsigned status;  /* 0 = any */
    const char *code; /* "" = no or any other code */
    enum reason reason;
    enum retry_cause cause;
    const char *sentence; /* impersonal; never what the server wrote */
};

/* Never NULL: the last row takes everything. */
const struct s3_error_row *s3_errors_find(unsigned status, const char *code);
/* Records the refusal; *ret_cause says whether asking again may help. */
enum err s3_errors_record(struct op *op, const struct s3_refusal *refusal, enum retry_cause *ret_cause);

#endif
