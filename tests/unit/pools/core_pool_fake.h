/* core_pool_fake.h - a backend that holds nothing: it counts what reaches it and answers what it is told. */
#ifndef TESTS_UNIT_POOLS_CORE_POOL_FAKE_H
#define TESTS_UNIT_POOLS_CORE_POOL_FAKE_H

#include "pools/pool.h"

struct fake_pool {
    struct pool pool;
    enum err answer; /* of every slot */
    unsigned reads, writers, stats, removes, lists, empties, puts, commits, writer_closes;
    uint64_t written_bytes;
    const struct fence *fence_to_watch;
    bool fence_held_at_commit; /* what the watched fence said when commit or put_entry arrived */
    struct fence *
        fence_to_raise; /* by the next commit, put_entry, remove or empty, on fence_id: a flight that looks meanwhile */
    struct id fence_id;
    bool *closed;
};

/* Its ops have no optional slot but put_entry when asked for. The pool sets *ret_closed when it is closed. */
struct fake_pool *fake_new(const struct pool_capabilities *capabilities, bool has_put_entry,
                           bool *ret_closed);

#endif
