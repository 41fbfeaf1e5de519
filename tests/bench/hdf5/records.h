/* records.h - the entries that are written and read: number N has a name like a LAILA id's uuid and 1 KiB of JSON text.
 *
 * Names of neighbouring numbers have nothing in common, so a store that keeps them in order gets them in none.
 */
#ifndef TESTS_BENCH_HDF5_RECORDS_H
#define TESTS_BENCH_HDF5_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_NAME_BYTES 37 /* with the NUL */
#define RECORD_BODY_BYTES 1024

void record_name(uint64_t number, char ret_name[RECORD_NAME_BYTES]);
/* Valid JSON without a NUL at its end. */
void record_body(uint64_t number, char ret_body[RECORD_BODY_BYTES]);
/* The names of 0 to count - 1, one after the other; the caller frees them. */
char (*record_names(size_t count))[RECORD_NAME_BYTES];
/* A number that says nothing about the one before: splitmix64. */
uint64_t record_mix(uint64_t number);

#endif
