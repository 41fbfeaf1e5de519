/* model.h - what a file of entries must hold: names and the bytes that belong to them, made up from seeds. */
#ifndef TESTS_CRASH_MODEL_H
#define TESTS_CRASH_MODEL_H

#include "tests/crash/lossy_disk.h"

#include <stddef.h>

#define MODEL_NAMES 64
#define MODEL_BODY_MOST ((size_t)600 << 10)

struct model_entry {
    bool present;
    uint64_t seed;
    size_t bytes;
};

struct model {
    struct model_entry entries[MODEL_NAMES];
};

/* Every name there may be; some are long. */
void model_name(size_t index, char ret_name[160]);
/* The bytes of an entry. */
void model_fill(uint64_t seed, uint8_t *ret_bytes, size_t count);

/* Opens the main file with plain HDF5, from memory, and compares every name and byte. False: *ret_what says what is wrong. */
bool model_matches(const struct model *model, const struct disk_file *file, const char **ret_what);

#endif
