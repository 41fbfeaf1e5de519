/* fake_here.c - handlers that the poll thread runs itself: the paths /here... of fake_api.h. They must never get to a lane but when they ask. */
#include "pools/base/must.h"
#include "tests/unit/server/fake_api.h"
#include "tests/unit/server/fake_gate.h"

#include <stdlib.h>

static enum api_step run_now(struct request *request, struct response *response) {
    bool *at_gate = request->kept;
    if (!at_gate) {
        at_gate = calloc(1, sizeof *at_gate);
        MUST(at_gate);
        request_keep(request, at_gate, free);
    }
    if (strcmp(request->target.memory, "/here-lane") != 0 && gate_pass(request, at_gate) == ERR_AGAIN) {
        return API_WAIT;
    }
    if (strcmp(request->target.memory, "/here") != 0) {
        request_keep(request, NULL, NULL); /* a lane's run keeps other things */
        free(at_gate);
        return API_LANE;
    }
    response->status = 200;
    response->body_kind = BODY_TEXT;
    MUST(buf_append_text(&response->text, "here") == OK);
    response->content_length = response->text.size;
    return API_DONE;
}

void fake_begin_here(struct request *request) {
    if (strncmp(request->target.memory, "/here", strlen("/here")) == 0) {
        request->run_now = run_now;
    }
}

enum api_step api_run_now(struct request *request, struct response *response) {
    enum api_step step = request->run_now(request, response);
    if (step == API_LANE) {
        request->run_now = NULL;
    }
    return step;
}
