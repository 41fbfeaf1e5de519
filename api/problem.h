/* problem.h - failures as RFC 9457 problem+json: the only place where an error kind becomes an HTTP status.
 *
 * design.md section 6. The problem's type comes from the fault's reason; a failure that nobody described
 * gets the first reason of its kind.
 */
#ifndef API_PROBLEM_H
#define API_PROBLEM_H

#include "api/handler.h"
#include "pools/chain/chain.h"

#include <jansson.h>

unsigned problem_status(enum err kind);

/* What a problem may say beyond the fault. Zero = nothing. */
struct problem_extra {
    /* of a read: failed tiers become `tiers`, all of them Cache-Status; borrowed */
    const struct tier_report *reports;
    unsigned report_count;
    bool has_deleted;
    uint64_t deleted;
    json_t *pools; /* what /readyz saw, borrowed; NULL = not shown */
};

/* Replaces whatever the response held. extra NULL = nothing. */
void problem_answer(const struct request *request, struct response *response, const struct fault *fault,
                    enum err kind, const struct problem_extra *extra);
/* The same from request->op, as a handler's last words: `return problem_done(request, response, err);` */
enum api_step problem_done(const struct request *request, struct response *response, enum err kind);

#endif
