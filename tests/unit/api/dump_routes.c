/* dump_routes.c - prints what the service serves, for tests/lint/routes_match_openapi.py.
 *
 * A line a route: method, path, operation, scope, body rule, query parameters. A line a problem: "problem", its type,
 * status, whether it is retryable, its title.
 */
#include "api/problem.h"
#include "api/routes.h"

#include <stdio.h>

int main(void) {
    static const char *const scopes[] = {
        [SCOPE_OPEN] = "open", [SCOPE_READ] = "read", [SCOPE_WRITE] = "write", [SCOPE_ADMIN] = "admin"};
    static const char *const bodies[] = {[BODY_REFUSED] = "none",
                                         [BODY_JSON] = "json",
                                         [BODY_MAYBE_JSON] = "maybe-json",
                                         [BODY_COLLECTED] = "any",
                                         [BODY_STREAMED] = "any"};
    size_t count = 0;
    const struct route *routes = routes_table(&count);
    for (size_t i = 0; i < count; i++) {
        printf("route %s %s %s %s %s", routes_method_name(routes[i].method), routes[i].pattern,
               routes[i].operation, scopes[routes[i].scope], bodies[routes[i].body]);
        for (const char *const *name = routes[i].query; *name; name++) {
            printf(" %s", *name);
        }
        printf("\n");
    }
    for (int reason = REASON_NONE + 1; reason < REASON_COUNT; reason++) {
        enum err kind = reason_kind((enum reason)reason);
        printf("problem urn:lailad:problem:%s %u %s %s\n", reason_slug((enum reason)reason),
               problem_status(kind), reason_retryable((enum reason)reason) ? "true" : "false",
               reason_title((enum reason)reason));
    }
    return 0;
}
