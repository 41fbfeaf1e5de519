/* generation.c - see generation.h. */
#include "api/generation.h"

#include "api/headers.h"
#include "api/read_condition.h"
#include "pools/chain/wiring.h"

#include <inttypes.h>
#include <stdio.h>

#define TAG_BYTES 32

static void format_tag(uint64_t generation, enum generation_form form, char ret_tag[TAG_BYTES]) {
    snprintf(ret_tag, TAG_BYTES, "\"%" PRIu64 "%s\"", generation, form == GENERATION_JSON ? "-json" : "");
}

void generation_describe(struct response *response, uint64_t generation, enum generation_form form) {
    char tag[TAG_BYTES];
    format_tag(generation, form, tag);
    response_header_text(response, "ETag", tag);
    response_header_text(response, "Cache-Control", "no-store");
}

enum err generation_judge_read(struct request *request, uint64_t generation, enum generation_form form,
                               bool *ret_not_modified) {
    char tag[TAG_BYTES];
    format_tag(generation, form, tag);
    return read_condition_judge(request, tag, ret_not_modified);
}

/* In whichever form. */
static bool names(const struct condition *condition, uint64_t generation) {
    char plain[TAG_BYTES];
    char json[TAG_BYTES];
    format_tag(generation, GENERATION_PLAIN, plain);
    format_tag(generation, GENERATION_JSON, json);
    return headers_condition_names(condition, plain) || headers_condition_names(condition, json);
}

enum err generation_judge_change(struct request *request, uint64_t generation, uint64_t *ret_if_generation) {
    struct condition condition;
    enum err err = headers_condition(&request->op, request->io->header(request, "If-Match"),
                                     request->io->header(request, "If-None-Match"), &condition);
    if (err) {
        return err;
    }
    *ret_if_generation = GENERATION_ANY;
    bool holds = true;
    switch (condition.kind) {
    case CONDITION_NONE:
    case CONDITION_PRESENT: /* the wiring always exists */
    case CONDITION_CACHED:  /* no header says so */
        break;
    case CONDITION_ABSENT:
        holds = false;
        break;
    case CONDITION_MATCH:
        holds = names(&condition, generation);
        *ret_if_generation = generation;
        break;
    case CONDITION_NONE_MATCH:
        holds = !names(&condition, generation);
        break;
    }
    return holds ? OK
                 : op_fail(&request->op, REASON_PRECONDITION_FAILED,
                           "the current entity tag is \"%" PRIu64 "\"", generation);
}
