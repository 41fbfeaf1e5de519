/* s3_sweep.c - what a crash left: multipart uploads of an earlier life of the daemon, aborted.
 *
 * At open, in a thread of its own that ends with them: opening waits for nobody, and a pool without leftovers starts no thread. The first one
 * that cannot be aborted ends it (a store that is down is down for all); those that are left are tried one after each write, listing or
 * emptying that succeeds.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/clock.h"
#include "pools/base/log.h"
#include "pools/base/must.h"

#include <signal.h>

struct leftover {
    struct s3_ticket ticket;
    char record[S3_RECORD_BYTES];
    const char *name;
    const char *upload_id;
};

static bool take(struct s3_pool *s3, struct leftover *leftover) {
    return s3_journal_take_leftover(s3->journal, &leftover->ticket, leftover->record, &leftover->name,
                                    &leftover->upload_id);
}

static void *run(void *context) {
    struct s3_pool *s3 = context;
    struct op *op = &s3->sweep.op;
    struct leftover leftover;
    bool goes_on = true;
    while (goes_on && take(s3, &leftover)) {
        op_step(op, S3_ABORT_MOST_NS);
        goes_on = s3_multipart_abort(s3, op, leftover.name, leftover.upload_id);
        if (goes_on) {
            s3_journal_drop(s3->journal, &leftover.ticket);
            continue;
        }
        s3_journal_put_back(s3->journal, &leftover.ticket);
        if (!atomic_load(&op->cancelled)) {
            log_line(LOG_WARNING, "s3", "'%s': uploads that a crash left stay for now: %s", s3->pool.nickname,
                     op->fault.detail);
        }
    }
    atomic_store(&s3->sweep.busy, false);
    return NULL;
}

void s3_sweep_start(struct s3_pool *s3) {
    struct s3_sweep *sweep = &s3->sweep;
    op_init(&sweep->op, 0, 0);
    if (!s3->journal || !s3->secret_access_key || !s3_journal_has_leftovers(s3->journal)) {
        return;
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&sweep->busy, true);
    sweep->has_thread = pthread_create(&sweep->thread, NULL, run, s3) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!sweep->has_thread) {
        atomic_store(&sweep->busy, false); /* then after the writes */
    }
}

void s3_sweep_stop(struct s3_pool *s3) {
    atomic_store(&s3->sweep.op.cancelled, true);
    if (s3->sweep.has_thread) {
        MUST(pthread_join(s3->sweep.thread, NULL) == 0);
    }
}

void s3_sweep_one(struct s3_pool *s3) {
    struct leftover leftover;
    if (!s3->journal || atomic_load(&s3->sweep.busy) || !take(s3, &leftover)) {
        return;
    }
    struct op op; /* of its own: the caller's work is done, and this is no failure of it */
    op_init(&op, 0, S3_ABORT_MOST_NS);
    if (s3_multipart_abort(s3, &op, leftover.name, leftover.upload_id)) {
        s3_journal_drop(s3->journal, &leftover.ticket);
    }
}
