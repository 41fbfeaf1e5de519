/* hex.c - see hex.h. */
#include "pools/base/hex.h"

#include "pools/base/must.h"

bool hex_read_number(const char *text, unsigned digits, uint64_t *ret_number) {
    MUST(digits <= 16);
    uint64_t number = 0;
    for (unsigned i = 0; i < digits; i++) {
        int value = hex_digit(text[i]);
        if (value < 0) {
            return false;
        }
        number = number << 4 | (uint64_t)value;
    }
    *ret_number = number;
    return true;
}

bool hex_read_bytes(const char *text, size_t count, uint8_t *ret_bytes) {
    for (size_t i = 0; i < count; i++) {
        uint64_t byte = 0;
        if (!hex_read_number(text + 2 * i, 2, &byte)) {
            return false;
        }
        ret_bytes[i] = (uint8_t)byte;
    }
    return true;
}
