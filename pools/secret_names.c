/* secret_names.c - see secret_names.h. */
#include "pools/secret_names.h"

#include <string.h>

bool secret_reference(const char *text, char ret_name[SECRET_NAME_BYTES]) {
    size_t bytes = strlen(text);
    if (bytes < 4 || bytes - 3 >= SECRET_NAME_BYTES || strncmp(text, "${", 2) != 0 ||
        text[bytes - 1] != '}') {
        return false;
    }
    memcpy(ret_name, text + 2, bytes - 3);
    ret_name[bytes - 3] = '\0';
    return strspn(ret_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == bytes - 3;
}

struct expansion {
    struct op *op;
    const struct secret_names *names;
    enum reason missing;
    struct settings *settings;
};

static enum err expand_option(void *context, const struct option *option, const char *text,
                              bool is_reference) {
    const struct expansion *expansion = context;
    const struct secret_names *names = expansion->names;
    if (!is_reference) {
        return settings_set_stored(expansion->settings, expansion->op, option->name, text);
    }
    char name[SECRET_NAME_BYTES] = "";
    const char *value =
        secret_reference(text, name) && names->find ? names->find(names->context, name) : NULL;
    if (!value) {
        return op_fail(expansion->op, expansion->missing,
                       "option '%s': ${%s} is not among the names that may be used here, or has no value",
                       option->name, name);
    }
    return settings_set_stored(expansion->settings, expansion->op, option->name, value);
}

enum err secret_names_expand(const struct settings *from, struct op *op, const struct secret_names *names,
                             enum reason missing, struct settings **ret_settings) {
    AUTO(settings_free) struct settings *settings = settings_new_like(from);
    if (!settings) {
        return op_no_memory(op);
    }
    struct expansion expansion = {.op = op, .names = names, .missing = missing, .settings = settings};
    enum err err = settings_each_set(from, expand_option, &expansion);
    if (!err) {
        err = settings_finish(settings, op);
    }
    if (!err) {
        *ret_settings = STEAL(settings);
    }
    return err;
}
