/* headers.h - request header fields to plain data: pure parsers, no state, any thread, fuzzed.
 *
 * A NULL value means that the field was not sent. Failures are ERR_INVALID (REASON_INVALID_HEADER) naming the field.
 */
#ifndef API_HEADERS_H
#define API_HEADERS_H

#include "pools/base/digest.h"
#include "pools/base/op.h"
#include "pools/condition.h"

#include <stdbool.h>
#include <stddef.h>

/* If-Match and If-None-Match as one condition; both at once is refused. A weak tag in If-Match never matches and is left out; in
 * If-None-Match it stands for its strong twin (RFC 9110 section 13.1). More than CONDITION_MOST_TAGS is refused. */
enum err headers_condition(struct op *op, const char *if_match, const char *if_none_match,
                           struct condition *ret_condition) MUST_USE;
/* Whether the tag (with quotes) is named by the condition. */
bool headers_condition_names(const struct condition *condition, const char *etag);

/* Whether a Content-Type is this media type ("application/json"), parameters aside; no value is none. */
bool headers_is_media(const char *content_type, const char *media);
/* Whether Accept ranks application/json above text/plain. */
bool headers_prefers_json(const char *accept);

struct cache_directives {
    bool only_if_cached;
    bool no_store;
    bool no_cache;
};
/* Request Cache-Control; unknown directives are ignored. Pragma is not looked at (RFC 9111, 5.4: deprecated). */
void headers_cache_control(const char *value, struct cache_directives *ret_directives);

/* Content-Digest or Repr-Digest (RFC 9530): the sha-256 when it is among the algorithms. Others are ignored, but the field must be
 * a dictionary. */
enum err headers_digest(struct op *op, const char *field, const char *value, bool *ret_has_sha256,
                        uint8_t ret_sha256[SHA256_BYTES]) MUST_USE;
/* "sha-256=:<base64>:" and the NUL. */
#define DIGEST_FIELD_BYTES 56
void headers_format_digest(const uint8_t sha256[SHA256_BYTES], char ret_text[DIGEST_FIELD_BYTES]);

/* Whether the text may stand in a header field: no control bytes. */
bool headers_is_field_text(const char *text);

#endif
