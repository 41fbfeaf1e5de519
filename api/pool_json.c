/* pool_json.c - see pool_json.h. */
#include "api/pool_json.h"

#include <string.h>

/* ---- out ---- */

/* An absolute path comes from the config file and is nobody's business over REST: its last part names the
 * file well enough. */
static const char *shown_text(const struct option *option, const char *text) {
    const char *slash = strcmp(option->name, "path") == 0 && text[0] == '/' ? strrchr(text, '/') : NULL;
    return slash ? slash + 1 : text;
}

static enum err put_option(void *context, const struct option *option, const char *text, uint64_t number,
                           bool flag) {
    json_t *value = NULL;
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_CHOICE:
        value = json_string(shown_text(option, text));
        break;
    case OPTION_BYTES:
    case OPTION_COUNT:
        value = json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
        break;
    case OPTION_FLAG:
        value = json_boolean(flag);
        break;
    }
    return json_put(context, option->name, value) ? OK : ERR_NO_MEMORY;
}

static json_t *number_or_null(bool known, uint64_t number) {
    return known ? json_integer((json_int_t)number) : json_null();
}

static json_t *capabilities_to_json(const struct pool_capabilities *can) {
    json_t *object = json_object();
    bool fits =
        json_put(object, "ranges", json_boolean(can->ranges)) &&
        json_put(object, "create_only", json_boolean(can->create_only)) &&
        json_put(object, "if_match", json_boolean(can->if_match)) &&
        json_put(object, "fill_fence", json_boolean(can->fill_fence)) &&
        json_put(object, "durable", json_boolean(can->durable)) &&
        json_put(object, "never_blocks", json_boolean(can->never_blocks)) &&
        json_put(object, "remote", json_boolean(can->remote)) &&
        json_put(object, "stores_hold", json_boolean(can->stores_hold)) &&
        json_put(object, "stores_meta", json_boolean(can->stores_meta)) &&
        json_put(object, "tells_created", json_boolean(can->tells_created)) &&
        json_put(object, "evicts", json_boolean(can->evicts)) &&
        json_put(object, "max_object_bytes", number_or_null(can->max_object_bytes, can->max_object_bytes)) &&
        json_put(object, "max_key_bytes", number_or_null(can->max_key_bytes, can->max_key_bytes)) &&
        json_put(object, "max_parallel", number_or_null(can->max_parallel, can->max_parallel));
    if (!fits) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *state_to_json(const struct pool_status *status) {
    json_t *object = json_object();
    bool fits = json_put(object, "status", json_string(pool_state_word(status->state)));
    json_t *reason = status->reason[0] ? json_string(status->reason) : NULL;
    if (!fits || (reason && !json_put(object, "reason", reason))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *counts_to_json(const struct pool_status *status) {
    json_t *object = json_object();
    bool fits = json_put(object, "entries", number_or_null(status->counts_known, status->entries)) &&
                json_put(object, "bytes", number_or_null(status->counts_known, status->bytes));
    if (fits && status->foreign_known) {
        fits = json_put(object, "foreign", json_integer((json_int_t)status->foreign));
    }
    if (!fits) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *pool_to_json(struct pool *pool) {
    struct pool_status status;
    pool_get_status(pool, &status);
    json_t *config = json_object();
    if (config && settings_each(pool->settings, put_option, config) != OK) {
        json_decref(config);
        config = NULL;
    }
    json_t *object = json_object();
    /* json_put takes its value in every case, so each line may run even after one failed. */
    bool fits = json_put(object, "nickname", json_string(pool->nickname));
    fits = json_put(object, "kind", json_string(pool->ops->kind)) && fits;
    fits = json_put(object, "config", config) && fits;
    fits = json_put(object, "capabilities", capabilities_to_json(&pool->capabilities)) && fits;
    fits = json_put(object, "state", state_to_json(&status)) && fits;
    fits = json_put(object, "counts", counts_to_json(&status)) && fits;
    if (!fits) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* ---- in ---- */

static const struct option *find_option(const struct pool_kind *kind, const char *name) {
    for (size_t i = 0; i < kind->option_count; i++) {
        if (strcmp(kind->options[i].name, name) == 0) {
            return &kind->options[i];
        }
    }
    return NULL;
}

#define REFERENCE_MOST_BYTES 128

/* Whether the whole text is ${NAME}. */
static bool is_reference(const char *text, char ret_name[REFERENCE_MOST_BYTES]) {
    size_t bytes = strlen(text);
    if (bytes < 4 || bytes - 3 >= REFERENCE_MOST_BYTES || strncmp(text, "${", 2) != 0 ||
        text[bytes - 1] != '}') {
        return false;
    }
    memcpy(ret_name, text + 2, bytes - 3);
    ret_name[bytes - 3] = '\0';
    return strspn(ret_name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == bytes - 3;
}

static enum err set_text(const struct api *api, struct op *op, const struct pool_kind *kind,
                         struct settings *settings, const char *name, const char *text) {
    char reference[REFERENCE_MOST_BYTES];
    if (is_reference(text, reference)) {
        const struct option *option = find_option(kind, name);
        if (option && !option->secret) {
            return op_fail(op, REASON_INVALID_CONFIG, "%s: ${%s} is expanded in credentials only", name,
                           reference);
        }
        const char *value = option && api->expand ? api->expand(api->expand_context, reference) : NULL;
        if (option && !value) {
            return op_fail(op, REASON_INVALID_CONFIG,
                           "%s: ${%s} is not among the names that may be used here", name, reference);
        }
        text = value ? value : text;
    }
    return settings_set_text(settings, op, name, text);
}

enum err pool_options_from_json(const struct api *api, struct op *op, const struct pool_kind *kind,
                                const json_t *config, struct settings *settings) {
    /* jansson's iterators take a plain pointer; nothing is changed. */
    json_t *object = NULL;
    memcpy(&object, &config, sizeof object);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(object, name, value) {
        enum err err = OK;
        switch (json_typeof(value)) {
        case JSON_STRING:
            err = set_text(api, op, kind, settings, name, json_string_value(value));
            break;
        case JSON_INTEGER:
            err = settings_set_number(settings, op, name, json_integer_value(value));
            break;
        case JSON_TRUE:
        case JSON_FALSE:
            err = settings_set_flag(settings, op, name, json_is_true(value));
            break;
        case JSON_OBJECT:
        case JSON_ARRAY:
        case JSON_REAL:
        case JSON_NULL:
            err = op_fail(op, REASON_INVALID_CONFIG, "%.64s: expected a string, an integer, true or false",
                          name);
            break;
        }
        if (err) {
            return err;
        }
    }
    return OK;
}
