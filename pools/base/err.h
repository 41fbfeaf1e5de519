/* err.h - the closed list of error kinds and the closed list of reasons.
 *
 * A kind says what class of failure it is; api/problem.c maps kinds to HTTP, once. A reason is the
 * precise name (the last part of a problem type); each reason belongs to exactly one kind. Functions
 * return the kind; the reason and a sentence travel in the op (op.h). design.md section 6.
 *
 * Only ERR_NOT_FOUND is a miss. ERR_AGAIN is not a failure: the answer is not here yet and the
 * caller's waker will be called. ERR_SUPERSEDED ends a fill that a newer local write overtook.
 */
#ifndef POOLS_BASE_ERR_H
#define POOLS_BASE_ERR_H

#include "pools/base/attrs.h"

#include <stdbool.h>

/*      name               word                  retryable */
#define ERR_LIST(X)                                                                                          \
    X(ERR_INVALID, "invalid", false)                                                                         \
    X(ERR_UNAUTHENTICATED, "unauthenticated", false)                                                         \
    X(ERR_FORBIDDEN, "forbidden", false)                                                                     \
    X(ERR_NOT_FOUND, "not-found", false)                                                                     \
    X(ERR_METHOD, "method-not-allowed", false)                                                               \
    X(ERR_EXISTS, "exists", false)                                                                           \
    X(ERR_CONFLICT, "conflict", false)                                                                       \
    X(ERR_PRECONDITION, "precondition", false)                                                               \
    X(ERR_TOO_LARGE, "too-large", false)                                                                     \
    X(ERR_URI_TOO_LONG, "uri-too-long", false)                                                               \
    X(ERR_UNSUPPORTED_MEDIA, "unsupported-media", false)                                                     \
    X(ERR_RANGE, "range", false)                                                                             \
    X(ERR_EXPECTATION, "expectation", false)                                                                 \
    X(ERR_HEADERS_TOO_LARGE, "headers-too-large", false)                                                     \
    X(ERR_INTERNAL, "internal", false)                                                                       \
    X(ERR_CONFIG, "config", false)                                                                           \
    X(ERR_UNSUPPORTED, "unsupported", false)                                                                 \
    X(ERR_UNAVAILABLE, "unavailable", true)                                                                  \
    X(ERR_DENIED, "denied", false)                                                                           \
    X(ERR_CORRUPT, "corrupt", false)                                                                         \
    X(ERR_BUSY, "busy", true)                                                                                \
    X(ERR_THROTTLED, "throttled", true)                                                                      \
    X(ERR_TIMEOUT, "timeout", true)                                                                          \
    X(ERR_NO_SPACE, "no-space", false)                                                                       \
    X(ERR_NO_MEMORY, "no-memory", true)                                                                      \
    X(ERR_CANCELLED, "cancelled", false)                                                                     \
    X(ERR_AGAIN, "again", true)                                                                              \
    X(ERR_SUPERSEDED, "superseded", false)

enum err {
    OK = 0,
#define X(name, word, retryable) name,
    ERR_LIST(X)
#undef X
        ERR_COUNT
};

/* Reasons: name, kind, problem name (urn:lailad:problem:<name>), title. */
#define REASON_LIST(X)                                                                                       \
    X(REASON_INVALID_REQUEST, ERR_INVALID, "invalid-request", "The request is malformed")                    \
    X(REASON_INVALID_ID, ERR_INVALID, "invalid-id", "The entry id is not valid")                             \
    X(REASON_INVALID_NICKNAME, ERR_INVALID, "invalid-nickname", "The pool nickname is not valid")            \
    X(REASON_INVALID_QUERY, ERR_INVALID, "invalid-query", "A query parameter is not valid")                  \
    X(REASON_INVALID_HEADER, ERR_INVALID, "invalid-header", "A request header is not valid")                 \
    X(REASON_INVALID_BODY, ERR_INVALID, "invalid-body", "The request body is not valid")                     \
    X(REASON_INVALID_CHAIN, ERR_INVALID, "invalid-chain", "A chain expression is not valid")                 \
    X(REASON_INVALID_CONFIG, ERR_INVALID, "invalid-config", "A pool option is not valid")                    \
    X(REASON_UNKNOWN_KIND, ERR_INVALID, "unknown-kind", "No such kind of pool")                              \
    X(REASON_DIGEST_MISMATCH, ERR_INVALID, "digest-mismatch", "The body does not match the digest")          \
    X(REASON_BODY_INCOMPLETE, ERR_INVALID, "body-incomplete", "The body ended before its length")            \
    X(REASON_CONFIRM_EMPTY, ERR_INVALID, "confirm-empty", "Emptying a pool needs all=true")                  \
    X(REASON_ID_TOO_LONG_FOR_POOL, ERR_INVALID, "id-too-long-for-pool",                                      \
      "The pool cannot hold an id this long")                                                                \
    X(REASON_UNAUTHENTICATED, ERR_UNAUTHENTICATED, "unauthenticated", "A valid token is required")           \
    X(REASON_FORBIDDEN, ERR_FORBIDDEN, "forbidden", "The request is not allowed")                            \
    X(REASON_ROUTE_NOT_FOUND, ERR_NOT_FOUND, "route-not-found", "No such resource")                          \
    X(REASON_POOL_NOT_FOUND, ERR_NOT_FOUND, "pool-not-found", "No pool has this nickname")                   \
    X(REASON_ENTRY_NOT_FOUND, ERR_NOT_FOUND, "entry-not-found", "The entry is absent")                       \
    X(REASON_METHOD_NOT_ALLOWED, ERR_METHOD, "method-not-allowed", "The method is not allowed here")         \
    X(REASON_POOL_EXISTS, ERR_EXISTS, "pool-exists", "A pool with this nickname exists")                     \
    X(REASON_DECLARED_IN_CONFIG, ERR_CONFLICT, "declared-in-config",                                         \
      "The pool is declared in the configuration")                                                           \
    X(REASON_POOL_IN_USE, ERR_CONFLICT, "pool-in-use", "Another pool proxies to this one")                   \
    X(REASON_POOL_PERMANENT, ERR_CONFLICT, "pool-permanent", "This pool always exists")                      \
    X(REASON_PROXY_CYCLE, ERR_CONFLICT, "proxy-cycle", "The link would close a cycle")                       \
    X(REASON_FILE_IN_USE, ERR_CONFLICT, "file-in-use", "Another pool uses this file")                        \
    X(REASON_POOL_READ_ONLY, ERR_CONFLICT, "pool-read-only", "The pool is read-only")                        \
    X(REASON_NOT_RUNNING, ERR_CONFLICT, "not-running", "The work is not under way")                          \
    X(REASON_PRECONDITION_FAILED, ERR_PRECONDITION, "precondition-failed", "A precondition does not hold")   \
    X(REASON_NOT_LOCAL, ERR_PRECONDITION, "not-local", "The named pool does not hold the entry")             \
    X(REASON_TOO_LARGE, ERR_TOO_LARGE, "too-large", "The body is larger than allowed")                       \
    X(REASON_URI_TOO_LONG, ERR_URI_TOO_LONG, "uri-too-long", "The request target is too long")               \
    X(REASON_UNSUPPORTED_MEDIA, ERR_UNSUPPORTED_MEDIA, "unsupported-media-type",                             \
      "The media type is not supported here")                                                                \
    X(REASON_RANGE, ERR_RANGE, "range-not-satisfiable", "The range cannot be satisfied")                     \
    X(REASON_EXPECTATION_FAILED, ERR_EXPECTATION, "expectation-failed", "The expectation cannot be met")     \
    X(REASON_HEADERS_TOO_LARGE, ERR_HEADERS_TOO_LARGE, "headers-too-large",                                  \
      "The request header is too large")                                                                     \
    X(REASON_INTERNAL, ERR_INTERNAL, "internal", "The service failed")                                       \
    X(REASON_BACKEND_CONFIG, ERR_CONFIG, "backend-misconfigured",                                            \
      "The pool's backend is not set up as configured")                                                      \
    X(REASON_NO_SUCH_BUCKET, ERR_CONFIG, "bucket-not-found", "The bucket does not exist")                    \
    X(REASON_WRONG_REGION, ERR_CONFIG, "wrong-region", "The bucket is in another region")                    \
    X(REASON_NEEDS_CREDENTIALS, ERR_CONFIG, "needs-credentials", "The pool has no credentials")              \
    X(REASON_UNSUPPORTED, ERR_UNSUPPORTED, "unsupported", "The pool cannot do this")                         \
    X(REASON_CONDITIONAL_WRITE_UNSUPPORTED, ERR_UNSUPPORTED, "conditional-write-unsupported",                \
      "The backend cannot write conditionally")                                                              \
    X(REASON_TRANSFER_CODING, ERR_UNSUPPORTED, "transfer-coding-unsupported",                                \
      "The transfer coding is not supported")                                                                \
    X(REASON_METHOD_UNKNOWN, ERR_UNSUPPORTED, "method-unknown", "The method is not implemented")             \
    X(REASON_UNAVAILABLE, ERR_UNAVAILABLE, "tier-unavailable", "A tier cannot be reached")                   \
    X(REASON_POOL_FAILED, ERR_UNAVAILABLE, "pool-failed", "The pool could not be opened")                    \
    X(REASON_IO, ERR_UNAVAILABLE, "tier-io-error", "A tier's storage reported an error")                     \
    X(REASON_DENIED, ERR_DENIED, "tier-denied", "A tier refused our credentials")                            \
    X(REASON_CLOCK_SKEW, ERR_DENIED, "clock-skew", "A tier says our clock is wrong")                         \
    X(REASON_CORRUPT, ERR_CORRUPT, "entry-corrupt", "The stored entry is damaged")                           \
    X(REASON_BAD_ANSWER, ERR_CORRUPT, "tier-bad-answer", "A tier answered something unusable")               \
    X(REASON_BUSY, ERR_BUSY, "busy", "The service is busy")                                                  \
    X(REASON_LOADING, ERR_BUSY, "pool-loading", "The pool is still loading")                                 \
    X(REASON_DRAINING, ERR_BUSY, "draining", "The service is shutting down")                                 \
    X(REASON_NOT_READY, ERR_BUSY, "not-ready", "The service is not ready")                                   \
    X(REASON_POOL_POISONED, ERR_BUSY, "pool-poisoned", "The pool must be opened again")                      \
    X(REASON_THROTTLED, ERR_THROTTLED, "tier-throttled", "A tier asked us to slow down")                     \
    X(REASON_TIMEOUT, ERR_TIMEOUT, "tier-timeout", "A tier did not answer in time")                          \
    X(REASON_NOT_CACHED, ERR_TIMEOUT, "not-cached", "The entry is not in this pool itself")                  \
    X(REASON_NO_SPACE, ERR_NO_SPACE, "no-space", "There is no room for the entry")                           \
    X(REASON_NO_MEMORY, ERR_NO_MEMORY, "no-memory", "The service is out of memory")                          \
    X(REASON_CANCELLED, ERR_CANCELLED, "cancelled", "The operation was cancelled")                           \
    X(REASON_SUPERSEDED, ERR_SUPERSEDED, "superseded", "A newer local write came first")

enum reason {
    REASON_NONE = 0,
#define X(name, kind, slug, title) name,
    REASON_LIST(X)
#undef X
        REASON_COUNT
};

/* The kind's short word ("not-found"); never NULL. */
const char *err_word(enum err kind);
/* Whether the same call may succeed later without anybody changing anything. */
bool err_retryable(enum err kind);

/* Inline, so that compilers and analyzers know which kind a constant reason has. */
static inline enum err reason_kind(enum reason reason) {
    static const enum err kinds[REASON_COUNT] = {
#define X(name, kind, slug, title) [name] = kind,
        REASON_LIST(X)
#undef X
    };
    return kinds[reason];
}
/* The same of a reason: its kind's answer, but for those that wait for somebody. */
bool reason_retryable(enum reason reason);
const char *reason_slug(enum reason reason);
const char *reason_title(enum reason reason);

#endif
