/* work.c - see work.h. */
#include "pools/hdf5/work.h"

#include "pools/base/clock.h"

#include <stdlib.h>
#include <string.h>

/* How long a start waits for a worker that was told to stop: it looks after each small piece. */
#define START_WAIT_NS (5 * NS_PER_S)

void work_init(struct work *work) {
    *work = (struct work){0};
    mutex_init(&work->mutex, RANK_KIND_INNER);
    cond_init(&work->changed);
}

void work_fini(struct work *work) {
    upkeep_status_fini(&work->status);
    cond_fini(&work->changed);
    mutex_fini(&work->mutex);
}

static bool is_under_way(const struct work *work) {
    return work->status.state == UPKEEP_RUNNING || work->status.state == UPKEEP_PAUSED;
}

static bool can_be_changed(const struct work *work) {
    return is_under_way(work) && !work->ending;
}

/* ---- any thread ---- */
static enum err start_locked(struct work *work, struct op *op, bool *ret_begin) {
    uint64_t until_ns = clock_now_ns() + op_left_ns(op, START_WAIT_NS);
    bool in_time = true;
    while (work->active && !is_under_way(work) && in_time) {
        in_time = cond_wait_until(&work->changed, &work->mutex, until_ns);
    }
    if (is_under_way(work)) {
        return OK;
    }
    if (work->active) {
        return op_fail(op, REASON_BUSY, "the work before has not stopped yet");
    }
    upkeep_status_fini(&work->status);
    work->status = (struct upkeep_status){.state = UPKEEP_RUNNING, .started_ms = clock_wall_ms()};
    work->active = true;
    *ret_begin = true;
    return OK;
}

static void cancel_locked(struct work *work) {
    work->status.state = UPKEEP_CANCELLED;
    work->status.ended_ms = clock_wall_ms();
    cond_broadcast(&work->changed);
}

static enum err change_locked(struct work *work, struct op *op, enum upkeep_action action) {
    struct upkeep_status *status = &work->status;
    if (action == UPKEEP_CANCEL && status->state == UPKEEP_CANCELLED) {
        return OK;
    }
    if (!can_be_changed(work)) {
        return op_fail(op, REASON_NOT_RUNNING, "nothing is running that could be changed");
    }
    if (action == UPKEEP_CANCEL) {
        cancel_locked(work);
    } else {
        status->state = action == UPKEEP_PAUSE ? UPKEEP_PAUSED : UPKEEP_RUNNING;
        cond_broadcast(&work->changed);
    }
    return OK;
}

enum err work_steer(struct work *work, struct op *op, enum upkeep_action action, bool *ret_begin) {
    *ret_begin = false;
    mutex_lock(&work->mutex);
    enum err err =
        action == UPKEEP_START ? start_locked(work, op, ret_begin) : change_locked(work, op, action);
    mutex_unlock(&work->mutex);
    return err;
}

void work_cancel(struct work *work) {
    mutex_lock(&work->mutex);
    if (can_be_changed(work)) {
        cancel_locked(work);
    }
    mutex_unlock(&work->mutex);
}

static bool copy_ids(const struct upkeep_status *from, struct upkeep_status *to) {
    to->corrupt_ids = calloc(from->corrupt_id_count + 1, sizeof *to->corrupt_ids);
    if (!to->corrupt_ids) {
        return false;
    }
    for (unsigned i = 0; i < from->corrupt_id_count; i++) {
        to->corrupt_ids[i] = strdup(from->corrupt_ids[i]);
        if (!to->corrupt_ids[i]) {
            return false;
        }
        to->corrupt_id_count++;
    }
    return true;
}

enum err work_look(struct work *work, struct op *op, struct upkeep_status *ret_status) {
    mutex_lock(&work->mutex);
    struct upkeep_status status = work->status;
    status.corrupt_ids = NULL;
    status.corrupt_id_count = 0;
    bool fits = copy_ids(&work->status, &status);
    mutex_unlock(&work->mutex);
    if (!fits) {
        upkeep_status_fini(&status);
        return op_no_memory(op);
    }
    *ret_status = status;
    return OK;
}

void work_wait(struct work *work) {
    mutex_lock(&work->mutex);
    while (work->active) {
        cond_wait_until(&work->changed, &work->mutex, 0);
    }
    mutex_unlock(&work->mutex);
}

/* ---- the worker ---- */
static enum work_wish wish_locked(const struct work *work) {
    return work->status.state == UPKEEP_RUNNING  ? WORK_GO_ON
           : work->status.state == UPKEEP_PAUSED ? WORK_HOLD
                                                 : WORK_STOP;
}

enum work_wish work_wish(struct work *work) {
    mutex_lock(&work->mutex);
    enum work_wish wish = wish_locked(work);
    mutex_unlock(&work->mutex);
    return wish;
}

bool work_goes_on(struct work *work, uint64_t rest_ns) {
    uint64_t until_ns = rest_ns ? clock_now_ns() + rest_ns : 0;
    mutex_lock(&work->mutex);
    bool resting = rest_ns > 0;
    while (resting && wish_locked(work) == WORK_GO_ON) {
        resting = cond_wait_until(&work->changed, &work->mutex, until_ns);
    }
    while (wish_locked(work) == WORK_HOLD) {
        cond_wait_until(&work->changed, &work->mutex, 0);
    }
    bool goes_on = wish_locked(work) == WORK_GO_ON;
    mutex_unlock(&work->mutex);
    return goes_on;
}

bool work_begin_end(struct work *work) {
    mutex_lock(&work->mutex);
    work->ending = wish_locked(work) == WORK_GO_ON;
    bool ending = work->ending;
    mutex_unlock(&work->mutex);
    return ending;
}

void work_set_totals(struct work *work, uint64_t entries, uint64_t bytes) {
    mutex_lock(&work->mutex);
    work->status.entries_total = entries;
    work->status.bytes_total = bytes;
    mutex_unlock(&work->mutex);
}

void work_set_file_bytes(struct work *work, uint64_t before, uint64_t after) {
    mutex_lock(&work->mutex);
    work->status.bytes_before = before;
    work->status.bytes_after = after;
    mutex_unlock(&work->mutex);
}

void work_done(struct work *work, uint64_t entries, uint64_t bytes) {
    mutex_lock(&work->mutex);
    work->status.entries_done += entries;
    work->status.bytes_done += bytes;
    mutex_unlock(&work->mutex);
}

void work_found(struct work *work, uint64_t *count) {
    mutex_lock(&work->mutex);
    (*count)++;
    mutex_unlock(&work->mutex);
}

void work_found_corrupt(struct work *work, const char *id) {
    struct upkeep_status *status = &work->status;
    mutex_lock(&work->mutex);
    status->corrupt++;
    if (!status->corrupt_ids) {
        status->corrupt_ids = calloc(UPKEEP_MOST_IDS, sizeof *status->corrupt_ids);
    }
    char *copy = status->corrupt_ids && status->corrupt_id_count < UPKEEP_MOST_IDS ? strdup(id) : NULL;
    if (copy) {
        status->corrupt_ids[status->corrupt_id_count++] = copy;
    }
    mutex_unlock(&work->mutex);
}

void work_end(struct work *work, const struct fault *fault) {
    mutex_lock(&work->mutex);
    if (is_under_way(work)) {
        work->status.state = fault ? UPKEEP_ERROR : UPKEEP_FINISHED;
        work->status.ended_ms = clock_wall_ms();
        if (fault) {
            work->status.fault = *fault;
        }
    }
    work->active = false;
    work->ending = false;
    cond_broadcast(&work->changed);
    mutex_unlock(&work->mutex);
}
