/* res_openapi.c - the contract itself, as the build found it. It changes with the program only, so its digest is its tag. Only who is sent
 * the text costs a copy of it. */
#include "api/openapi_yaml.h"
#include "api/problem.h"
#include "api/read_condition.h"
#include "api/resources.h"

#include <stdio.h>

#define TAG_BYTES 80

enum api_step res_openapi_peek(struct request *request, struct response *response) {
    char tag[TAG_BYTES];
    snprintf(tag, sizeof tag, "\"%s\"", openapi_yaml_sha256);
    bool not_modified = false;
    enum err err = read_condition_judge(request, tag, &not_modified);
    bool is_sent = !err && !not_modified && request->method == METHOD_GET;
    if (is_sent && buf_append(&response->text, openapi_yaml, openapi_yaml_bytes) != OK) {
        err = op_no_memory(&request->op);
    }
    if (err) {
        return problem_done(request, response, err);
    }
    response->status = 200;
    response->body_kind = BODY_TEXT;
    response->content_length = openapi_yaml_bytes;
    if (not_modified) {
        response_not_modified(response);
    } else {
        response_header_text(response, "Content-Type", "application/yaml");
        response_header_text(response, "X-Content-Type-Options", "nosniff");
    }
    response_header_text(response, "ETag", tag);
    response_header_text(response, "Cache-Control", request->method == METHOD_HEAD ? "no-store" : "no-cache");
    return API_DONE;
}
