/* program.h - what each of these small programs needs: its numbers from the command line, and one way to end when something is wrong. */
#ifndef TESTS_BENCH_HDF5_PROGRAM_H
#define TESTS_BENCH_HDF5_PROGRAM_H

#include "pools/base/op.h"

#include <stdint.h>

/* Says what and why on standard error and exits with 1. */
NO_RETURN void program_give_up(const char *what, const char *why);
/* Gives up unless err is OK, with the op's sentence. */
void program_check(enum err err, const struct op *op, const char *what);
/* Exits with 2 and the usage unless there are `wanted` arguments behind the program's name. */
void program_want(int argc, int wanted, const char *usage);
/* A whole number of 0 to 2^53, or gives up. */
uint64_t program_number(const char *text);
/* A positive number of seconds, in ns, or gives up. */
uint64_t program_seconds_ns(const char *text);

#endif
