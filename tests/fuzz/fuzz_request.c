/* fuzz_request.c - one whole request to the REST surface over a storage domain in memory and one file: "METHOD TARGET", header
 * lines, an empty line, the body. Every JSON body, listing cursor, condition and range passes here. The answer is well-formed, is no
 * failure of ours, and the pools that nobody named are as they were. */
#include "api/headers.h"
#include "api/json.h"
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/api/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT "{\"kept\": true}"
#define MOST_FIELDS 8

static struct service *service;

static void clean(void) {
    service_close(service);
}

static void send(const char *method, const char *target, const char *type, const char *body) {
    service_call(service, &(struct call){.method = method,
                                         .target = target,
                                         .body = body,
                                         .fields = {{type ? "Content-Type" : NULL, type}}});
}

/* What every input begins with. The pool "kept" is named by no seed; far holds something to find. */
static void begin(void) {
    send("PUT", "/pools/far/entries/x", "application/json", KEPT);
    send("PUT", "/pools/disk/entries/x", "application/json", KEPT);
    send("POST", "/chain", "text/plain", "alpha << cold << far");
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    service = service_open();
    MUST(service_send_json(service, "POST", "/pools", "{\"nickname\": \"disk\", \"kind\": \"hdf5\"}")
             ->status == 201);
    begin();
    atexit(clean);
    return 0;
}

/* "name: value" lines up to an empty one; what follows it is the body. Everything is cut out of text. */
static char *read_fields(char *rest, struct call *call) {
    for (unsigned count = 0; rest;) {
        char *line = strsep(&rest, "\n");
        if (!*line) {
            break;
        }
        char *colon = strchr(line, ':');
        if (!colon || count == MOST_FIELDS - 1) {
            continue;
        }
        *colon = '\0';
        const char *value = colon + 1 + strspn(colon + 1, " ");
        if (headers_is_field_text(value)) { /* others never pass the server's screen */
            call->fields[count][0] = line;
            call->fields[count++][1] = value;
        }
    }
    return rest;
}

static void check_problem(const struct answer *answer) {
    struct op op;
    op_init(&op, 0, 0);
    json_t *problem = NULL;
    MUST(json_decode_object(&op, answer->body, answer->body_bytes, &problem) == OK);
    MUST(json_integer_value(json_object_get(problem, "status")) == answer->status);
    MUST(json_is_string(json_object_get(problem, "type")) &&
         json_is_string(json_object_get(problem, "title")));
    json_decref(problem);
}

static void check_answer(const struct call *call, const struct answer *answer, bool told) {
    /* 501: an unknown method; 502 and 503: the pool that is down, or the file of a pool that could not be opened; 504: only-if-cached. */
    unsigned status = answer->status;
    MUST(status >= 200 && status < 600 && status != 500 && status != 507);
    const char *type = answer_field(answer, "Content-Type");
    bool is_head = call->method && strcmp(call->method, "HEAD") == 0;
    if (status >= 400 && !is_head) {
        MUST(strcmp(type, "application/problem+json") == 0);
        check_problem(answer);
    }
    MUST(!is_head || answer->body_bytes == 0);
    MUST((status != 204 && status != 304) || answer->body_bytes == 0);
    for (unsigned i = 0; i < answer->response.header_count; i++) {
        MUST(headers_is_field_text(answer->response.header[i].value));
    }
    /* The secret of the pool that is down; what a client sent may be told to it. */
    MUST(told || !strstr(answer->body, "hunter2"));
}

/* What the input made is taken away, so that one input is the same wherever it comes in a corpus. */
static void restore(const char *method, unsigned status, const char *location) {
    bool changes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
    if (status == 201 && strncmp(location, "/pools/", 7) == 0 && !strchr(location + 7, '/')) {
        char target[128];
        snprintf(target, sizeof target, "%s", location);
        send("DELETE", target, NULL, NULL);
        return;
    }
    send("DELETE", "/pools/alpha/entries?all=true", NULL, NULL);
    send("DELETE", "/pools/cold/entries?all=true", NULL, NULL);
    if (changes && status < 300) {
        send("DELETE", "/pools/far/entries?all=true", NULL, NULL);
        send("DELETE", "/pools/disk/entries?all=true", NULL, NULL);
        send("PUT", "/chain", "text/plain", "");
        begin();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    char *line = strsep(&rest, "\n");
    char *target = strchr(line, ' ');
    if (target && target[1]) {
        *target++ = '\0';
        struct call call = {.method = line, .target = target};
        char *body = read_fields(rest, &call);
        if (body) {
            call.body = body;
            call.body_bytes = size - (size_t)(body - text);
            call.body = call.body_bytes ? body : NULL;
        }
        const struct answer *answer = service_call(service, &call);
        check_answer(&call, answer, memmem(data, size, "unter", 5) != NULL);
        char location[128];
        snprintf(location, sizeof location, "%s", answer_field(answer, "Location"));
        restore(line, answer->status, location);
        answer = service_get(service, "/pools/far/entries/x");
        MUST(answer->status == 200 && strcmp(answer->body, KEPT) == 0);
        answer = service_get(service, "/pools/disk/entries/x");
        MUST(answer->status == 200 && strcmp(answer->body, KEPT) == 0);
    }
    free(text);
    return 0;
}
