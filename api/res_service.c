/* res_service.c - what is about the process and not about pools. */
#include "api/problem.h"
#include "api/resources.h"

/* Alive is whoever answers; nothing is asked, so that a slow backend never gets the process restarted. */
enum api_step res_livez_peek(struct request *request, struct response *response) {
    if (buf_append_text(&response->text, "ok\n") != OK) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    response->status = 200;
    response->body_kind = BODY_TEXT;
    response->content_length = response->text.size;
    response_header_text(response, "Content-Type", "text/plain; charset=utf-8");
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}
