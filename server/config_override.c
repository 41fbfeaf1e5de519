/* config_override.c - what beats the file: the environment, and the flags that beat both; and what in the environment looks as if it
 * did. See config_parts.h. */
#include "server/config_parts.h"

#include "server/params.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ---- variables that set nothing ---- */

#define PREFIX "LAILAD_"

/* name has only the variable's name. */
static bool is_setting(const char *name) {
    char key[PARAMS_VARIABLE_BYTES] = "";
    for (size_t i = 0; i < sizeof key - 1 && name[sizeof PREFIX - 1 + i]; i++) {
        key[i] = (char)tolower((unsigned char)name[sizeof PREFIX - 1 + i]);
    }
    char variable[PARAMS_VARIABLE_BYTES];
    params_environment(key, variable);
    return strcmp(variable, name) == 0 && (config_is_param(key) || config_is_list(key));
}

/* Kubernetes gives them to every container beside a service of the name lailad. */
static bool is_of_kubernetes(const char *name) {
    return strncmp(name, PREFIX "SERVICE_", sizeof PREFIX "SERVICE_" - 1) == 0 ||
           strncmp(name, PREFIX "PORT", sizeof PREFIX "PORT" - 1) == 0;
}

/* The parser bounds the depth. */
static bool is_named_in(const struct toml_node *node, const char *name) {
    if (node->kind == TOML_TEXT && strstr(node->text, name)) {
        return true;
    }
    for (const struct toml_node *child = node->first; child; child = child->next) {
        if (is_named_in(child, name)) {
            return true;
        }
    }
    return false;
}

static bool add_unknown(const struct reading *reading, char *take_name) {
    struct config *config = reading->config;
    size_t count = config->unknown_variable_count;
    char **names = realloc(config->unknown_variables, (count + 1) * sizeof *names);
    if (!names) {
        free(take_name);
        return complain(reading->complaint, NULL, 0, "out of memory");
    }
    names[count] = take_name;
    config->unknown_variables = names;
    config->unknown_variable_count = count + 1;
    return true;
}

bool config_find_unknown(const struct reading *reading, const struct toml_node *root) {
    for (char *const *variable = environ; *variable; variable++) {
        if (strncmp(*variable, PREFIX, sizeof PREFIX - 1) != 0) {
            continue;
        }
        char *name = strndup(*variable, strcspn(*variable, "="));
        if (!name) {
            return complain(reading->complaint, NULL, 0, "out of memory");
        }
        if (is_setting(name) || is_of_kubernetes(name) || is_named_in(root, name)) {
            free(name);
        } else if (!add_unknown(reading, name)) {
            return false;
        }
    }
    return true;
}
