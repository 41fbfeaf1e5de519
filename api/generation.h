/* generation.h - the wiring's generations as entity tags: "17", or "17-json" where the same state also has a text form.
 *
 * Two representations need two strong tags (RFC 9110 section 8.8.3). Both name the same state, so either is good for
 * a change.
 */
#ifndef API_GENERATION_H
#define API_GENERATION_H

#include "api/handler.h"

enum generation_form {
    GENERATION_PLAIN, /* the resource's only form, or its text */
    GENERATION_JSON   /* the JSON beside a text */
};

/* ETag, and no-store. */
void generation_describe(struct response *response, uint64_t generation, enum generation_form form);
/* The conditions of a read, by the tag of this form of the generation. */
enum err generation_judge_read(struct request *request, uint64_t generation, enum generation_form form,
                               bool *ret_not_modified) MUST_USE;
/* If-Match and If-None-Match of a change: ERR_PRECONDITION recorded, or the generation the change is bound
 * to (GENERATION_ANY = none; whoever changes checks it again). */
enum err generation_judge_change(struct request *request, uint64_t generation,
                                 uint64_t *ret_if_generation) MUST_USE;

#endif
