/* records.c - see records.h. */
#include "tests/bench/hdf5/records.h"

#include "tests/bench/hdf5/program.h"

#include <stdlib.h>
#include <string.h>

#define WORD_DIGITS 16u

static const char opening[] = "{\"entry\": \"";
static const char closing[] = "\"}";

uint64_t record_mix(uint64_t number) {
    uint64_t word = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

static void write_digits(char *ret_digits, uint64_t word) {
    for (size_t i = 0; i < WORD_DIGITS; i++) {
        ret_digits[i] = "0123456789abcdef"[word >> (60 - 4 * i) & 15];
    }
}

void record_name(uint64_t number, char ret_name[RECORD_NAME_BYTES]) {
    static const size_t groups[] = {8, 4, 4, 4, 12};
    char digits[2 * WORD_DIGITS];
    write_digits(digits, record_mix(number));
    write_digits(digits + WORD_DIGITS, record_mix(~number));
    const char *from = digits;
    char *to = ret_name;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        memcpy(to, from, groups[i]);
        from += groups[i];
        to += groups[i];
        *to++ = '-';
    }
    to[-1] = '\0';
}

void record_body(uint64_t number, char ret_body[RECORD_BODY_BYTES]) {
    memset(ret_body, 'z', RECORD_BODY_BYTES);
    memcpy(ret_body, opening, sizeof opening - 1);
    size_t end = RECORD_BODY_BYTES - (sizeof closing - 1);
    for (size_t at = sizeof opening - 1; at + WORD_DIGITS <= end; at += WORD_DIGITS) {
        write_digits(ret_body + at, record_mix(number ^ (uint64_t)at << 48));
    }
    memcpy(ret_body + end, closing, sizeof closing - 1);
}

char (*record_names(size_t count))[RECORD_NAME_BYTES] {
    char(*names)[RECORD_NAME_BYTES] = calloc(count + 1, sizeof *names);
    if (!names) {
        program_give_up("names", "no memory");
    }
    for (size_t i = 0; i < count; i++) {
        record_name(i, names[i]);
    }
    return names;
}
