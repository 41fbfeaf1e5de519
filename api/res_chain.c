/* res_chain.c - the whole wiring as expressions: text/plain, one a line, or {"chain": ["alpha << hdf5 <<
 * s3"]}. */
#include "api/api.h"
#include "api/generation.h"
#include "api/headers.h"
#include "api/json.h"
#include "api/problem.h"
#include "api/resources.h"

#include <string.h>

static json_t *lines_to_json(const char *text) {
    json_t *lines = json_array();
    while (lines && *text) {
        size_t bytes = strcspn(text, "\n");
        if (bytes && json_array_append_new(lines, json_stringn(text, bytes)) != 0) {
            json_decref(lines);
            return NULL;
        }
        text += bytes + (text[bytes] == '\n');
    }
    return lines ? json_pack("{s:o}", "chain", lines) : NULL;
}

static enum generation_form wanted_form(const struct request *request) {
    return headers_prefers_json(request->io->header(request, "Accept")) ? GENERATION_JSON : GENERATION_PLAIN;
}

static enum err write_chain(struct response *response, const char *text, enum generation_form form) {
    if (form == GENERATION_JSON) {
        json_t *object = lines_to_json(text);
        return object ? response_json(response, 200, object) : ERR_NO_MEMORY;
    }
    response->status = 200;
    response->body_kind = BODY_TEXT;
    enum err err = buf_append_text(&response->text, text);
    response->content_length = response->text.size;
    return err;
}

/* The wiring as it is now, in the form the client asked for. */
static enum api_step answer_chain(struct request *request, struct response *response, const char *text,
                                  uint64_t generation, bool not_modified) {
    enum generation_form form = wanted_form(request);
    if (write_chain(response, text, form) != OK) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    if (not_modified) {
        response_not_modified(response);
    } else {
        response_header_text(response, "Content-Type",
                             form == GENERATION_JSON ? "application/json" : "text/plain; charset=utf-8");
    }
    response_header_text(response, "Vary", "Accept");
    generation_describe(response, generation, form);
    return API_DONE;
}

#define CHAIN_MOST_BYTES (EXPR_MOST_LINKS * 2 * (size_t)NICKNAME_BYTES * 2)

static enum err read_wiring(struct request *request, struct buf *text, uint64_t *ret_generation) {
    buf_init(text, CHAIN_MOST_BYTES);
    enum err err = wiring_text(request->api->wiring, &request->op, text, ret_generation);
    /* An empty wiring leaves an untouched buf. */
    return err || text->data ? err : (buf_append_text(text, "") == OK ? OK : op_no_memory(&request->op));
}

enum api_step res_chain_get(struct request *request, struct response *response) {
    AUTO(buf_fini) struct buf text = {0};
    uint64_t generation = 0;
    bool not_modified = false;
    enum err err = read_wiring(request, &text, &generation);
    err = err ? err : generation_judge_read(request, generation, wanted_form(request), &not_modified);
    return err ? problem_done(request, response, err)
               : answer_chain(request, response, text.data, generation, not_modified);
}

/* {"chain": [...]} to lines. */
static enum err lines_from_json(struct op *op, const struct buf *body, struct buf *ret_text) {
    static const char *const members[] = {"chain", NULL};
    AUTO(json_decref) json_t *object = NULL;
    enum err err = json_decode_object(op, body->data, body->size, &object);
    err = err ? err : json_check_members(op, object, members);
    if (err) {
        return err;
    }
    const json_t *lines = json_object_get(object, "chain");
    if (!json_is_array(lines)) {
        return op_fail(op, REASON_INVALID_BODY, "the member \"chain\" must be an array of strings");
    }
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        if (!line || strchr(line, '\n')) {
            return op_fail(op, REASON_INVALID_BODY,
                           "the member \"chain\" must be an array of strings of one line each");
        }
        err = buf_append_text(ret_text, line);
        err = err ? err : buf_append_text(ret_text, "\n");
        if (err) {
            return err == ERR_TOO_LARGE ? op_fail(op, REASON_TOO_LARGE, "the expressions are too long")
                                        : op_no_memory(op);
        }
    }
    return OK;
}

static enum err read_expressions(struct request *request, struct expr_links *ret_links) {
    struct op *op = &request->op;
    const struct buf *body = &request->json_body;
    const char *type = request->io->header(request, "Content-Type");
    if (headers_is_media(type, "application/json")) {
        AUTO(buf_fini) struct buf text;
        buf_init(&text, request->api->json_most_bytes);
        enum err err = lines_from_json(op, body, &text);
        return err ? err : expr_parse(op, text.data ? text.data : "", text.size, ret_links);
    }
    if (type && *type && !headers_is_media(type, "text/plain")) {
        return op_fail(op, REASON_UNSUPPORTED_MEDIA, "the body must be text/plain or application/json");
    }
    return expr_parse(op, body->data ? body->data : "", body->size, ret_links);
}

static enum err apply(struct request *request, bool replace) {
    struct expr_links links = {0};
    enum err err = read_expressions(request, &links);
    if (err) {
        return err;
    }
    AUTO(buf_fini) struct buf before = {0};
    uint64_t generation = 0;
    uint64_t if_generation = GENERATION_ANY;
    if (!replace && links.count == 0) {
        err = op_fail(&request->op, REASON_INVALID_CHAIN, "the body links no pools");
    }
    err = err ? err : read_wiring(request, &before, &generation);
    err = err ? err : generation_judge_change(request, generation, &if_generation);
    err = err ? err : wiring_apply(request->api->wiring, &request->op, &links, replace, if_generation);
    expr_links_fini(&links);
    return err;
}

static enum api_step change(struct request *request, struct response *response, bool replace) {
    AUTO(buf_fini) struct buf text = {0};
    uint64_t generation = 0;
    enum err err = apply(request, replace);
    err = err ? err : read_wiring(request, &text, &generation);
    return err ? problem_done(request, response, err)
               : answer_chain(request, response, text.data, generation, false);
}

enum api_step res_chain_replace(struct request *request, struct response *response) {
    return change(request, response, true);
}

enum api_step res_chain_apply(struct request *request, struct response *response) {
    return change(request, response, false);
}
