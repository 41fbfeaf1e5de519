/* upkeep.c - upkeep of a pool: who is set off, and what stands in the way at once. See pools/upkeep.h, work.h and scrub.c. */
#include "pools/hdf5/store.h"

enum err store_upkeep(struct store *store, struct op *op, enum upkeep_kind kind, enum upkeep_action action) {
    bool begin = false;
    enum err err = work_steer(&store->work[kind], op, action, &begin);
    if (err) {
        return err;
    }
    if (kind == UPKEEP_COMPACT) {
        commit_poke(&store->commit); /* it may have been paused */
        return begin ? store_compact_begin(store, op) : OK;
    }
    if (begin) {
        store_scrub_begin(store);
    }
    return OK;
}

void store_end_upkeep(struct store *store) {
    for (size_t kind = 0; kind < UPKEEP_KINDS; kind++) {
        work_cancel(&store->work[kind]);
    }
    store_scrub_join(store);
}
