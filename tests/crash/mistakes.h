/* mistakes.h - mistakes that somebody might make in the driver, planted for the simulator to find. */
#ifndef TESTS_CRASH_MISTAKES_H
#define TESTS_CRASH_MISTAKES_H

#include "tests/crash/workload.h"

struct mistake {
    const char *name;
    uint64_t seed; /* of a life that shows it soon; others show it later */
    struct workload_mistakes workload;
    bool recovers_without_sync;
    bool journal_is_not_synced;
    bool forgets_revokes;
    bool ignores_checksums;
    bool notes_nothing;
};

extern const struct mistake mistakes[];
extern const size_t mistake_count;

/* From now on in this process. */
void mistakes_plant(const struct mistake *mistake);
/* Those of the disk. */
void mistakes_in_recovery(struct lossy_disk *disk);
void mistakes_in_workload(struct lossy_disk *disk);

#endif
