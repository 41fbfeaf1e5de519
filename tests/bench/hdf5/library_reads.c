/* library_reads.c - the reads of hdf5_reads as the HDF5 library offers them: H5Dopen, H5Dread, H5Dclose, on the same file.
 *
 *     library_reads FILE READERS SECONDS COUNT
 *
 * The threads share one open file. Some entries are first read and compared.
 */
#include "tests/bench/hdf5/crowd.h"
#include "tests/bench/hdf5/program.h"
#include "tests/bench/hdf5/records.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#define COMPARED 1000u

struct reads {
    hid_t file;
    hid_t type;
    char (*names)[RECORD_NAME_BYTES];
    uint64_t count;
};

static void read_named(const struct reads *reads, const char *name, char *ret_body) {
    hid_t dataset = H5Dopen2(reads->file, name, H5P_DEFAULT);
    if (dataset < 0 || H5Dread(dataset, reads->type, H5S_ALL, H5S_ALL, H5P_DEFAULT, ret_body) < 0 ||
        H5Dclose(dataset) < 0) {
        program_give_up(name, "cannot be read");
    }
}

static void compare(const struct reads *reads, uint64_t number) {
    char body[RECORD_BODY_BYTES];
    char found[RECORD_BODY_BYTES];
    record_body(number, body);
    read_named(reads, reads->names[number], found);
    if (memcmp(body, found, sizeof body) != 0) {
        program_give_up(reads->names[number], "has other bytes");
    }
}

static bool read_one(void *context, unsigned worker, uint64_t turn) {
    const struct reads *reads = context;
    char body[RECORD_BODY_BYTES];
    read_named(reads, reads->names[record_mix(turn ^ (uint64_t)worker << 48) % reads->count], body);
    return true;
}

int main(int argc, char **argv) {
    program_want(argc, 4, "library_reads FILE READERS SECONDS COUNT");
    struct reads reads = {.count = program_number(argv[4]),
                          .file = H5Fopen(argv[1], H5F_ACC_RDONLY, H5P_DEFAULT),
                          .type = H5Tcopy(H5T_C_S1)};
    if (!reads.count || reads.file < 0 || H5Tset_size(reads.type, RECORD_BODY_BYTES) < 0 ||
        H5Tset_cset(reads.type, H5T_CSET_UTF8) < 0 || H5Tset_strpad(reads.type, H5T_STR_NULLPAD) < 0) {
        program_give_up(argv[1], "cannot be opened");
    }
    reads.names = record_names(reads.count);
    for (uint64_t i = 0; i < reads.count && i < COMPARED; i++) {
        compare(&reads, i);
    }
    struct crowd_result result;
    crowd_run((unsigned)program_number(argv[2]), program_seconds_ns(argv[3]), read_one, &reads, &result);
    crowd_print(&result, 1, "");
    free(reads.names);
    return H5Tclose(reads.type) < 0 || H5Fclose(reads.file) < 0;
}
