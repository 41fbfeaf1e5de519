/* cors.c - see cors.h. */
#include "server/cors.h"

#include <string.h>

/* What a page may send beside the few fields that need no leave. */
static const char sendable[] =
    "Authorization, Cache-Control, Content-Digest, Content-Encoding, Content-Type, "
    "Idempotency-Key, If-Match, If-None-Match, If-Range, Prefer, Range, Repr-Digest, traceparent";
/* What it may read beside them. */
static const char readable[] =
    "Accept-Ranges, Allow, Cache-Status, Content-Digest, Content-Encoding, Content-Range, ETag, Link, "
    "Location, Preference-Applied, Repr-Digest, Retry-After, WWW-Authenticate";
/* As long as any browser remembers. */
#define PREFLIGHT_SECONDS "7200"

static const char *find(const struct cors *cors, const char *origin, size_t bytes) {
    for (const char *const *known = cors->origins; known && *known; known++) {
        if (strlen(*known) == bytes && memcmp(*known, origin, bytes) == 0) {
            return *known;
        }
    }
    return NULL;
}

bool cors_names(const struct cors *cors, const char *origin, size_t bytes) {
    return find(cors, origin, bytes) != NULL;
}

void cors_describe(const struct cors *cors, const struct cors_ask *ask, struct response *response) {
    const char *allowed = "*";
    if (cors->origins) {
        response_vary(response, "Origin");
        allowed = ask->origin ? find(cors, ask->origin, ask->origin_bytes) : NULL;
    }
    if (!allowed) {
        return;
    }
    response_header_text(response, "Access-Control-Allow-Origin", allowed);
    if (!ask->is_preflight) {
        response_header_text(response, "Access-Control-Expose-Headers", readable);
        return;
    }
    const char *methods = response_get_header(response, "Allow");
    if (methods) {
        response_header(response, "Access-Control-Allow-Methods", "%s", methods);
        response_header_text(response, "Access-Control-Allow-Headers", sendable);
        response_header_text(response, "Access-Control-Max-Age", PREFLIGHT_SECONDS);
    }
}
