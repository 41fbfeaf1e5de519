/* condition.c - see condition.h. RFC 9110 section 13, strong comparison. */
#include "pools/condition.h"

#include <string.h>

bool condition_tag_matches(const struct meta *meta, const char *etag) {
    char own[ETAG_BYTES];
    meta_etag(meta, own);
    if (own[0] && strcmp(own, etag) == 0) {
        return true;
    }
    /* A copy remembers its origin's validator beside its digest; either counts (design.md 13.13). */
    size_t bytes = strlen(meta->validator);
    return bytes && strlen(etag) == bytes + 2 && memcmp(etag + 1, meta->validator, bytes) == 0;
}

static bool any_tag_matches(const struct condition *condition, const struct meta *current) {
    for (unsigned i = 0; i < condition->count; i++) {
        if (condition_tag_matches(current, condition->tag[i])) {
            return true;
        }
    }
    return false;
}

enum err condition_check(struct op *op, const struct condition *condition, const struct meta *current) {
    if (!condition) {
        return OK;
    }
    switch (condition->kind) {
    case CONDITION_NONE:
        return OK;
    case CONDITION_ABSENT:
        return current ? op_fail(op, REASON_PRECONDITION_FAILED, "the pool already has the entry") : OK;
    case CONDITION_PRESENT:
        return current ? OK : op_fail(op, REASON_NOT_LOCAL, "the pool does not have the entry");
    case CONDITION_MATCH:
        if (!current) {
            return op_fail(op, REASON_NOT_LOCAL, "the pool does not have the entry");
        }
        return any_tag_matches(condition, current)
                   ? OK
                   : op_fail(op, REASON_PRECONDITION_FAILED, "the entry has another entity tag");
    case CONDITION_NONE_MATCH:
        return current && any_tag_matches(condition, current)
                   ? op_fail(op, REASON_PRECONDITION_FAILED, "the entry has this entity tag")
                   : OK;
    case CONDITION_CACHED:
        return current && current->hold == HOLD_CACHED &&
                       (!condition->count || any_tag_matches(condition, current))
                   ? OK
                   : op_fail(op, REASON_PRECONDITION_FAILED, "the pool does not have this cached copy");
    }
    return op_fail(op, REASON_INTERNAL, "an unknown kind of precondition");
}
