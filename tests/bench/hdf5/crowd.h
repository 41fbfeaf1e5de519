/* crowd.h - threads that begin together and do one step again and again until their time is over; what that cost.
 *
 * Each step's time is noted by its own thread. A step that ends after the time is over does not count, so that one who waits long does not
 * stretch what is measured; but where nothing ended in time, the first one counts, and the time is as long as that took. The CPU
 * time is the whole process's, so that a pool's thread counts too.
 */
#ifndef TESTS_BENCH_HDF5_CROWD_H
#define TESTS_BENCH_HDF5_CROWD_H

#include "tests/bench/hdf5/samples.h"

#include <stdbool.h>

/* One step of worker `worker`, who counts them from 0. False = there is nothing left to do, and this was no step. Gives up when it
 * fails. */
typedef bool crowd_step_fn(void *context, unsigned worker, uint64_t turn);

struct crowd_result {
    struct samples samples; /* sorted */
    double seconds;         /* from the common start until the time was over, or nothing was left to do */
    double user_us;
    double system_us;
};

/* Blocks until all have ended; the caller prints or frees the result. */
void crowd_run(unsigned workers, uint64_t most_ns, crowd_step_fn *step, void *context,
               struct crowd_result *ret_result);
/* One JSON object on standard output, with `weight` requests a step and `more` ("" or members that begin with a comma) in it. Frees the
 * result. */
void crowd_print(struct crowd_result *take_result, unsigned weight, const char *more);

#endif
