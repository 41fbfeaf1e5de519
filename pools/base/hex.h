/* hex.h - hexadecimal digits to values, without the blanks, signs and prefixes that strtoull forgives. Pure. */
#ifndef POOLS_BASE_HEX_H
#define POOLS_BASE_HEX_H

#include "pools/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 0 to 15, of either case; -1 when it is no digit. */
static inline int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    char letter = (char)(digit | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* Both read from the start of a text, look at nothing behind their digits, and are false when one of them is none; so a
 * NUL-terminated text may be too short. */
/* digits at most 16. */
bool hex_read_number(const char *text, unsigned digits, uint64_t *ret_number) MUST_USE;
/* Two digits a byte. ret_bytes is touched in any case. */
bool hex_read_bytes(const char *text, size_t count, uint8_t *ret_bytes) MUST_USE;

#endif
