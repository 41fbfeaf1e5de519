/* json.h - strict, bounded JSON in both directions over jansson.
 *
 * In: one object, valid UTF-8, at most JSON_MOST_DEPTH levels, no repeated members, no U+0000, and only the
 * members the caller names. Every failure is ERR_INVALID (REASON_INVALID_BODY) saying where or which. The
 * size is bounded where the body is collected.
 */
#ifndef API_JSON_H
#define API_JSON_H

#include "api/handler.h"

#include <jansson.h>

#define JSON_MOST_DEPTH 64

/* *ret_object is the caller's (json_decref). */
enum err json_decode_object(struct op *op, const char *text, size_t bytes, json_t **ret_object) MUST_USE;
/* Refuses members that are not in the NULL-terminated list. `where` is "" or "config". */
enum err json_check_members(struct op *op, const json_t *object, const char *const *allowed) MUST_USE;
/* The member as text, which must be there. Borrowed from the object. */
enum err json_get_text(struct op *op, const json_t *object, const char *name, const char **ret_text) MUST_USE;

/* Adds a member, taking the value; false when out of memory (a NULL object or value included). */
bool json_put(json_t *object, const char *name, json_t *take_value) MUST_USE;

/* Makes the value the response's BODY_TEXT, without header fields. Takes the value. */
enum err response_json(struct response *response, unsigned status, json_t *take_value) MUST_USE;
/* The usual end of a handler: application/json, no-store. A NULL value means out of memory. */
enum api_step json_done(struct request *request, struct response *response, unsigned status,
                        json_t *take_value);

static inline void json_decref_auto(json_t **held) {
    json_decref(*held);
}

#endif
