/* cors.h - which pages of other sites a browser lets read our answers (the Fetch standard's CORS protocol).
 *
 * Off unless configured: without a struct cors no answer has any of these fields, and a browser keeps every answer from every foreign page.
 * Switched on, the fields stand on every answer, failures included, because a page that may not read a problem sees a network
 * error. Credentials in the browser's sense (cookies) do not exist here and are never allowed; a page sends its token itself.
 *
 * Named origins make an answer depend on who asks: such an answer says `Vary: Origin` and is not kept with its entry. An answer to
 * nobody in particular, and every answer where any origin will do, is the same for all.
 */
#ifndef SERVER_CORS_H
#define SERVER_CORS_H

#include "api/handler.h"

/* Immutable; any thread. */
struct cors {
    const char *const *origins; /* see origin.h; NULL-terminated, borrowed. NULL = any */
};

/* Whether this very origin was configured by name; bytes as in a header field, need not end with NUL. */
bool cors_names(const struct cors *cors, const char *origin, size_t bytes);

struct cors_ask {
    const char *origin; /* NULL = none was sent */
    size_t origin_bytes;
    bool is_preflight;
};
/* Adds what the answer must say to a browser. Of a preflight, Allow is what the methods are taken from. */
void cors_describe(const struct cors *cors, const struct cors_ask *ask, struct response *response);

#endif
