/* hdf5_puts.c - durable puts of 1 KiB entries through pool.h, by one writer or many at once.
 *
 *     hdf5_puts FILE WRITERS SECONDS FIRST COUNT
 *
 * Each writer commits one entry after the other, all of them new: numbers FIRST to FIRST + COUNT - 1 of records.h, until they or the
 * seconds are over. With FIRST 0 and seconds enough it makes the file that others begin with. The last entry of all is read back.
 */
#include "tests/bench/hdf5/crowd.h"
#include "tests/bench/hdf5/pool_file.h"
#include "tests/bench/hdf5/program.h"

#include <stdatomic.h>

struct puts {
    struct pool_file file;
    atomic_uint_fast64_t next;
    uint64_t end;
};

static bool put_next(void *context, unsigned worker, uint64_t turn) {
    (void)worker;
    (void)turn;
    struct puts *puts = context;
    uint64_t number = atomic_fetch_add(&puts->next, 1);
    if (number >= puts->end) {
        return false;
    }
    pool_file_put(&puts->file, number);
    return true;
}

int main(int argc, char **argv) {
    program_want(argc, 5, "hdf5_puts FILE WRITERS SECONDS FIRST COUNT");
    uint64_t first = program_number(argv[4]);
    struct puts puts = {.end = first + program_number(argv[5])};
    atomic_init(&puts.next, first);
    pool_file_open(&puts.file, argv[1], NULL);
    struct crowd_result result;
    crowd_run((unsigned)program_number(argv[2]), program_seconds_ns(argv[3]), put_next, &puts, &result);
    if (!result.samples.count) {
        program_give_up("hdf5_puts", "nothing was put");
    }
    pool_file_compare(&puts.file, first + result.samples.count - 1);
    crowd_print(&result, 1, pool_file_promise(&puts.file));
    pool_file_close(&puts.file);
    return 0;
}
