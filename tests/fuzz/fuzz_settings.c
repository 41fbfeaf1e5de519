/* fuzz_settings.c - a pool's options as texts: from REST, from the environment, from state.db. The first line is the kind, each other
 * one NAME=VALUE. What is taken is given back as a text that is taken again and means the same; what is refused names no secret. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/kinds.h"
#include "pools/settings.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

/* The values again, by the text that would be stored. */
static enum err copy_one(void *context, const struct option *option, const char *text, bool is_reference) {
    struct op op;
    op_init(&op, 0, 0);
    MUST(text);
    enum err err = is_reference ? settings_set_reference(context, &op, option->name, text)
                                : settings_set_stored(context, &op, option->name, text);
    MUST(err == OK);
    return OK;
}

struct pair {
    const struct settings *other;
    bool secrets_seen;
};

static enum err compare_one(void *context, const struct option *option, const char *text, uint64_t number,
                            bool flag) {
    struct pair *pair = context;
    MUST(!option->secret);
    if (text && !option->is_path) {
        MUST(strcmp(settings_text(pair->other, option->name), text) == 0);
    } else if (option->type == OPTION_BYTES || option->type == OPTION_COUNT) {
        MUST(settings_number(pair->other, option->name) == number);
        MUST(number >= option->least && (!option->most || number <= option->most));
    } else if (option->type == OPTION_FLAG) {
        MUST(settings_flag(pair->other, option->name) == flag);
    }
    return OK;
}

static void set_line(struct settings *settings, char *line) {
    struct op op;
    op_init(&op, 0, 0);
    char *equals = strchr(line, '=');
    if (!equals) {
        return;
    }
    *equals = '\0';
    const char *value = equals + 1;
    enum err err = strncmp(value, "${", 2) == 0 ? settings_set_reference(settings, &op, line, value)
                                                : settings_set_stored(settings, &op, line, value);
    MUST(err == OK || (op.fault.reason == REASON_INVALID_CONFIG && op.fault.detail[0]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    const char *name = strsep(&rest, "\n");
    const struct pool_kind *kind = kinds_find(name);
    if (!kind) {
        kind = kinds_at(0);
    }
    struct settings *settings = settings_new(kind->options, kind->option_count);
    MUST(settings);
    while (rest) {
        set_line(settings, strsep(&rest, "\n"));
    }
    struct op op;
    op_init(&op, 0, 0);
    struct settings *again = settings_new_like(settings);
    MUST(again && settings_each_set(settings, copy_one, again) == OK);
    if (settings_finish(settings, &op) == OK) {
        MUST(settings_finish(again, &op) == OK);
        struct pair pair = {.other = again};
        MUST(settings_each(settings, compare_one, &pair) == OK);
    } else {
        MUST(op.fault.reason == REASON_INVALID_CONFIG);
    }
    settings_free(again);
    settings_free(settings);
    free(text);
    return 0;
}
