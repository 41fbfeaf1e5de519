/* generation.h - the wiring's generations as entity tags: "17". */
#ifndef API_GENERATION_H
#define API_GENERATION_H

#include "api/handler.h"

/* ETag, and no-store. */
void generation_describe(struct response *response, uint64_t generation);
/* If-None-Match of a read: *ret_not_modified when it names the generation. */
enum err generation_judge_read(struct request *request, uint64_t generation, bool *ret_not_modified) MUST_USE;
/* If-Match and If-None-Match of a change: ERR_PRECONDITION recorded, or the generation the change is bound
 * to (GENERATION_ANY = none; whoever changes checks it again). */
enum err generation_judge_change(struct request *request, uint64_t generation,
                                 uint64_t *ret_if_generation) MUST_USE;

#endif
