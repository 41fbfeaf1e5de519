/* registry_open.c - where pools come from: the configuration, a request, state.db. See registry.h and registry_slots.h.
 *
 * Each road reserves the nickname, opens without the lock and then goes live. They differ in what a failure means: a request is refused
 * and leaves nothing; a pool of the configuration or of state.db is there all the same, broken, and says why.
 */
#include "pools/registry_slots.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/broken.h"
#include "pools/kinds.h"
#include "pools/pool_options.h"

/* ---- opening ---- */
/* How long a registration waits for the pool that had its file before. */
#define CLOSING_WAIT_NS (5 * NS_PER_S)

/* Where a pool comes from. */
enum source { SOURCE_CONFIG, SOURCE_REQUEST, SOURCE_STATE };

/* A pool owns its settings from a successful open on, while our caller keeps its own until everything has succeeded; and the pool's have
 * values where ours may have names. So pools are opened with a copy. A name without a value is the request's mistake; of a pool that
 * was registered once it says that its credentials are gone. */
static enum err open_pool(const struct registry *registry, struct op *op, const char *nickname,
                          const struct pool_kind *kind, const struct settings *settings, enum source source,
                          struct pool **ret_pool) {
    enum reason missing = source == SOURCE_STATE ? REASON_NEEDS_CREDENTIALS : REASON_INVALID_CONFIG;
    struct pool_environment environment = registry->environment;
    environment.from_rest = source != SOURCE_CONFIG;
    AUTO(settings_free) struct settings *copy = NULL;
    enum err err = secret_names_expand(settings, op, &registry->names, missing, &copy);
    if (!err) {
        err = kind->open(op, &environment, nickname, copy, ret_pool);
    }
    if (!err) {
        (void)STEAL(copy);
    }
    return err;
}

/* What it opens may be the file of a pool that was just removed and that a request is still using. */
static enum err open_when_closed(struct registry *registry, struct op *op, const char *nickname,
                                 const struct pool_kind *kind, const struct settings *settings,
                                 struct pool **ret_pool) {
    uint64_t until_ns = clock_now_ns() + op_left_ns(op, CLOSING_WAIT_NS);
    for (;;) {
        uint64_t closed = registry_closed(registry);
        enum err err = open_pool(registry, op, nickname, kind, settings, SOURCE_REQUEST, ret_pool);
        bool in_use = err && op->fault.reason == REASON_FILE_IN_USE;
        if (!in_use || !registry_await_closed(registry, closed, until_ns)) {
            return err;
        }
    }
}

/* Opens, or puts a broken pool in its place. Takes settings on OK; *ret_opened tells which. */
static enum err open_or_break(const struct registry *registry, struct op *op, const char *nickname,
                              const struct pool_kind *kind, struct settings *take_settings,
                              enum source source, struct pool **ret_pool, bool *ret_opened) {
    enum err err = open_pool(registry, op, nickname, kind, take_settings, source, ret_pool);
    *ret_opened = !err;
    if (!err) {
        settings_free(take_settings);
        return OK;
    }
    struct fault fault = op->fault;
    err = broken_pool_new(op, nickname, kind->name, take_settings, &fault, ret_pool);
    if (!err) {
        op->fault = fault;
    }
    return err;
}

enum err registry_declare(struct registry *registry, struct op *op, const char *nickname,
                          const struct pool_kind *kind, struct settings *take_settings, bool *ret_opened) {
    struct slot *slot = NULL;
    struct pool *pool = NULL;
    enum err err = registry_reserve(registry, op, nickname, true, &slot);
    if (err) {
        return err;
    }
    err = open_or_break(registry, op, nickname, kind, take_settings, SOURCE_CONFIG, &pool, ret_opened);
    if (err) {
        registry_give_up(registry, slot);
        return err;
    }
    registry_go_live(registry, slot, pool);
    return OK;
}

/* ---- REST pools: stored, then registered ---- */

#define MOST_OPTIONS 64

struct option_list {
    struct state_option options[MOST_OPTIONS];
    size_t count;
};

static enum err list_option(void *context, const struct option *option, const char *text, bool is_reference) {
    struct option_list *list = context;
    MUST(list->count < MOST_OPTIONS); /* kinds' tables are ours */
    list->options[list->count++] =
        (struct state_option){.name = option->name, .text = text, .sealed = option->secret && !is_reference};
    return OK;
}

static enum err store_pool(struct registry *registry, struct op *op, const char *nickname,
                           const struct pool_kind *kind, const struct settings *settings) {
    struct option_list list = {.count = 0};
    enum err err = settings_each_set(settings, list_option, &list);
    return err ? err : state_put_pool(registry->state, op, nickname, kind->name, list.options, list.count);
}

enum err registry_add(struct registry *registry, struct op *op, const char *nickname,
                      const struct pool_kind *kind, struct settings *take_settings, registry_adopt_fn *adopt,
                      void *context, struct pool **ret_pool) {
    struct slot *slot = NULL;
    AUTO(pool_unref) struct pool *pool = NULL;
    enum err err = registry_reserve(registry, op, nickname, false, &slot);
    if (err) {
        return err;
    }
    err = open_when_closed(registry, op, nickname, kind, take_settings, &pool);
    if (!err && adopt) {
        err = adopt(context, op, nickname);
    }
    if (!err) {
        err = store_pool(registry, op, nickname, kind, take_settings);
    }
    if (err && pool && pool->ops->abandon) {
        pool->ops->abandon(pool);
    }
    if (err) {
        registry_give_up(registry, slot);
        return err;
    }
    settings_free(take_settings);
    *ret_pool = pool_ref(pool);
    registry_go_live(registry, slot, STEAL(pool));
    return OK;
}

/* The text of a secret that is stored unsealed is its name. */
static enum err set_stored(struct settings *settings, struct op *op, const struct state_option *option) {
    bool is_value = option->sealed || settings_may_show(settings, option->name);
    return is_value ? settings_set_stored(settings, op, option->name, option->text)
                    : settings_set_reference(settings, op, option->name, option->text);
}

/* What was stored, as settings. A secret that cannot be opened is a fault of its own: the pool must not start without it. */
static enum err stored_settings(struct op *op, const struct pool_kind *kind,
                                const struct state_option *options, size_t count,
                                struct settings **ret_settings) {
    AUTO(settings_free) struct settings *settings = pool_settings_new(kind);
    if (!settings) {
        return op_no_memory(op);
    }
    enum err err = OK;
    struct fault fault = {.reason = REASON_NONE};
    for (size_t i = 0; i < count && !err; i++) {
        if (!options[i].text) {
            (void)op_fail(
                op, REASON_NEEDS_CREDENTIALS,
                "the stored option '%s' cannot be opened with this state.key; register the pool anew",
                options[i].name);
            fault = op->fault;
            continue;
        }
        err = set_stored(settings, op, &options[i]);
    }
    if (!err && !fault.reason) {
        err = settings_finish(settings, op);
    }
    if (err && err != ERR_NO_MEMORY) {
        fault = op->fault;
    }
    *ret_settings = err == ERR_NO_MEMORY ? NULL : STEAL(settings);
    return err == ERR_NO_MEMORY ? err : op_adopt(op, &fault);
}

static enum err restore_pool(void *context, struct op *op, const char *nickname, const char *kind_name,
                             const struct state_option *options, size_t count) {
    struct registry *registry = context;
    const struct pool_kind *kind = kinds_find(kind_name);
    if (!kind) {
        log_line(LOG_WARNING, "registry", "pool '%s' is left out: this lailad has no kind '%s'", nickname,
                 kind_name);
        return OK;
    }
    struct slot *slot = NULL;
    enum err err = registry_reserve(registry, op, nickname, false, &slot);
    if (err == ERR_EXISTS) {
        log_line(LOG_WARNING, "registry",
                 "pool '%s' is in the configuration: the one registered over HTTP is left out", nickname);
        return OK;
    }
    if (err) {
        return err;
    }
    AUTO(settings_free) struct settings *settings = NULL;
    struct pool *pool = NULL;
    bool opened = false;
    err = stored_settings(op, kind, options, count, &settings);
    if (!err) {
        err = open_or_break(registry, op, nickname, kind, settings, SOURCE_STATE, &pool, &opened);
    } else if (settings) {
        struct fault fault = op->fault;
        err = broken_pool_new(op, nickname, kind->name, settings, &fault, &pool);
        op->fault = err ? op->fault : fault;
    }
    if (err) {
        registry_give_up(registry, slot);
        return err;
    }
    (void)STEAL(settings);
    if (!opened) {
        log_line(LOG_WARNING, "registry", "pool '%s' could not be opened: %s", nickname, op->fault.detail);
    }
    registry_go_live(registry, slot, pool);
    return OK;
}

enum err registry_restore(struct registry *registry, struct op *op) {
    return state_each_pool(registry->state, op, restore_pool, registry);
}
