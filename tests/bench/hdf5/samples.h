/* samples.h - how long each of many things took, and which part of them took longer than what. Used by one thread at a time. */
#ifndef TESTS_BENCH_HDF5_SAMPLES_H
#define TESTS_BENCH_HDF5_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

struct samples {
    uint64_t *taken_ns;
    size_t count;
    size_t room;
};

void samples_add(struct samples *samples, uint64_t taken_ns);
/* Everything of `from` too; frees it. */
void samples_take_over(struct samples *samples, struct samples *from);
void samples_sort(struct samples *samples);
/* Sorted samples only: what this part (0 to 1) of them did not exceed, in microseconds; 0 when there are none. */
double samples_part_us(const struct samples *samples, double part);
void samples_fini(struct samples *samples);

#endif
