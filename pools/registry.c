/* registry.c - live pools by nickname. See registry.h.
 *
 * Life of a nickname
 *   1 RESERVED  a pool is being opened under it; nobody finds it, nobody else may take it
 *   2 LIVE      found
 *   3 LEAVING   being removed: not found any more, not free yet. Back to 2 when somebody turns out to proxy to it
 * Opening, closing and state.db happen in 1 and 3, without the lock.
 */
#include "pools/registry.h"

#include "pools/base/hash.h"
#include "pools/base/log.h"
#include "pools/base/map.h"
#include "pools/base/must.h"
#include "pools/base/mutex.h"
#include "pools/broken.h"
#include "pools/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    struct map_node node;
    char nickname[NICKNAME_BYTES];
    struct pool *pool; /* a reference; NULL while RESERVED */
    bool is_leaving;
    bool is_declared;
};

struct registry {
    struct pool_environment environment;
    struct secret_names names;
    struct state *state;
    struct mutex mutex;
    struct map slots;
};

static bool slot_has_nickname(const struct map_node *node, const void *key) {
    return strcmp(CONTAINER_OF_CONST(node, struct slot, node)->nickname, key) == 0;
}

static uint64_t nickname_hash(const char *nickname) {
    return hash_bytes(nickname, strlen(nickname));
}

static struct slot *find_slot_locked(struct registry *registry, const char *nickname) {
    struct map_node *node = map_find(&registry->slots, nickname_hash(nickname), nickname);
    return node ? CONTAINER_OF(node, struct slot, node) : NULL;
}

static bool is_live(const struct slot *slot) {
    return slot && slot->pool && !slot->is_leaving;
}

struct registry *registry_new(const struct pool_environment *environment, const struct secret_names *names,
                              struct state *state) {
    struct registry *registry = calloc(1, sizeof *registry);
    if (registry) {
        registry->environment = *environment;
        registry->names = names ? *names : (struct secret_names){0};
        registry->state = state;
        mutex_init(&registry->mutex, RANK_REGISTRY);
        map_init(&registry->slots, slot_has_nickname);
    }
    return registry;
}

static void free_slot(struct map_node *node, void *context) {
    (void)context;
    struct slot *slot = CONTAINER_OF(node, struct slot, node);
    pool_unref(slot->pool);
    free(slot);
}

void registry_free(struct registry *registry) {
    if (!registry) {
        return;
    }
    map_each(&registry->slots, free_slot, NULL);
    map_fini(&registry->slots);
    mutex_fini(&registry->mutex);
    free(registry);
}

/* ---- reservations ---- */

static enum err reserve(struct registry *registry, struct op *op, const char *nickname, bool is_declared,
                        struct slot **ret_slot) {
    if (!nickname_valid(nickname)) {
        return op_fail(
            op, REASON_INVALID_NICKNAME,
            "a nickname has 1 to 64 letters, digits, '_', '.' or '-' and begins with a letter or digit");
    }
    struct slot *slot = calloc(1, sizeof *slot);
    if (!slot) {
        return op_no_memory(op);
    }
    snprintf(slot->nickname, sizeof slot->nickname, "%s", nickname);
    slot->is_declared = is_declared;
    enum err err = OK;
    mutex_lock(&registry->mutex);
    if (find_slot_locked(registry, nickname)) {
        err = op_fail(op, REASON_POOL_EXISTS, "there is a pool '%s' already", nickname);
    } else if (!map_insert(&registry->slots, &slot->node, nickname_hash(nickname))) {
        err = op_no_memory(op);
    }
    mutex_unlock(&registry->mutex);
    if (err) {
        free(slot);
        return err;
    }
    *ret_slot = slot;
    return OK;
}

static void go_live(struct registry *registry, struct slot *slot, struct pool *take_pool) {
    mutex_lock(&registry->mutex);
    slot->pool = take_pool;
    mutex_unlock(&registry->mutex);
}

static void give_up(struct registry *registry, struct slot *slot) {
    mutex_lock(&registry->mutex);
    map_remove(&registry->slots, &slot->node);
    mutex_unlock(&registry->mutex);
    pool_unref(slot->pool);
    free(slot);
}

/* ---- opening ---- */

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
    enum err err = settings_expand(settings, op, &registry->names, missing, &copy);
    if (!err) {
        err = kind->open(op, &environment, nickname, copy, ret_pool);
    }
    if (!err) {
        (void)STEAL(copy);
    }
    return err;
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
    enum err err = reserve(registry, op, nickname, true, &slot);
    if (err) {
        return err;
    }
    err = open_or_break(registry, op, nickname, kind, take_settings, SOURCE_CONFIG, &pool, ret_opened);
    if (err) {
        give_up(registry, slot);
        return err;
    }
    go_live(registry, slot, pool);
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
                      const struct pool_kind *kind, struct settings *take_settings, struct pool **ret_pool) {
    struct slot *slot = NULL;
    AUTO(pool_unref) struct pool *pool = NULL;
    enum err err = reserve(registry, op, nickname, false, &slot);
    if (err) {
        return err;
    }
    err = open_pool(registry, op, nickname, kind, take_settings, SOURCE_REQUEST, &pool);
    if (!err) {
        err = store_pool(registry, op, nickname, kind, take_settings);
    }
    if (err) {
        give_up(registry, slot);
        return err;
    }
    settings_free(take_settings);
    *ret_pool = pool_ref(pool);
    go_live(registry, slot, STEAL(pool));
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
    AUTO(settings_free) struct settings *settings = settings_new(kind->options, kind->option_count);
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
    enum err err = reserve(registry, op, nickname, false, &slot);
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
        give_up(registry, slot);
        return err;
    }
    (void)STEAL(settings);
    if (!opened) {
        log_line(LOG_WARNING, "registry", "pool '%s' could not be opened: %s", nickname, op->fault.detail);
    }
    go_live(registry, slot, pool);
    return OK;
}

enum err registry_restore(struct registry *registry, struct op *op) {
    return state_each_pool(registry->state, op, restore_pool, registry);
}

/* ---- removing ---- */

/* The slot when it may be removed; `leave` makes it LEAVING. */
static enum err check_removable(struct registry *registry, struct op *op, const char *nickname, bool leave,
                                struct slot **ret_slot) {
    enum err err = OK;
    mutex_lock(&registry->mutex);
    struct slot *slot = find_slot_locked(registry, nickname);
    if (!is_live(slot)) {
        err = op_fail(op, REASON_POOL_NOT_FOUND, "there is no pool '%.64s'", nickname);
    } else if (slot->is_declared) {
        err = strcmp(nickname, POOL_ALPHA) == 0
                  ? op_fail(op, REASON_POOL_PERMANENT, "'%s' always exists", nickname)
                  : op_fail(op, REASON_DECLARED_IN_CONFIG, "'%s' is declared in the configuration", nickname);
    } else {
        slot->is_leaving = leave;
        *ret_slot = slot;
    }
    mutex_unlock(&registry->mutex);
    return err;
}

static void stay(struct registry *registry, struct slot *slot) {
    mutex_lock(&registry->mutex);
    slot->is_leaving = false;
    mutex_unlock(&registry->mutex);
}

/* Asked twice: first while everybody still finds the pool, so that a refusal disturbs nobody; then when nobody can link to it any
 * more, so that the answer holds. */
enum err registry_remove(struct registry *registry, struct op *op, const char *nickname,
                         registry_in_use_fn *in_use, registry_drop_fn *drop, void *context) {
    struct slot *slot = NULL;
    enum err err = check_removable(registry, op, nickname, false, &slot);
    if (!err) {
        err = in_use(context, op, nickname);
    }
    if (!err) {
        err = check_removable(registry, op, nickname, true, &slot);
    }
    if (err) {
        return err;
    }
    err = in_use(context, op, nickname);
    if (!err) {
        err = drop(context, op, nickname);
    }
    if (err) {
        stay(registry, slot);
        return err;
    }
    give_up(registry, slot);
    return OK;
}

/* ---- looking ---- */

struct pool *registry_get(struct registry *registry, const char *nickname) {
    mutex_lock(&registry->mutex);
    struct slot *slot = find_slot_locked(registry, nickname);
    struct pool *pool = is_live(slot) ? pool_ref(slot->pool) : NULL;
    mutex_unlock(&registry->mutex);
    return pool;
}

enum err registry_find(struct registry *registry, struct op *op, const char *nickname,
                       struct pool **ret_pool) {
    struct pool *pool = registry_get(registry, nickname);
    if (!pool) {
        return op_fail(op, REASON_POOL_NOT_FOUND, "there is no pool '%.64s'", nickname);
    }
    *ret_pool = pool;
    return OK;
}

bool registry_is_declared(struct registry *registry, const char *nickname) {
    mutex_lock(&registry->mutex);
    struct slot *slot = find_slot_locked(registry, nickname);
    bool declared = slot && slot->is_declared;
    mutex_unlock(&registry->mutex);
    return declared;
}

struct pool_list {
    struct pool **pools;
    size_t count;
};

static void list_live(struct map_node *node, void *context) {
    struct pool_list *list = context;
    struct slot *slot = CONTAINER_OF(node, struct slot, node);
    if (is_live(slot)) {
        list->pools[list->count++] = pool_ref(slot->pool);
    }
}

static int compare_pools(const void *a, const void *b) {
    const struct pool *const *left = a;
    const struct pool *const *right = b;
    return strcmp((*left)->nickname, (*right)->nickname);
}

enum err registry_all(struct registry *registry, struct op *op, struct pool ***ret_pools, size_t *ret_count) {
    struct pool_list list = {0};
    mutex_lock(&registry->mutex);
    list.pools = calloc(registry->slots.count + 1, sizeof(struct pool *));
    if (list.pools) {
        map_each(&registry->slots, list_live, &list);
    }
    mutex_unlock(&registry->mutex);
    if (!list.pools) {
        return op_no_memory(op);
    }
    qsort(list.pools, list.count, sizeof(struct pool *), compare_pools);
    *ret_pools = list.pools;
    *ret_count = list.count;
    return OK;
}
