/* fence.c - see fence.h. */
#include "pools/fence.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

static bool fence_has_id(const struct map_node *node, const void *key) {
    const struct fence *fence = CONTAINER_OF_CONST(node, struct fence, node);
    return id_equal(&fence->id, key);
}

void fence_table_init(struct fence_table *table) {
    mutex_init(&table->mutex, RANK_FENCE);
    cond_init(&table->lowered);
    map_init(&table->fences, fence_has_id);
    atomic_init(&table->settling, 0);
    atomic_init(&table->raised, 0);
    table->last_settling = 0;
    table->last_raised = 0;
}

void fence_table_fini(struct fence_table *table) {
    MUST(table->fences.count == 0);
    map_fini(&table->fences);
    cond_fini(&table->lowered);
    mutex_fini(&table->mutex);
}

enum err fence_raise(struct fence_table *table, struct op *op, struct fence *fence, const struct id *id) {
    fence->id = *id;
    atomic_init(&fence->broken, false);
    atomic_init(&fence->overtaken, false);
    atomic_init(&fence->in_settling, false);
    fence->settling_number = 0;
    mutex_lock(&table->mutex);
    fence->is_raised = map_insert(&table->fences, &fence->node, id->hash);
    if (fence->is_raised) {
        fence->raised_number = ++table->last_raised;
        atomic_fetch_add(&table->raised, 1);
    }
    mutex_unlock(&table->mutex);
    return fence->is_raised ? OK : op_no_memory(op);
}

#define FAVOURED (UINT64_C(1) << 63)

void fence_favour(struct fence_table *table, struct fence *fence) {
    mutex_lock(&table->mutex);
    fence->raised_number |= FAVOURED;
    mutex_unlock(&table->mutex);
}

void fence_settling(struct fence_table *table, struct fence *fence) {
    mutex_lock(&table->mutex);
    if (fence->is_raised && !atomic_load(&fence->in_settling)) {
        atomic_store(&fence->in_settling, true);
        fence->settling_number = ++table->last_settling;
        atomic_fetch_add(&table->settling, 1);
    }
    mutex_unlock(&table->mutex);
}

void fence_lower(struct fence_table *table, struct fence *fence) {
    mutex_lock(&table->mutex);
    if (fence->is_raised) {
        map_remove(&table->fences, &fence->node);
        fence->is_raised = false;
        atomic_fetch_sub(&table->raised, 1);
        if (atomic_load(&fence->in_settling)) {
            atomic_fetch_sub(&table->settling, 1);
        }
        cond_broadcast(&table->lowered);
    }
    mutex_unlock(&table->mutex);
}

bool fence_holds(const struct fence *fence) {
    return !atomic_load(&fence->broken);
}

bool fence_is_overtaken(const struct fence *fence) {
    return atomic_load(&fence->overtaken);
}

struct break_key {
    const struct id *id; /* NULL = every fence */
    uint64_t before;     /* only those raised before this number */
    bool overtakes;
};

static bool break_one(struct map_node *node, void *context) {
    const struct break_key *key = context;
    struct fence *fence = CONTAINER_OF(node, struct fence, node);
    if (key->id && node->hash != key->id->hash) {
        return false; /* past the key: a scan rises in hash order */
    }
    if (fence->raised_number < key->before && (!key->id || id_equal(&fence->id, key->id))) {
        if (key->overtakes) {
            atomic_store(&fence->overtaken, true);
        }
        atomic_store(&fence->broken, true);
    }
    return true;
}

void fence_break(struct fence_table *table, const struct id *id) {
    if (!atomic_load(&table->raised)) {
        return;
    }
    struct break_key key = {.id = id, .before = UINT64_MAX};
    mutex_lock(&table->mutex);
    map_scan(&table->fences, id->hash, break_one, &key);
    mutex_unlock(&table->mutex);
}

void fence_break_all(struct fence_table *table) {
    struct break_key key = {.id = NULL, .before = UINT64_MAX};
    mutex_lock(&table->mutex);
    map_scan(&table->fences, 0, break_one, &key);
    mutex_unlock(&table->mutex);
}

void fence_break_older(struct fence_table *table, const struct fence *fence) {
    mutex_lock(&table->mutex);
    struct break_key key = {.id = &fence->id, .before = fence->raised_number, .overtakes = true};
    map_scan(&table->fences, fence->id.hash, break_one, &key);
    mutex_unlock(&table->mutex);
}

struct settling_search {
    const struct id *id; /* NULL = any fence */
    uint64_t most;       /* only fences that settled up to this number */
    bool found;
};

static bool find_settling(struct map_node *node, void *context) {
    struct settling_search *search = context;
    const struct fence *fence = CONTAINER_OF(node, struct fence, node);
    if (search->id && node->hash != search->id->hash) {
        return false;
    }
    bool counts = fence->settling_number && fence->settling_number <= search->most;
    if (counts && (!search->id || id_equal(&fence->id, search->id))) {
        search->found = true;
        return false;
    }
    return true;
}

static bool is_settling_locked(struct fence_table *table, const struct id *id, uint64_t most) {
    struct settling_search search = {.id = id, .most = most};
    map_scan(&table->fences, id ? id->hash : 0, find_settling, &search);
    return search.found;
}

bool fence_is_settling(struct fence_table *table, const struct id *id) {
    if (!atomic_load(&table->settling)) {
        return false;
    }
    mutex_lock(&table->mutex);
    bool found = is_settling_locked(table, id, UINT64_MAX);
    mutex_unlock(&table->mutex);
    return found;
}

/* Bounded twice: by the op and by FENCE_WAIT_MOST_NS. A fill that takes longer is no reason to fail anybody: the operation goes
 * on and sees the pool as it is. */
static bool wait_settled(struct fence_table *table, const struct op *op, const struct id *id) {
    if (!atomic_load(&table->settling)) {
        return true;
    }
    uint64_t until_ns = clock_now_ns() + op_left_ns(op, FENCE_WAIT_MOST_NS);
    mutex_lock(&table->mutex);
    uint64_t most = table->last_settling; /* those that settle later are no business of this operation */
    bool settling = is_settling_locked(table, id, most);
    while (settling && cond_wait_until(&table->lowered, &table->mutex, until_ns)) {
        settling = is_settling_locked(table, id, most);
    }
    mutex_unlock(&table->mutex);
    return !settling;
}

bool fence_wait_settled(struct fence_table *table, const struct op *op, const struct id *id) {
    return wait_settled(table, op, id);
}

bool fence_wait_all_settled(struct fence_table *table, const struct op *op) {
    return wait_settled(table, op, NULL);
}
