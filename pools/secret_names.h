/* secret_names.h - ${NAME} as the value of a credential: kept as it was written, looked up each time a pool is opened.
 *
 * Over REST a credential may be given by name instead of by value (design.md 13.3). The name is what is stored: a rotated secret
 * is picked up at the next start, and a copy of state.db and state.key does not have it. What the names stand for is
 * the daemon's to say (its configuration lists those that may be used).
 *
 * A listed name is as good as told to whoever may register pools: they also choose the endpoint, and there arrive access_key_id in the
 * clear (Authorization) and session_token as a header field. secret_access_key only signs. Nothing here ties a name to a store.
 *
 * Threads: pure functions; `find` must answer any thread.
 */
#ifndef POOLS_SECRET_NAMES_H
#define POOLS_SECRET_NAMES_H

#include "pools/settings.h"

#define SECRET_NAME_BYTES 128 /* with the NUL */

struct secret_names {
    /* The value, borrowed; NULL = no such name, or not one that may be used. A NULL function knows no names. */
    const char *(*find)(void *context, const char *name);
    void *context;
};

/* Whether the whole text is ${NAME}; NAME is letters, digits and underscores. */
bool secret_reference(const char *text, char ret_name[SECRET_NAME_BYTES]);
/* A finished copy of the settings with values in the place of names. A name without a value is the fault `missing`, naming option and
 * name. */
enum err secret_names_expand(const struct settings *from, struct op *op, const struct secret_names *names,
                             enum reason missing, struct settings **ret_settings) MUST_USE;

#endif
