/* settings.c - see settings.h. Values are kept as text (for answers and state.db) beside their parsed number. */
#include "pools/settings.h"

#include "pools/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_VALUE_MOST_BYTES 8192

struct value {
    bool is_set;       /* by somebody */
    bool is_default;   /* filled in by settings_finish */
    bool is_reference; /* the text is a secret's name, not its value */
    char *text;
    uint64_t number;
    bool flag;
};

struct settings {
    struct option *options; /* the rows, copied: they come from one table or from two */
    size_t count;
    struct value values[];
};

struct settings *settings_new_joined(const struct option *options, size_t option_count,
                                     const struct option *more, size_t more_count) {
    size_t count = option_count + more_count;
    struct settings *settings = calloc(1, sizeof *settings + count * sizeof(struct value));
    struct option *rows = calloc(count + 1, sizeof *rows);
    if (!settings || !rows) {
        free(settings);
        free(rows);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        rows[i] = i < option_count ? options[i] : more[i - option_count];
    }
    settings->options = rows;
    settings->count = count;
    return settings;
}

struct settings *settings_new(const struct option *options, size_t option_count) {
    return settings_new_joined(options, option_count, NULL, 0);
}

struct settings *settings_new_like(const struct settings *settings) {
    return settings_new(settings->options, settings->count);
}

static void value_clear(struct value *value) {
    if (value->text) {
        explicit_bzero(value->text, strlen(value->text));
        free(value->text);
    }
    *value = (struct value){0};
}

void settings_free(struct settings *settings) {
    if (!settings) {
        return;
    }
    for (size_t i = 0; i < settings->count; i++) {
        value_clear(&settings->values[i]);
    }
    free(settings->options);
    free(settings);
}

static enum err find_option(const struct settings *settings, struct op *op, const char *name,
                            size_t *ret_index) {
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->options[i].name, name) == 0) {
            *ret_index = i;
            return OK;
        }
    }
    char known[200] = "";
    size_t used = 0;
    for (size_t i = 0; i < settings->count && used < sizeof known - 1; i++) {
        int wrote =
            snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", settings->options[i].name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return op_fail(op, REASON_INVALID_CONFIG, "unknown option '%.64s'; expected one of: %s", name, known);
}

static enum err wrong_type(struct op *op, const struct option *option) {
    static const char *const wanted[] = {
        [OPTION_TEXT] = "a string",    [OPTION_BYTES] = "a number of bytes, or a string like \"256MiB\"",
        [OPTION_COUNT] = "an integer", [OPTION_FLAG] = "true or false",
        [OPTION_CHOICE] = "a string",
    };
    return op_fail(op, REASON_INVALID_CONFIG, "option '%s': expected %s", option->name, wanted[option->type]);
}

static enum err store(struct settings *settings, struct op *op, size_t index, const char *text,
                      uint64_t number, bool flag, bool is_default) {
    char *copy = strdup(text);
    if (!copy) {
        return op_no_memory(op);
    }
    value_clear(&settings->values[index]);
    settings->values[index] = (struct value){
        .is_set = !is_default, .is_default = is_default, .text = copy, .number = number, .flag = flag};
    return OK;
}

static enum err check_bounds(struct op *op, const struct option *option, uint64_t number) {
    if (number < option->least) {
        return op_fail(op, REASON_INVALID_CONFIG, "option '%s': expected at least %" PRIu64, option->name,
                       option->least);
    }
    if (option->most && number > option->most) {
        return op_fail(op, REASON_INVALID_CONFIG, "option '%s': expected at most %" PRIu64, option->name,
                       option->most);
    }
    return OK;
}

/* "256MiB", "1.5" is not a size: whole numbers with a unit only. */
static bool parse_bytes(const char *text, uint64_t *ret_number) {
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"kB", UINT64_C(1000)},
        {"MB", UINT64_C(1000000)},
        {"GB", UINT64_C(1000000000)},
        {"TB", UINT64_C(1000000000000)},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno) {
        return false;
    }
    while (*end == ' ') {
        end++;
    }
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            if (number > UINT64_MAX / units[i].factor) {
                return false;
            }
            *ret_number = number * units[i].factor;
            return true;
        }
    }
    return false;
}

static enum err choice_fail(struct op *op, const struct option *option) {
    char known[160] = "";
    size_t used = 0;
    for (const char *const *choice = option->choices; *choice && used < sizeof known - 1; choice++) {
        int wrote = snprintf(known + used, sizeof known - used, "%s\"%s\"", used ? ", " : "", *choice);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    return op_fail(op, REASON_INVALID_CONFIG, "option '%s': expected one of %s", option->name, known);
}

/* One text value by its row's type; also how defaults and state.db values come in. */
static enum err set_from_text(struct settings *settings, struct op *op, size_t index, const char *text,
                              bool is_default) {
    const struct option *option = &settings->options[index];
    uint64_t number = 0;
    enum err err = OK;
    switch (option->type) {
    case OPTION_TEXT:
        if (strlen(text) > TEXT_VALUE_MOST_BYTES) {
            return op_fail(op, REASON_INVALID_CONFIG, "option '%s': longer than %d bytes", option->name,
                           TEXT_VALUE_MOST_BYTES);
        }
        if (option->is_valid && !option->is_valid(text)) {
            return op_fail(op, REASON_INVALID_CONFIG, "option '%s': expected %s", option->name,
                           option->expected);
        }
        return store(settings, op, index, text, 0, false, is_default);
    case OPTION_CHOICE:
        for (const char *const *choice = option->choices; *choice; choice++) {
            if (strcmp(*choice, text) == 0) {
                return store(settings, op, index, text, 0, false, is_default);
            }
        }
        return choice_fail(op, option);
    case OPTION_BYTES:
    case OPTION_COUNT:
        if (!parse_bytes(text, &number) ||
            (option->type == OPTION_COUNT && text[strspn(text, "0123456789")])) {
            return wrong_type(op, option);
        }
        err = check_bounds(op, option, number);
        return err ? err : store(settings, op, index, text, number, false, is_default);
    case OPTION_FLAG:
        if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
            return wrong_type(op, option);
        }
        return store(settings, op, index, text, 0, text[0] == 't', is_default);
    }
    must_fail("the option has one of the types", __FILE__, __LINE__);
}

enum err settings_set_text(struct settings *settings, struct op *op, const char *name, const char *text) {
    size_t index = 0;
    enum err err = find_option(settings, op, name, &index);
    if (err) {
        return err;
    }
    enum option_type type = settings->options[index].type;
    if (type == OPTION_COUNT || type == OPTION_FLAG) {
        return wrong_type(op, &settings->options[index]);
    }
    return set_from_text(settings, op, index, text, false);
}

enum err settings_set_stored(struct settings *settings, struct op *op, const char *name, const char *text) {
    size_t index = 0;
    enum err err = find_option(settings, op, name, &index);
    return err ? err : set_from_text(settings, op, index, text, false);
}

enum err settings_set_reference(struct settings *settings, struct op *op, const char *name,
                                const char *text) {
    size_t index = 0;
    enum err err = find_option(settings, op, name, &index);
    if (err) {
        return err;
    }
    const struct option *option = &settings->options[index];
    if (!option->secret) {
        return op_fail(op, REASON_INVALID_CONFIG, "option '%s': ${...} may stand for a credential only",
                       option->name);
    }
    MUST(option->type == OPTION_TEXT);
    err = set_from_text(settings, op, index, text, false);
    if (!err) {
        settings->values[index].is_reference = true;
    }
    return err;
}

enum err settings_set_number(struct settings *settings, struct op *op, const char *name, int64_t number) {
    size_t index = 0;
    enum err err = find_option(settings, op, name, &index);
    if (err) {
        return err;
    }
    const struct option *option = &settings->options[index];
    if (option->type != OPTION_BYTES && option->type != OPTION_COUNT) {
        return wrong_type(op, option);
    }
    if (number < 0) {
        return op_fail(op, REASON_INVALID_CONFIG, "option '%s': expected a number that is not negative",
                       option->name);
    }
    err = check_bounds(op, option, (uint64_t)number);
    if (err) {
        return err;
    }
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    return store(settings, op, index, text, (uint64_t)number, false, false);
}

enum err settings_set_flag(struct settings *settings, struct op *op, const char *name, bool flag) {
    size_t index = 0;
    enum err err = find_option(settings, op, name, &index);
    if (err) {
        return err;
    }
    if (settings->options[index].type != OPTION_FLAG) {
        return wrong_type(op, &settings->options[index]);
    }
    return store(settings, op, index, flag ? "true" : "false", 0, flag, false);
}

enum err settings_refuse_type(struct settings *settings, struct op *op, const char *name) {
    size_t index = 0;
    enum err err = find_option(settings, op, name, &index);
    return err ? err : wrong_type(op, &settings->options[index]);
}

enum err settings_finish(struct settings *settings, struct op *op) {
    for (size_t i = 0; i < settings->count; i++) {
        const struct option *option = &settings->options[i];
        if (settings->values[i].is_set) {
            continue;
        }
        if (option->required) {
            return op_fail(op, REASON_INVALID_CONFIG, "option '%s' is missing: %s", option->name,
                           option->sentence);
        }
        if (option->default_text) {
            enum err err = set_from_text(settings, op, i, option->default_text, true);
            MUST(err == OK || err == ERR_NO_MEMORY); /* a default fits its own row */
            if (err) {
                return err;
            }
        }
    }
    return OK;
}

static const struct value *value_of(const struct settings *settings, const char *name) {
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->options[i].name, name) == 0) {
            return &settings->values[i];
        }
    }
    must_fail("the option is in the kind's table", __FILE__, __LINE__);
}

const char *settings_text(const struct settings *settings, const char *name) {
    const struct value *value = value_of(settings, name);
    MUST(!value->is_reference);
    return value->text;
}

uint64_t settings_number(const struct settings *settings, const char *name) {
    return value_of(settings, name)->number;
}

bool settings_flag(const struct settings *settings, const char *name) {
    return value_of(settings, name)->flag;
}

bool settings_is_set(const struct settings *settings, const char *name) {
    return value_of(settings, name)->is_set;
}

/* Where a pool's file lies on the disk is nobody's business (design.md 13.4). */
static const char *shown_text(const struct option *option, const char *text) {
    return option->is_path && text[0] == '/' ? strrchr(text, '/') + 1 : text;
}

bool settings_may_show(const struct settings *settings, const char *name) {
    for (size_t i = 0; i < settings->count; i++) {
        if (strcmp(settings->options[i].name, name) == 0) {
            return !settings->options[i].secret;
        }
    }
    return false;
}

enum err settings_each(const struct settings *settings, settings_visit_fn *visit, void *context) {
    for (size_t i = 0; i < settings->count; i++) {
        const struct value *value = &settings->values[i];
        if (settings->options[i].secret || !value->text) {
            continue;
        }
        const char *text = shown_text(&settings->options[i], value->text);
        enum err err = visit(context, &settings->options[i], text, value->number, value->flag);
        if (err) {
            return err;
        }
    }
    return OK;
}

enum err settings_each_set(const struct settings *settings, settings_store_fn *visit, void *context) {
    for (size_t i = 0; i < settings->count; i++) {
        if (!settings->values[i].is_set) {
            continue;
        }
        const struct value *value = &settings->values[i];
        enum err err = visit(context, &settings->options[i], value->text, value->is_reference);
        if (err) {
            return err;
        }
    }
    return OK;
}
