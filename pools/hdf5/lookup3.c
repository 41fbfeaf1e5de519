/* lookup3.c - see lookup3.h. Three words are stirred with twelve bytes at a time; the numbers are the algorithm's. */
#include "pools/hdf5/lookup3.h"

#include <endian.h>
#include <string.h>

static uint32_t rotate(uint32_t word, unsigned bits) {
    return word << bits | word >> (32 - bits);
}

struct words {
    uint32_t a, b, c;
};

static void add_words(struct words *words, const uint8_t twelve[12]) {
    uint32_t parts[3];
    memcpy(parts, twelve, sizeof parts);
    words->a += le32toh(parts[0]);
    words->b += le32toh(parts[1]);
    words->c += le32toh(parts[2]);
}

static inline void mix_step(uint32_t *x, uint32_t y, uint32_t *z, uint32_t add, unsigned bits) {
    *x -= y;
    *x ^= rotate(y, bits);
    *z = y + add;
}

static void mix(struct words *w) {
    mix_step(&w->a, w->c, &w->c, w->b, 4);
    mix_step(&w->b, w->a, &w->a, w->c, 6);
    mix_step(&w->c, w->b, &w->b, w->a, 8);
    mix_step(&w->a, w->c, &w->c, w->b, 16);
    mix_step(&w->b, w->a, &w->a, w->c, 19);
    mix_step(&w->c, w->b, &w->b, w->a, 4);
}

static inline void end_step(uint32_t *x, uint32_t y, unsigned bits) {
    *x ^= y;
    *x -= rotate(y, bits);
}

uint32_t lookup3(const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint32_t first = UINT32_C(0xdeadbeef) + (uint32_t)count;
    struct words w = {first, first, first};
    if (!count) {
        return w.c;
    }
    for (; count > 12; count -= 12, at += 12) {
        add_words(&w, at);
        mix(&w);
    }
    uint8_t last[12] = {0};
    memcpy(last, at, count);
    add_words(&w, last);
    end_step(&w.c, w.b, 14);
    end_step(&w.a, w.c, 11);
    end_step(&w.b, w.a, 25);
    end_step(&w.c, w.b, 16);
    end_step(&w.a, w.c, 4);
    end_step(&w.b, w.a, 14);
    end_step(&w.c, w.b, 24);
    return w.c;
}
