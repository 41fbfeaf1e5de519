/* residents.c - see residents.h. */
#include "pools/hdf5/residents.h"

#include "pools/base/must.h"

void residents_init(struct residents *residents) {
    TAILQ_INIT(&residents->queue);
    residents->count = 0;
    residents->most = RESIDENTS_MOST;
}

void residents_enter(struct residents *residents, struct version *version) {
    MUST(!version->is_hot && !version->is_resident);
    TAILQ_INSERT_TAIL(&residents->queue, version, in_queue);
    version->is_resident = true;
    version->used_again = false;
    residents->count++;
}

void residents_leave(struct residents *residents, struct version *version) {
    if (!version->is_resident) {
        return;
    }
    TAILQ_REMOVE(&residents->queue, version, in_queue);
    version->is_resident = false;
    residents->count--;
}

struct version *residents_take_surplus(struct residents *residents) {
    if (residents->count <= residents->most) {
        return NULL;
    }
    struct version *oldest = TAILQ_FIRST(&residents->queue);
    residents_leave(residents, oldest);
    return oldest;
}
