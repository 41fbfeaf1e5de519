/* upkeep.c - see upkeep.h. */
#include "pools/upkeep.h"

#include "pools/base/must.h"

#include <stddef.h>
#include <stdlib.h>

void upkeep_status_fini(struct upkeep_status *status) {
    for (unsigned i = 0; i < status->corrupt_id_count; i++) {
        free(status->corrupt_ids[i]);
    }
    free(status->corrupt_ids);
    status->corrupt_ids = NULL;
    status->corrupt_id_count = 0;
}

const char *upkeep_kind_word(enum upkeep_kind kind) {
    return kind == UPKEEP_COMPACT ? "compact" : "scrub";
}

const char *upkeep_state_word(enum upkeep_state state) {
    static const char *const words[] = {
        [UPKEEP_NOT_STARTED] = "not_started", [UPKEEP_RUNNING] = "running", [UPKEEP_PAUSED] = "paused",
        [UPKEEP_FINISHED] = "finished",       [UPKEEP_ERROR] = "error",     [UPKEEP_CANCELLED] = "cancelled",
    };
    MUST((size_t)state < ARRAY_COUNT(words));
    return words[state];
}
