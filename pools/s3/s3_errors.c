/* s3_errors.c - the table. A code that has a row decides; else the status; else the last row.
 *
 * Codes are those of the S3 API reference and of what Swift, Ceph, R2 and B2 are known to answer. The server's own message
 * is never passed on: it may quote keys, canonical requests and account names.
 */
#include "pools/s3/s3_errors.h"

#include "pools/base/attrs.h"

#include <stdio.h>

static const struct s3_error_row rows[] = {
    /* Absence. Only this is a miss. */
    {0, "NoSuchKey", REASON_ENTRY_NOT_FOUND, RETRY_NEVER, "the object does not exist"},
    /* A finished or aborted upload: somebody else's doing, or a leftover's end. */
    {0, "NoSuchUpload", REASON_BAD_ANSWER, RETRY_NEVER, "the multipart upload no longer exists"},

    /* The bucket is not what the configuration says. */
    {0, "NoSuchBucket", REASON_NO_SUCH_BUCKET, RETRY_NEVER, "the bucket does not exist"},
    {0, "InvalidBucketName", REASON_NO_SUCH_BUCKET, RETRY_NEVER, "the bucket's name is not valid there"},
    {0, "AuthorizationHeaderMalformed", REASON_WRONG_REGION, RETRY_NEVER, "the region is not the bucket's"},
    {0, "PermanentRedirect", REASON_WRONG_REGION, RETRY_NEVER, "the bucket is in another region"},
    {0, "TemporaryRedirect", REASON_WRONG_REGION, RETRY_NEVER, "the bucket is served elsewhere for now"},
    {0, "IllegalLocationConstraintException", REASON_WRONG_REGION, RETRY_NEVER,
     "the region is not the bucket's"},
    {301, "", REASON_WRONG_REGION, RETRY_NEVER, "the bucket is in another region"},
    {307, "", REASON_WRONG_REGION, RETRY_NEVER, "the bucket is served elsewhere for now"},

    /* Our credentials, not the client's. */
    {0, "RequestTimeTooSkewed", REASON_CLOCK_SKEW, RETRY_NEVER, "the clock of this machine is too far off"},
    {0, "RequestExpired", REASON_CLOCK_SKEW, RETRY_NEVER, "the clock of this machine is too far off"},
    {0, "SignatureDoesNotMatch", REASON_DENIED, RETRY_NEVER, "the secret access key does not match"},
    {0, "InvalidAccessKeyId", REASON_DENIED, RETRY_NEVER, "the access key id is unknown"},
    {0, "ExpiredToken", REASON_DENIED, RETRY_NEVER, "the session token has expired"},
    {0, "InvalidToken", REASON_DENIED, RETRY_NEVER, "the session token is not valid"},
    {0, "AccountProblem", REASON_DENIED, RETRY_NEVER, "the account has a problem"},
    {0, "AccessDenied", REASON_DENIED, RETRY_NEVER, "access is denied"},
    {0, "InvalidObjectState", REASON_DENIED, RETRY_NEVER,
     "the object is archived and must be restored first"},
    {401, "", REASON_DENIED, RETRY_NEVER, "the credentials are refused"},
    {403, "", REASON_DENIED, RETRY_NEVER, "access is denied"},

    /* Preconditions. 409: another conditional write of the key won while ours was under way. */
    {412, "", REASON_PRECONDITION_FAILED, RETRY_NEVER, "the object is not as the precondition demands"},
    {0, "ConditionalRequestConflict", REASON_PRECONDITION_FAILED, RETRY_NEVER,
     "another write of the object came first"},

    /* What cannot be held. */
    {0, "EntityTooLarge", REASON_TOO_LARGE, RETRY_NEVER, "the body is larger than the store allows"},
    {0, "MetadataTooLarge", REASON_TOO_LARGE, RETRY_NEVER, "the metadata are larger than the store allows"},
    {0, "KeyTooLongError", REASON_ID_TOO_LONG_FOR_POOL, RETRY_NEVER,
     "the object's name is longer than the store allows"},
    {0, "InvalidRange", REASON_RANGE, RETRY_NEVER, "the range lies outside the object"},
    {413, "", REASON_TOO_LARGE, RETRY_NEVER, "the body is larger than the store allows"},
    {416, "", REASON_RANGE, RETRY_NEVER, "the range lies outside the object"},
    {0, "QuotaExceeded", REASON_NO_SPACE, RETRY_NEVER, "the store's quota is used up"},
    {0, "XMinioStorageFull", REASON_NO_SPACE, RETRY_NEVER, "the store is full"},
    {507, "", REASON_NO_SPACE, RETRY_NEVER, "the store is full"},

    /* Damage on the way: sent again, it may arrive whole. */
    {0, "BadDigest", REASON_UNAVAILABLE, RETRY_TRANSIENT, "the body did not arrive as it was sent"},
    {0, "XAmzContentSHA256Mismatch", REASON_UNAVAILABLE, RETRY_TRANSIENT,
     "the body did not arrive as it was sent"},
    {0, "IncompleteBody", REASON_UNAVAILABLE, RETRY_TRANSIENT, "the body did not arrive whole"},
    {0, "RequestTimeout", REASON_TIMEOUT, RETRY_TRANSIENT, "the store waited too long for the body"},
    {408, "", REASON_TIMEOUT, RETRY_TRANSIENT, "the store waited too long for the request"},

    /* Later, please. */
    {0, "SlowDown", REASON_THROTTLED, RETRY_THROTTLED, "the store asks to slow down"},
    {0, "SlowDownRead", REASON_THROTTLED, RETRY_THROTTLED, "the store asks to slow down"},
    {0, "SlowDownWrite", REASON_THROTTLED, RETRY_THROTTLED, "the store asks to slow down"},
    {0, "RequestLimitExceeded", REASON_THROTTLED, RETRY_THROTTLED, "the store asks to slow down"},
    {0, "TooManyRequests", REASON_THROTTLED, RETRY_THROTTLED, "the store asks to slow down"},
    {0, "ServiceUnavailable", REASON_THROTTLED, RETRY_THROTTLED, "the store is overloaded"},
    {0, "OperationAborted", REASON_THROTTLED, RETRY_THROTTLED,
     "another operation on the bucket is under way"},
    {429, "", REASON_THROTTLED, RETRY_THROTTLED, "the store asks to slow down"},
    {503, "", REASON_THROTTLED, RETRY_THROTTLED, "the store is overloaded"},

    /* Not there in this store. A condition it cannot judge becomes its own reason in s3_errors_record. */
    {501, "", REASON_UNSUPPORTED, RETRY_NEVER, "the store does not implement this"},
    {405, "", REASON_UNSUPPORTED, RETRY_NEVER, "the store does not allow this"},

    /* Its own trouble. */
    {504, "", REASON_TIMEOUT, RETRY_TRANSIENT, "the store waited too long for its own parts"},
    {0, "InternalError", REASON_UNAVAILABLE, RETRY_TRANSIENT, "the store failed"},
    {500, "", REASON_UNAVAILABLE, RETRY_TRANSIENT, "the store failed"},
    {502, "", REASON_UNAVAILABLE, RETRY_TRANSIENT, "the store failed"},

    /* A 404 without a code comes from HEAD (which is asked again with GET) or from something that is no S3 store. */
    {404, "", REASON_BACKEND_CONFIG, RETRY_NEVER, "the endpoint does not know the bucket or is no S3 store"},
    {400, "", REASON_BAD_ANSWER, RETRY_NEVER, "the store does not understand the request"},
    {0, "", REASON_BAD_ANSWER, RETRY_NEVER, "the store's answer has no known meaning"},
};

/* The row of that very code and status, or NULL. */
static const struct s3_error_row *find_row(unsigned status, const char *code) {
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (rows[i].status == status && strcmp(rows[i].code, code) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

const struct s3_error_row *s3_errors_find(unsigned status, const char *code) {
    const struct s3_error_row *row = code[0] != '\0' ? find_row(0, code) : NULL;
    row = row ? row : find_row(status, "");
    if (!row && status > 500) {
        row = find_row(500, ""); /* what nobody listed above 500 is the store's trouble too */
    }
    return row ? row : &rows[ARRAY_COUNT(rows) - 1];
}

enum err s3_errors_record(struct op *op, const struct s3_refusal *refusal, enum retry_cause *ret_cause) {
    const struct s3_error_row *row = s3_errors_find(refusal->status, refusal->code);
    enum reason reason = row->reason;
    if (reason == REASON_UNSUPPORTED && refusal->conditional) {
        reason = REASON_CONDITIONAL_WRITE_UNSUPPORTED;
    }
    if (reason == REASON_ENTRY_NOT_FOUND && !refusal->asks_object) {
        reason = refusal->conditional ? REASON_PRECONDITION_FAILED : REASON_BAD_ANSWER;
    }
    char where[96] = "";
    if (reason == REASON_WRONG_REGION && refusal->region[0] != '\0') {
        snprintf(where, sizeof where, "; the region to configure is %s", refusal->region);
    }
    enum err err = op_fail(op, reason, "%s%s (HTTP %u%s%s)", row->sentence, where, refusal->status,
                           refusal->code[0] != '\0' ? " " : "", refusal->code);
    op->fault.retry_after_s = refusal->retry_after_s;
    *ret_cause = row->cause;
    return err;
}
