/* auth.h - who may do what: until named tokens exist, one admin token or nobody asked (design.md section 7). */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "api/handler.h"

struct auth; /* immutable after auth_new; any thread */

/* token NULL or "" = every request may do everything. NULL when out of memory. */
struct auth *auth_new(const char *token);
void auth_free(struct auth *auth); /* wipes the token */
DEFINE_AUTO(struct auth, auth_free)

bool auth_is_open(const struct auth *auth);
/* authorization: the field's value or NULL. ERR_UNAUTHENTICATED recorded in op. Takes the same time for every wrong
 * token. */
enum err auth_check(const struct auth *auth, struct op *op, enum scope scope,
                    const char *authorization) MUST_USE;

/* A page of another site can make a browser send simple requests to loopback; nobody is asked for a token there. So without
 * one, a request that may change something and names its page (Origin) must come from our own: ERR_FORBIDDEN. origin and host are
 * the fields' values or NULL. */
enum err auth_check_origin(const struct auth *auth, struct op *op, enum http_method method,
                           const char *origin, const char *host) MUST_USE;

#endif
