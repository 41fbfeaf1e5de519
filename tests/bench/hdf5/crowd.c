/* crowd.c - see crowd.h. */
#include "tests/bench/hdf5/crowd.h"

#include "pools/base/clock.h"
#include "tests/bench/hdf5/program.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

struct crowd {
    pthread_barrier_t start;
    uint64_t until_ns;  /* set before the start by the one who starts */
    atomic_bool any;    /* step that counts has ended */
    uint64_t longer_ns; /* 0, or when the only one that counts ended: too late */
    crowd_step_fn *step;
    void *context;
};

struct worker {
    struct crowd *crowd;
    unsigned number;
    struct samples samples;
    pthread_t thread;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    struct crowd *crowd = worker->crowd;
    pthread_barrier_wait(&crowd->start); /* everybody is there */
    pthread_barrier_wait(&crowd->start); /* the clock runs */
    uint64_t now_ns = clock_now_ns();
    for (uint64_t turn = 0; now_ns < crowd->until_ns && crowd->step(crowd->context, worker->number, turn);
         turn++) {
        uint64_t after_ns = clock_now_ns();
        bool late = after_ns >= crowd->until_ns;
        bool first =
            !atomic_load_explicit(&crowd->any, memory_order_relaxed) && !atomic_exchange(&crowd->any, true);
        if (!late || first) {
            samples_add(&worker->samples, after_ns - now_ns);
        }
        if (late && first) {
            crowd->longer_ns = after_ns;
        }
        now_ns = after_ns;
    }
    return NULL;
}

static double time_us(struct timeval from, struct timeval to) {
    return (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_usec - from.tv_usec);
}

void crowd_run(unsigned workers, uint64_t most_ns, crowd_step_fn *step, void *context,
               struct crowd_result *ret_result) {
    struct crowd crowd = {.step = step, .context = context};
    atomic_init(&crowd.any, false);
    struct worker *all = calloc(workers, sizeof *all);
    if (!all || pthread_barrier_init(&crowd.start, NULL, workers + 1) != 0) {
        program_give_up("threads", "no memory");
    }
    for (unsigned i = 0; i < workers; i++) {
        all[i] = (struct worker){.crowd = &crowd, .number = i};
        if (pthread_create(&all[i].thread, NULL, work, &all[i]) != 0) {
            program_give_up("threads", "one cannot be started");
        }
    }
    struct rusage before;
    struct rusage after;
    pthread_barrier_wait(&crowd.start);
    getrusage(RUSAGE_SELF, &before);
    uint64_t began_ns = clock_now_ns();
    crowd.until_ns = began_ns + most_ns;
    pthread_barrier_wait(&crowd.start);
    *ret_result = (struct crowd_result){0};
    for (unsigned i = 0; i < workers; i++) {
        pthread_join(all[i].thread, NULL);
    }
    uint64_t took_ns = clock_now_ns() - began_ns;
    took_ns = took_ns < most_ns ? took_ns : most_ns;
    ret_result->seconds = (double)(crowd.longer_ns ? crowd.longer_ns - began_ns : took_ns) / 1e9;
    getrusage(RUSAGE_SELF, &after);
    ret_result->user_us = time_us(before.ru_utime, after.ru_utime);
    ret_result->system_us = time_us(before.ru_stime, after.ru_stime);
    for (unsigned i = 0; i < workers; i++) {
        samples_take_over(&ret_result->samples, &all[i].samples);
    }
    samples_sort(&ret_result->samples);
    pthread_barrier_destroy(&crowd.start);
    free(all);
}

void crowd_print(struct crowd_result *take_result, unsigned weight, const char *more) {
    const struct samples *samples = &take_result->samples;
    printf("{\"requests\": %zu, \"seconds\": %.6f, \"user_us\": %.0f, \"system_us\": %.0f, \"p50_us\": %.1f, "
           "\"p99_us\": %.1f%s}\n",
           samples->count * weight, take_result->seconds, take_result->user_us, take_result->system_us,
           samples_part_us(samples, 0.5), samples_part_us(samples, 0.99), more);
    samples_fini(&take_result->samples);
}
