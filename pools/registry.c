/* registry.c - nicknames: who holds which, who is found, how one is given up. See registry.h and registry_slots.h.
 *
 * Read next: registry_open.c, where pools come from.
 */
#include "pools/registry_slots.h"

#include "pools/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_AGAIN_NS (50 * NS_PER_MS)

static bool slot_has_nickname(const struct map_node *node, const void *key) {
    return strcmp(CONTAINER_OF_CONST(node, struct slot, node)->nickname, key) == 0;
}

/* FNV-1a: nicknames are an administrator's, nobody else can choose collisions. */
static uint64_t nickname_hash(const char *nickname) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *nickname; nickname++) {
        hash = (hash ^ (unsigned char)*nickname) * UINT64_C(0x100000001b3);
    }
    return hash;
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
        cond_init(&registry->closed_one);
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

static void free_retired(struct slot *slot) {
    while (slot) {
        struct slot *next = slot->next_retired;
        free_slot(&slot->node, NULL);
        slot = next;
    }
}

void registry_free(struct registry *registry) {
    if (!registry) {
        return;
    }
    map_each(&registry->slots, free_slot, NULL);
    free_retired(registry->retired);
    map_fini(&registry->slots);
    cond_fini(&registry->closed_one);
    mutex_fini(&registry->mutex);
    free(registry);
}

/* ---- reservations ---- */

enum err registry_reserve(struct registry *registry, struct op *op, const char *nickname, bool is_declared,
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
    registry_reap(registry); /* the file that is to be opened may be a removed pool's */
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

void registry_go_live(struct registry *registry, struct slot *slot, struct pool *take_pool) {
    mutex_lock(&registry->mutex);
    slot->pool = take_pool;
    mutex_unlock(&registry->mutex);
}

void registry_give_up(struct registry *registry, struct slot *take_slot) {
    mutex_lock(&registry->mutex);
    map_remove(&registry->slots, &take_slot->node);
    bool retires = take_slot->pool != NULL;
    if (retires) {
        take_slot->next_retired = registry->retired;
        registry->retired = take_slot;
        atomic_fetch_add(&registry->retired_count, 1);
    }
    mutex_unlock(&registry->mutex);
    if (retires) {
        registry_reap(registry);
    } else {
        free(take_slot);
    }
}

/* Nobody finds a retired pool: once the reference is the only one, it stays so. */
void registry_reap(struct registry *registry) {
    if (!atomic_load(&registry->retired_count)) {
        return;
    }
    struct slot *unused = NULL;
    unsigned count = 0;
    mutex_lock(&registry->mutex);
    for (struct slot **at = &registry->retired; *at;) {
        struct slot *slot = *at;
        if (atomic_load(&slot->pool->refs) > 1) {
            at = &slot->next_retired;
            continue;
        }
        *at = slot->next_retired;
        slot->next_retired = unused;
        unused = slot;
        count++;
        atomic_fetch_sub(&registry->retired_count, 1);
    }
    registry->closing += count;
    mutex_unlock(&registry->mutex);
    if (!count) {
        return;
    }
    free_retired(unused);
    mutex_lock(&registry->mutex);
    registry->closing -= count;
    registry->closed += count;
    cond_broadcast(&registry->closed_one);
    mutex_unlock(&registry->mutex);
}

uint64_t registry_closed(struct registry *registry) {
    mutex_lock(&registry->mutex);
    uint64_t closed = registry->closed;
    mutex_unlock(&registry->mutex);
    return closed;
}

/* Requests reap when they end. Who else may hold a pool does not, so we look again ourselves. */
bool registry_await_closed(struct registry *registry, uint64_t seen, uint64_t until_ns) {
    bool more = false;
    bool any = true;
    uint64_t now_ns = clock_now_ns();
    while (!more && any && now_ns < until_ns) {
        registry_reap(registry);
        uint64_t look_ns = now_ns + LOOK_AGAIN_NS < until_ns ? now_ns + LOOK_AGAIN_NS : until_ns;
        mutex_lock(&registry->mutex);
        more = registry->closed != seen;
        any = registry->retired || registry->closing;
        if (!more && any) {
            (void)cond_wait_until(&registry->closed_one, &registry->mutex, look_ns);
            more = registry->closed != seen;
        }
        mutex_unlock(&registry->mutex);
        now_ns = clock_now_ns();
    }
    return more;
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
    registry_give_up(registry, slot);
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
