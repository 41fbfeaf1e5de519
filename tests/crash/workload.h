/* workload.h - a random life of a journaled file on a lossy disk, as the store would live it; and what the file must hold at each moment.
 *
 * Batches of puts, overwrites and deletes; bodies from none to 600 KiB, written by the shadow, by the library, or by somebody else over several
 * batches (uploads, some given up); what was replaced is let go last, in the same batch or the next; checkpoints whenever; batches
 * that fail, because the disk is full or for no reason, and are gone back on; clean closes between.
 */
#ifndef TESTS_CRASH_WORKLOAD_H
#define TESTS_CRASH_WORKLOAD_H

#include "tests/crash/model.h"

/* Marks on the disk. Their number is that of a state in `states`. */
enum { MARK_COMMITTING = 1, MARK_COMMITTED, MARK_WENT_BACK };

struct workload {
    struct chance chance;
    struct model *states; /* states[0] is where it began */
    size_t state_count;
    bool began_empty; /* there was no file: until the first commit returns there may be none */
};

/* Mistakes that the tests plant where no medium and no wrapped function can. */
struct workload_mistakes {
    bool checkpoints_without_sync;
    bool commits_without_file_sync;
    bool frees_first;
};

/* Runs it; the disk remembers. The model is what the disk's file holds now. */
void workload_run(struct workload *workload, struct lossy_disk *disk, const struct model *model,
                  uint64_t seed, const struct workload_mistakes *mistakes);
void workload_free(struct workload *workload);

#endif
