/* token_file.c - see token_file.h. No message repeats what the file holds. */
#include "server/token_file.h"

#include "server/params.h"
#include "server/text_file.h"

#include <stdio.h>
#include <string.h>

/* A NUL ends no text here: what stands behind it is no token either. */
static bool set_token(struct config *config, const char *file, struct buf *text,
                      struct complaint *complaint) {
    size_t bytes = text->size;
    while (bytes > 0 && memchr(" \t\r\n", text->data[bytes - 1], 4)) {
        bytes--;
    }
    if (bytes > 0) {
        text->data[bytes] = '\0';
    }
    const char *token = bytes > 0 ? text->data : "";
    struct op op;
    op_init(&op, 0, 0);
    bool is_set = strlen(token) == bytes && settings_set_stored(config->params, &op, "token", token) == OK;
    return is_set || config_complain(config, complaint, "token_file",
                                     "%s: expected a token, " PARAMS_TOKEN_EXPECTED, file);
}

/* Whether both were told in one breath; else the later one counts. */
static bool complain_both(const struct config *config, struct complaint *complaint) {
    struct config_place token = config_place_of(config, "token");
    char where[40] = "LAILAD_TOKEN";
    if (token.source == SOURCE_FILE) {
        snprintf(where, sizeof where, "token in line %u", token.line);
    }
    return config_complain(config, complaint, "token_file",
                           "the token is also set by value (%s); expected only one of the two", where);
}

bool token_file_apply(struct config *config, struct complaint *complaint) {
    enum config_source file_source = config_place_of(config, "token_file").source;
    enum config_source token_source = config_place_of(config, "token").source;
    if (file_source == SOURCE_DEFAULT || token_source > file_source) {
        return true;
    }
    if (token_source == file_source) {
        return complain_both(config, complaint);
    }
    const char *file = settings_text(config->params, "token_file");
    AUTO(buf_fini) struct buf text;
    int failure = text_file_read(file, &text);
    char room[128];
    bool is_set = failure ? config_complain(config, complaint, "token_file", "%s: %s", file,
                                            strerror_r(failure, room, sizeof room))
                          : set_token(config, file, &text, complaint);
    if (text.data) {
        explicit_bzero(text.data, text.size);
    }
    return is_set;
}
