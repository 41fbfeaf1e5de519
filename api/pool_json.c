/* pool_json.c - see pool_json.h. */
#include "api/pool_json.h"

#include "pools/secret_names.h"

#include <string.h>

/* ---- out ---- */

static enum err put_option(void *context, const struct option *option, const char *text, uint64_t number,
                           bool flag) {
    json_t *value = NULL;
    switch (option->type) {
    case OPTION_TEXT:
    case OPTION_CHOICE:
        value = json_string(text);
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
        json_put(object, "compacts", json_boolean(can->compacts)) &&
        json_put(object, "scrubs", json_boolean(can->scrubs)) &&
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

/* A name is stored as a name and looked up when the pool is opened. */
static enum err set_text(struct op *op, struct settings *settings, const char *name, const char *text) {
    char reference[SECRET_NAME_BYTES];
    return secret_reference(text, reference) ? settings_set_reference(settings, op, name, text)
                                             : settings_set_text(settings, op, name, text);
}

enum err pool_options_from_json(struct op *op, const json_t *config, struct settings *settings) {
    /* jansson's iterators take a plain pointer; nothing is changed. */
    json_t *object = NULL;
    memcpy(&object, &config, sizeof object);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(object, name, value) {
        enum err err = OK;
        switch (json_typeof(value)) {
        case JSON_STRING:
            err = set_text(op, settings, name, json_string_value(value));
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
