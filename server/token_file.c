/* token_file.c - see token_file.h. No message repeats what the file holds. */
#include "server/token_file.h"

#include "server/params.h"
#include "server/text_file.h"

#include <stdlib.h>
#include <string.h>

static bool is_token(const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return bytes > 0;
}

/* text is not terminated. */
static bool set_token(struct settings *params, const char *file, const char *text, size_t bytes,
                      struct complaint *complaint) {
    while (bytes > 0 && memchr(" \t\r\n", text[bytes - 1], 4)) {
        bytes--;
    }
    if (bytes > TOKEN_MOST_BYTES || !is_token(text, bytes)) {
        return complain(complaint, file, 0,
                        "token_file: expected one token of visible ASCII characters, at most %d of them",
                        TOKEN_MOST_BYTES);
    }
    char token[TOKEN_MOST_BYTES + 1];
    memcpy(token, text, bytes);
    token[bytes] = '\0';
    struct op op;
    op_init(&op, 0, 0);
    bool is_set = settings_set_stored(params, &op, "token", token) == OK;
    explicit_bzero(token, sizeof token);
    return is_set || complain(complaint, file, 0, "%s", op.fault.detail);
}

static bool is_in_environment(const char *name) {
    char variable[PARAMS_VARIABLE_BYTES];
    params_environment(name, variable);
    const char *text = getenv(variable);
    return text && *text;
}

bool token_file_apply(struct settings *params, struct complaint *complaint) {
    const char *file = settings_text(params, "token_file");
    bool environment_has_token = is_in_environment("token");
    bool environment_has_file = is_in_environment("token_file");
    if (!file || !*file || (environment_has_token && !environment_has_file)) {
        return true;
    }
    bool beats_token = environment_has_file && !environment_has_token;
    if (!beats_token && settings_is_set(params, "token")) {
        return complain(complaint, file, 0,
                        "token_file: the token is also set by value: only one of the two");
    }
    AUTO(buf_fini) struct buf text;
    int failure = text_file_read(file, &text);
    bool is_set = !failure ? set_token(params, file, text.data ? text.data : "", text.size, complaint)
                           : complain_errno(complaint, file, failure);
    if (text.data) {
        explicit_bzero(text.data, text.size);
    }
    return is_set;
}
