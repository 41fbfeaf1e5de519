/* hot.c - see hot.h. A queue with a second chance (CLOCK): a hit only sets a flag. */
#include "pools/hdf5/hot.h"

/* How many a full queue passes over, at most, for one newcomer: the lock is held meanwhile. */
#define MOST_PASSED 16

static uint64_t cost_bytes(const struct version *version) {
    return version->length + HOT_OVERHEAD_BYTES;
}

void hot_init(struct hot *hot, uint64_t max_bytes) {
    TAILQ_INIT(&hot->queue);
    hot->bytes = 0;
    hot->max_bytes = max_bytes;
}

struct entry *hot_get(struct version *version) {
    if (!version->is_hot) {
        return NULL;
    }
    version->used_again = true;
    return entry_ref(version->hot);
}

void hot_cool(struct hot *hot, struct version *version) {
    if (version && version->is_hot) {
        TAILQ_REMOVE(&hot->queue, version, in_queue);
        hot->bytes -= cost_bytes(version);
        version->is_hot = false;
    }
}

/* The oldest that was not read again. */
static struct version *find_oldest(struct hot *hot) {
    for (unsigned passed = 0; passed < MOST_PASSED; passed++) {
        struct version *version = TAILQ_FIRST(&hot->queue);
        if (!version->used_again) {
            return version;
        }
        version->used_again = false;
        TAILQ_REMOVE(&hot->queue, version, in_queue);
        TAILQ_INSERT_TAIL(&hot->queue, version, in_queue);
    }
    return TAILQ_FIRST(&hot->queue);
}

unsigned hot_keep(struct hot *hot, struct version *version, struct entry *entry,
                  struct version *ret_fallen[HOT_MOST_FALLEN]) {
    uint64_t cost = cost_bytes(version);
    if (version->hot || version->length > HOT_BODY_MOST_BYTES || cost > hot->max_bytes) {
        return 0;
    }
    unsigned fallen = 0;
    while (hot->bytes + cost > hot->max_bytes) {
        struct version *oldest = find_oldest(hot);
        hot_cool(hot, oldest);
        ret_fallen[fallen++] = oldest;
    }
    version->hot = entry_ref(entry);
    version->is_hot = true;
    version->used_again = false;
    TAILQ_INSERT_TAIL(&hot->queue, version, in_queue);
    hot->bytes += cost;
    return fallen;
}
