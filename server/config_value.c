/* config_value.c - one value of the configuration: names replaced, the option's row asked, and where the value came from. See config.h
 * and config_parts.h. */
#include "server/config_parts.h"

#include "pools/base/must.h"
#include "server/params.h"
#include "server/text_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- where it came from ---- */

static size_t index_of(const char *param) {
    for (size_t i = 0; i < params_count; i++) {
        if (strcmp(params_options[i].name, param) == 0) {
            return i;
        }
    }
    must_fail("the parameter is in the table", __FILE__, __LINE__);
}

void config_set_place(struct config *config, const char *param, struct config_place place) {
    config->places[index_of(param)] = place;
}

struct config_place config_place_of(const struct config *config, const char *param) {
    return config->places[index_of(param)];
}

bool config_complain(const struct config *config, struct complaint *complaint, const char *param,
                     const char *format, ...) {
    char sentence[sizeof complaint->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    struct config_place place = config_place_of(config, param);
    char variable[PARAMS_VARIABLE_BYTES];
    params_environment(param, variable);
    const char *const names[] = {[SOURCE_DEFAULT] = NULL,
                                 [SOURCE_FILE] = config->file,
                                 [SOURCE_ENVIRONMENT] = variable,
                                 [SOURCE_FLAG] = place.flag};
    return complain(complaint, names[place.source], place.line, "%s: %s", param, sentence);
}

/* ---- what it is ---- */

const char *config_sentence(const struct op *op, const char *key) {
    char named[NICKNAME_BYTES * 2];
    int bytes = snprintf(named, sizeof named, "option '%s': ", key);
    bool is_named =
        bytes > 0 && (size_t)bytes < sizeof named && strncmp(op->fault.detail, named, (size_t)bytes) == 0;
    return op->fault.detail + (is_named ? bytes : 0);
}

/* Names replaced; messages repeat the name, never what it stands for. */
static bool expand(const struct reading *reading, const struct toml_node *node, const char *where,
                   struct buf *text) {
    char name[NICKNAME_BYTES * 2];
    switch (secrets_expand(reading->config->secrets, node->text, text, name, sizeof name)) {
    case EXPAND_OK:
        return true;
    case EXPAND_UNDEFINED:
        return complain(reading->complaint, reading->file, node->line,
                        "%s%s: the name %s is neither in the secrets file nor in the environment", where,
                        node->key, name);
    case EXPAND_UNCLOSED:
        return complain(reading->complaint, reading->file, node->line,
                        "%s%s: \"${\" without its \"}\" (a dollar is written $$)", where, node->key);
    case EXPAND_NO_MEMORY:
        break;
    }
    return complain(reading->complaint, reading->file, node->line, "%s%s: too long", where, node->key);
}

static bool set_text(const struct reading *reading, struct settings *settings, const struct toml_node *node,
                     const char *where) {
    if (strlen(node->text) != node->text_bytes) {
        return complain(reading->complaint, reading->file, node->line, "%s%s: a text may not contain U+0000",
                        where, node->key);
    }
    AUTO(buf_fini) struct buf text;
    buf_init(&text, TEXT_FILE_MOST_BYTES);
    if (!expand(reading, node, where, &text)) {
        return false;
    }
    struct op op;
    op_init(&op, 0, 0);
    bool is_set = settings_set_text(settings, &op, node->key, text.data ? text.data : "") == OK;
    if (text.data) {
        explicit_bzero(text.data, text.size);
    }
    if (is_set) {
        return true;
    }
    /* What stands in the file may be repeated, unless it is, or by its mistyped key may be, a secret. */
    bool is_plain = !strchr(node->text, '$') && settings_may_show(settings, node->key);
    return complain(reading->complaint, reading->file, node->line, "%s%s: %s%s%.100s%s", where, node->key,
                    config_sentence(&op, node->key), is_plain ? " (found \"" : "", is_plain ? node->text : "",
                    is_plain ? "\")" : "");
}

bool config_set_value(const struct reading *reading, struct settings *settings, const struct toml_node *node,
                      const char *where) {
    struct op op;
    op_init(&op, 0, 0);
    enum err err = OK;
    switch (node->kind) {
    case TOML_TEXT:
        return set_text(reading, settings, node, where);
    case TOML_NUMBER:
        err = settings_set_number(settings, &op, node->key, node->number);
        break;
    case TOML_FLAG:
        err = settings_set_flag(settings, &op, node->key, node->flag);
        break;
    case TOML_TABLE:
    case TOML_LIST:
    case TOML_OTHER:
        err = settings_refuse_type(settings, &op, node->key);
        break;
    }
    return !err || complain(reading->complaint, reading->file, node->line, "%s%s: %s", where, node->key,
                            config_sentence(&op, node->key));
}
