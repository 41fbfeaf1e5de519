/* chance.h - numbers that look random and are the same for the same seed: what a failing trial is played again with. */
#ifndef TESTS_CRASH_CHANCE_H
#define TESTS_CRASH_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *chance) {
    uint64_t mixed = chance->state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* A stream of its own for one part of a trial. */
static inline struct chance chance_of(uint64_t seed, uint64_t part) {
    struct chance chance = {seed ^ part * UINT64_C(0xD6E8FEB86659FD93)};
    chance.state = chance_next(&chance);
    return chance;
}

/* 0 to below - 1. */
static inline uint64_t chance_below(struct chance *chance, uint64_t below) {
    return chance_next(chance) % below;
}

static inline bool chance_percent(struct chance *chance, unsigned percent) {
    return chance_below(chance, 100) < percent;
}

#endif
