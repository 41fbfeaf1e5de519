/* program.c - see program.h. */
#include "tests/bench/hdf5/program.h"

#include "pools/base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define MOST_NUMBER (UINT64_C(1) << 53)
#define MOST_SECONDS 3600.0

void program_give_up(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

void program_check(enum err err, const struct op *op, const char *what) {
    if (err != OK) {
        program_give_up(what, op->fault.detail[0] ? op->fault.detail : err_word(err));
    }
}

void program_want(int argc, int wanted, const char *usage) {
    if (argc != wanted + 1) {
        fprintf(stderr, "usage: %s\n", usage);
        exit(2);
    }
}

uint64_t program_number(const char *text) {
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);
    if (end == text || *end || number > MOST_NUMBER) {
        program_give_up(text, "is no whole number");
    }
    return number;
}

uint64_t program_seconds_ns(const char *text) {
    char *end = NULL;
    double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0 && seconds <= MOST_SECONDS)) {
        program_give_up(text, "is no number of seconds");
    }
    return (uint64_t)(seconds * (double)NS_PER_S);
}
