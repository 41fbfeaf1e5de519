/* strand.c - see strand.h. */
#include "pools/chain/strand.h"

#include "pools/base/must.h"

enum { STRAND_IDLE, STRAND_QUEUED, STRAND_RUNNING, STRAND_AGAIN };

static void run(struct task *task) {
    struct strand *strand = CONTAINER_OF(task, struct strand, task);
    for (;;) {
        atomic_store(&strand->state, STRAND_RUNNING);
        strand->ops->step(strand);
        unsigned running = STRAND_RUNNING;
        if (atomic_compare_exchange_strong(&strand->state, &running, STRAND_IDLE)) {
            break;
        }
        MUST(running == STRAND_AGAIN);
    }
    strand->ops->let_go(strand);
}

void strand_init(struct strand *strand, struct executor *executor, enum lane lane, const void *share,
                 const struct strand_ops *ops) {
    *strand =
        (struct strand){.task = {.run = run, .share = share}, .executor = executor, .lane = lane, .ops = ops};
    atomic_init(&strand->state, STRAND_IDLE);
}

void strand_wake(struct strand *strand) {
    unsigned state = atomic_load(&strand->state);
    while (state == STRAND_IDLE || state == STRAND_RUNNING) {
        unsigned next = state == STRAND_IDLE ? STRAND_QUEUED : STRAND_AGAIN;
        if (atomic_compare_exchange_weak(&strand->state, &state, next)) {
            if (next == STRAND_QUEUED) { /* nobody else can run or queue it now */
                strand->ops->hold(strand);
                executor_submit(strand->executor, strand->lane, &strand->task);
            }
            return;
        }
    }
}

static void wake(void *context) {
    strand_wake(context);
}

struct waker strand_waker(struct strand *strand) {
    return (struct waker){.wake = wake, .context = strand};
}
