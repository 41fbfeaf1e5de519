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

/* Digit by digit: a load of a large file reads a digest of each entry. */
bool hex_read_bytes(const char *text, size_t count, uint8_t *ret_bytes) {
    for (size_t i = 0; i < count; i++) {
        int high = hex_digit(text[2 * i]);
        int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]); /* the text may end before it */
        if (low < 0) {
            return false;
        }
        ret_bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
