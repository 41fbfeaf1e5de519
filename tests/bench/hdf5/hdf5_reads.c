/* hdf5_reads.c - reads of 1 KiB entries through pool.h, by threads that each take a random one after the other.
 *
 *     hdf5_reads FILE READERS SECONDS COUNT peek|reader
 *
 * The file holds numbers 0 to COUNT - 1 of records.h. Each is first read and compared once. `peek` asks as a poll thread does and, as that
 * one does, opens a reader where peek says ERR_AGAIN; `reader` always opens one. The pool's memory for hot entries is off: what is
 * measured comes from the file.
 */
#include "tests/bench/hdf5/crowd.h"
#include "tests/bench/hdf5/pool_file.h"
#include "tests/bench/hdf5/program.h"
#include "tests/bench/hdf5/records.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct reads {
    struct pool_file file;
    char (*names)[RECORD_NAME_BYTES];
    uint64_t count;
    bool peeks;
    atomic_uint_fast64_t again; /* peeks that could not tell */
    atomic_uint_fast64_t next;  /* to be compared */
};

static bool compare_next(void *context, unsigned worker, uint64_t turn) {
    (void)worker;
    (void)turn;
    struct reads *reads = context;
    uint64_t number = atomic_fetch_add(&reads->next, 1);
    if (number >= reads->count) {
        return false;
    }
    pool_file_compare(&reads->file, number);
    return true;
}

static bool peek(struct reads *reads, const struct id *id) {
    AUTO(entry_unref) struct entry *entry = NULL;
    enum err err = pool_peek(reads->file.pool, id, &entry);
    if (err == ERR_AGAIN) {
        atomic_fetch_add(&reads->again, 1);
        return false;
    }
    if (err != OK || entry->body->size != RECORD_BODY_BYTES) {
        program_give_up(id->text, "was peeked at in vain");
    }
    return true;
}

static bool read_one(void *context, unsigned worker, uint64_t turn) {
    struct reads *reads = context;
    const char *name = reads->names[record_mix(turn ^ (uint64_t)worker << 48) % reads->count];
    struct op op;
    struct id id;
    op_init(&op, 0, 0);
    program_check(id_from_bytes(&op, name, RECORD_NAME_BYTES - 1, &id), &op, "id");
    if (!reads->peeks || !peek(reads, &id)) {
        char body[RECORD_BODY_BYTES + 1];
        pool_file_read(&reads->file, &id, body);
    }
    return true;
}

int main(int argc, char **argv) {
    program_want(argc, 5, "hdf5_reads FILE READERS SECONDS COUNT peek|reader");
    unsigned readers = (unsigned)program_number(argv[2]);
    struct reads reads = {.count = program_number(argv[4]), .peeks = strcmp(argv[5], "peek") == 0};
    if (!reads.count) {
        program_give_up("hdf5_reads", "nothing to read");
    }
    atomic_init(&reads.again, 0);
    atomic_init(&reads.next, 0);
    reads.names = record_names(reads.count);
    pool_file_open(&reads.file, argv[1], "0");
    struct crowd_result result;
    crowd_run(readers, UINT64_MAX / 2, compare_next, &reads, &result);
    samples_fini(&result.samples);
    crowd_run(readers, program_seconds_ns(argv[3]), read_one, &reads, &result);
    char more[64];
    snprintf(more, sizeof more, ", \"again\": %llu", (unsigned long long)atomic_load(&reads.again));
    crowd_print(&result, 1, more);
    pool_file_close(&reads.file);
    free(reads.names);
    return 0;
}
