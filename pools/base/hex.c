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

/* One more than a digit's value; 0 = none. Digests have no pattern that a branch could be guessed by, and a load of a large file reads one
 * of each entry. */
static const uint8_t value_and_one[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool hex_read_bytes(const char *text, size_t count, uint8_t *ret_bytes) {
    for (size_t i = 0; i < count; i++) {
        unsigned high = value_and_one[(unsigned char)text[2 * i]];
        unsigned low =
            high ? value_and_one[(unsigned char)text[2 * i + 1]] : 0; /* the text may end before it */
        if (!low) {
            return false;
        }
        ret_bytes[i] = (uint8_t)((high - 1) << 4 | (low - 1));
    }
    return true;
}
