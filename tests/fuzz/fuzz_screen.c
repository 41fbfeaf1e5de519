/* fuzz_screen.c - the fields of a request before any handler: lines "name:value", as the HTTP library would hand them over. What passes
 * has one Host that it answers to, one way to tell where its body ends, and names that are tokens; joining twins loses nothing. */
#include "pools/base/must.h"
#include "server/headers.h"
#include "server/screen.h"
#include "tests/fuzz/fuzz.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return 0;
}

/* A NUL after every name and value, as in the library's buffer. */
static void split(char *text, struct headers *headers) {
    for (char *rest = text; rest;) {
        char *name = strsep(&rest, "\n");
        char *colon = strchr(name, ':');
        if (!colon) {
            continue;
        }
        *colon = '\0';
        char *value = colon + 1;
        value += strspn(value, " \t");
        size_t bytes = strlen(value);
        while (bytes && (value[bytes - 1] == ' ' || value[bytes - 1] == '\t')) {
            value[--bytes] = '\0';
        }
        headers_add(headers, name, strlen(name), value, bytes);
    }
}

static void check_passed(const struct headers *headers, const struct screened *screened) {
    MUST(!headers->overflow && headers->count <= HEADERS_MOST);
    for (unsigned i = 0; i < headers->count; i++) {
        const struct header_field *field = &headers->field[i];
        MUST(field->name_bytes > 0);
        for (size_t at = 0; at < field->name_bytes; at++) {
            unsigned char byte = (unsigned char)field->name[at];
            MUST(isalnum(byte) || strchr("!#$%&'*+-.^_`|~", byte));
        }
    }
    unsigned lengths = headers_count(headers, "Content-Length");
    unsigned codings = headers_count(headers, "Transfer-Encoding");
    MUST(headers_count(headers, "Host") <= 1 && lengths + codings <= 1);
    MUST(headers_count(headers, "Host") == 1 || screened->is_http_1_0);
    MUST((screened->body_bytes == UINT64_MAX) == (codings == 1));
    MUST(screened->has_body || screened->body_bytes == 0);
    MUST(!codings || !screened->is_http_1_0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    struct headers *headers = malloc(sizeof *headers);
    MUST(text && headers);
    memcpy(text, data, size);
    text[size] = '\0';
    headers_init(headers);
    split(text, headers);
    static const char *const versions[] = {"HTTP/1.1", "HTTP/1.0"};
    for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct screen_head head = {.version = versions[i],
                                   .target = "/livez",
                                   .target_bytes = 6,
                                   .head_bytes = size,
                                   .headers = headers};
        struct screened screened;
        enum err err = screen_request(&op, &head, &screened);
        if (err) {
            MUST(err == reason_kind(op.fault.reason) && op.fault.detail[0]);
        } else {
            check_passed(headers, &screened);
        }
    }
    unsigned before = headers->count;
    bool had_twins = headers_has_twins(headers);
    MUST(headers_own(headers));
    MUST(headers->count == before || (had_twins && headers->count < before));
    for (unsigned i = 0; i < headers->count; i++) {
        MUST(headers_find(headers, headers->field[i].name));
        MUST(headers->field[i].value[headers->field[i].value_bytes] == '\0');
    }
    headers_fini(headers);
    free(headers);
    free(text);
    return 0;
}
