/* routes.h - THE table: every method and path that is served. openapi.yaml says the same; a test compares
 * the two. */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "api/handler.h"

const struct route *routes_table(size_t *ret_count);

/* The route of method and path. ERR_NOT_FOUND: no such path. ERR_METHOD: the path is there, the method is
 * not. ret_allow (a buf of the caller's) then says which are; it does so too when the method is OPTIONS. ERR_UNSUPPORTED: a method nobody knows.
 * Recorded in op. */
enum err routes_find(struct op *op, enum http_method method, const char *method_text,
                     const struct target *target, const struct route **ret_route,
                     struct buf *ret_allow) MUST_USE;

/* For messages and tests: "GET". */
const char *routes_method_name(enum http_method method);

#endif
