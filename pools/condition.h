/* condition.h - preconditions of a write or delete, judged on the named pool only (design.md 13.18).
 *
 * Local kinds call condition_check inside the critical section that makes the write visible, so that
 * check and write are one step. Kinds whose server judges (s3) read the fields and translate.
 */
#ifndef POOLS_CONDITION_H
#define POOLS_CONDITION_H

#include "pools/base/op.h"
#include "pools/entry.h"

#define CONDITION_MOST_TAGS 16

enum condition_kind {
    CONDITION_NONE,
    CONDITION_ABSENT,     /* If-None-Match: * */
    CONDITION_PRESENT,    /* If-Match: * */
    CONDITION_MATCH,      /* If-Match: "a", "b": present with one of the tags */
    CONDITION_NONE_MATCH, /* If-None-Match: "a", "b": absent or with another tag */
    CONDITION_CACHED /* present, a cached copy, and if there is a tag, with it: see pool_drop_copy; no client can ask so */
};

struct condition {
    enum condition_kind kind;
    unsigned count;
    char tag[CONDITION_MOST_TAGS][ETAG_BYTES]; /* with their quotes; strong tags only */
};

/* Whether `etag` ("..." with quotes) names this meta: its sha-256 tag or its validator tag, either counts. */
bool condition_tag_matches(const struct meta *meta, const char *etag);

/* current = NULL when the pool has no entry. condition may be NULL. ERR_PRECONDITION recorded, reason
 * REASON_NOT_LOCAL when an entry was demanded and there is none. */
enum err condition_check(struct op *op, const struct condition *condition,
                         const struct meta *current) MUST_USE;

#endif
