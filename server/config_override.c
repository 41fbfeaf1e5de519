/* config_override.c - what beats the file: the environment, and the flags that beat both. See config_parts.h. */
#include "server/config_parts.h"

#include "server/params.h"

#include <stdlib.h>

static bool override(const struct reading *reading, const char *param, const char *text,
                     struct config_place place) {
    struct config *config = reading->config;
    config_set_place(config, param, place);
    struct op op;
    op_init(&op, 0, 0);
    if (settings_set_stored(config->params, &op, param, text)) {
        bool is_shown = settings_may_show(config->params, param);
        return config_complain(config, reading->complaint, param, "%s%s%.100s%s", config_sentence(&op, param),
                               is_shown ? " (found \"" : "", is_shown ? text : "", is_shown ? "\")" : "");
    }
    return config_check_param(config, reading->complaint, param);
}

bool config_read_environment(const struct reading *reading) {
    const struct config_place place = {.source = SOURCE_ENVIRONMENT};
    for (size_t i = 0; i < params_count; i++) {
        const char *text = params_getenv(params_options[i].name);
        if (text && !override(reading, params_options[i].name, text, place)) {
            return false;
        }
    }
    return config_read_list_variables(reading);
}

bool config_read_flags(const struct reading *reading, const struct args *args) {
    const struct config_place listen = {.source = SOURCE_FLAG, .flag = "--listen"};
    const struct config_place data_dir = {.source = SOURCE_FLAG, .flag = "--data-dir"};
    return (!args->listen || override(reading, "listen", args->listen, listen)) &&
           (!args->data_dir || override(reading, "data_dir", args->data_dir, data_dir));
}
