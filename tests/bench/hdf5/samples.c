/* samples.c - see samples.h. */
#include "tests/bench/hdf5/samples.h"

#include "tests/bench/hdf5/program.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM 65536u

static void make_room(struct samples *samples, size_t more) {
    size_t room = samples->room ? samples->room : FIRST_ROOM;
    while (room < samples->count + more) {
        room *= 2;
    }
    if (room == samples->room) {
        return;
    }
    uint64_t *grown = realloc(samples->taken_ns, room * sizeof *grown);
    if (!grown) {
        program_give_up("samples", "no memory");
    }
    samples->taken_ns = grown;
    samples->room = room;
}

void samples_add(struct samples *samples, uint64_t taken_ns) {
    make_room(samples, 1);
    samples->taken_ns[samples->count++] = taken_ns;
}

void samples_take_over(struct samples *samples, struct samples *from) {
    if (from->count) {
        make_room(samples, from->count);
        memcpy(samples->taken_ns + samples->count, from->taken_ns, from->count * sizeof *from->taken_ns);
        samples->count += from->count;
    }
    samples_fini(from);
}

static int compare_ns(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

void samples_sort(struct samples *samples) {
    if (samples->count) {
        qsort(samples->taken_ns, samples->count, sizeof *samples->taken_ns, compare_ns);
    }
}

double samples_part_us(const struct samples *samples, double part) {
    return samples->count ? (double)samples->taken_ns[(size_t)(part * (double)(samples->count - 1))] / 1e3
                          : 0;
}

void samples_fini(struct samples *samples) {
    free(samples->taken_ns);
    *samples = (struct samples){0};
}
