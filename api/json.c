/* json.c - see json.h. */
#include "api/json.h"

#include "api/problem.h"

#include <string.h>

/* jansson's own limit is fixed when it is built, and far deeper than ours: count brackets outside strings
 * first. */
static bool is_too_deep(const char *text, size_t bytes) {
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < bytes; i++) {
        if (in_string) {
            if (text[i] == '\\') {
                i++;
            } else if (text[i] == '"') {
                in_string = false;
            }
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++depth > JSON_MOST_DEPTH) {
                return true;
            }
        } else if ((text[i] == '}' || text[i] == ']') && depth) {
            depth--;
        }
    }
    return false;
}

/* jansson's own text quotes the input, which may be a secret. */
static const char *complaint_about(enum json_error_code code) {
    switch (code) {
    case json_error_invalid_utf8:
        return "invalid UTF-8";
    case json_error_premature_end_of_input:
        return "the JSON ends too early";
    case json_error_end_of_input_expected:
        return "something follows the JSON";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "U+0000 is not allowed";
    case json_error_duplicate_key:
        return "a member is repeated";
    case json_error_numeric_overflow:
        return "a number is too large";
    default:
        return "invalid JSON";
    }
}

enum err json_decode_object(struct op *op, const char *text, size_t bytes, json_t **ret_object) {
    if (is_too_deep(text, bytes)) {
        return op_fail(op, REASON_INVALID_BODY, "the JSON is more than %d levels deep", JSON_MOST_DEPTH);
    }
    json_error_t error;
    json_t *value = json_loadb(text ? text : "", bytes, JSON_REJECT_DUPLICATES, &error);
    if (!value) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            return op_no_memory(op);
        }
        return op_fail(op, REASON_INVALID_BODY, "line %d, column %d: %s", error.line, error.column,
                       complaint_about(json_error_code(&error)));
    }
    if (!json_is_object(value)) {
        json_decref(value);
        return op_fail(op, REASON_INVALID_BODY, "the body must be a JSON object");
    }
    *ret_object = value;
    return OK;
}

enum err json_check_members(struct op *op, const json_t *object, const char *const *allowed) {
    /* jansson's iterators take a plain pointer; nothing is changed. */
    void *position = NULL;
    json_t *writable = NULL;
    memcpy(&writable, &object, sizeof writable);
    for (position = json_object_iter(writable); position;
         position = json_object_iter_next(writable, position)) {
        const char *name = json_object_iter_key(position);
        const char *const *known = allowed;
        while (*known && strcmp(*known, name) != 0) {
            known++;
        }
        if (!*known) {
            return op_fail(op, REASON_INVALID_BODY, "unknown member \"%.64s\"", name);
        }
    }
    return OK;
}

enum err json_get_text(struct op *op, const json_t *object, const char *name, const char **ret_text) {
    const json_t *value = json_object_get(object, name);
    if (!value) {
        return op_fail(op, REASON_INVALID_BODY, "the member \"%s\" is missing", name);
    }
    if (!json_is_string(value)) {
        return op_fail(op, REASON_INVALID_BODY, "the member \"%s\" must be a string", name);
    }
    *ret_text = json_string_value(value);
    return OK;
}

bool json_put(json_t *object, const char *name, json_t *take_value) {
    return json_object_set_new(object, name, take_value) == 0;
}

static int append_piece(const char *bytes, size_t count, void *context) {
    return buf_append(context, bytes, count) == OK ? 0 : -1;
}

enum err response_json(struct response *response, unsigned status, json_t *take_value) {
    buf_clear(&response->text);
    int failed = json_dump_callback(take_value, append_piece, &response->text, JSON_COMPACT);
    json_decref(take_value);
    if (failed || buf_append(&response->text, "\n", 1) != OK) {
        return ERR_NO_MEMORY;
    }
    response->status = status;
    response->body_kind = BODY_TEXT;
    response->content_length = response->text.size;
    return OK;
}

enum api_step json_done(struct request *request, struct response *response, unsigned status,
                        json_t *take_value) {
    if (!take_value || response_json(response, status, take_value) != OK) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    response_header_text(response, "Content-Type", "application/json");
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}
