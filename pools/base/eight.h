/* eight.h - looks at a text eight bytes at a time, where bytes of every request have to be looked at.
 *
 *     for (size_t at = 0; at + EIGHT <= bytes; at += EIGHT) {
 *         found |= eight_below(eight_load(text + at), ' ');
 *     }
 *     found |= eight_below(eight_tail(text, bytes), ' ');
 *
 * The tests tell whether some byte of the eight is so, not which one: it does not matter that bytes are in the machine's order, nor that a few
 * are looked at twice.
 */
#ifndef POOLS_BASE_EIGHT_H
#define POOLS_BASE_EIGHT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EIGHT sizeof(uint64_t)
#define EIGHT_OF(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline uint64_t eight_load(const char *text) {
    uint64_t eight = 0;
    memcpy(&eight, text, EIGHT);
    return eight;
}

/* The last eight bytes; a shorter text is filled up with 'x'. */
static inline uint64_t eight_tail(const char *text, size_t bytes) {
    if (bytes >= EIGHT) {
        return eight_load(text + bytes - EIGHT);
    }
    uint64_t eight = EIGHT_OF('x');
    char *at = (char *)&eight;
    for (size_t i = 0; i < bytes; i++) {
        at[i] = text[i];
    }
    return eight;
}

/* Not 0 when some byte is below `limit`, which is at most 128. */
static inline uint64_t eight_below(uint64_t eight, uint8_t limit) {
    return (eight - EIGHT_OF(limit)) & ~eight & EIGHT_OF(0x80);
}

/* Not 0 when some byte is `least` or above; that is 1 to 128. */
static inline uint64_t eight_from(uint64_t eight, uint8_t least) {
    return ((eight + EIGHT_OF(0x80U - least)) | eight) & EIGHT_OF(0x80);
}

#endif
