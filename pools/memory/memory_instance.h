/* memory_instance.h - what the files of this kind share about one open pool. */
#ifndef POOLS_MEMORY_MEMORY_INSTANCE_H
#define POOLS_MEMORY_MEMORY_INSTANCE_H

#include "pools/memory/memory_store.h"

struct memory_pool {
    struct pool pool;
    struct memory_store store;
    uint64_t max_bytes;
    uint64_t max_fill_bytes;
    /* of bodies in writers that are not committed: at most max_bytes more */
    atomic_uint_fast64_t incoming_bytes;
};

static inline struct memory_pool *memory_pool_of(struct pool *pool) {
    return CONTAINER_OF(pool, struct memory_pool, pool);
}

/* A reader over the entry's own bytes. Takes the reference on OK. */
enum err memory_reader_open(struct op *op, struct entry *take_entry, const struct read_options *options,
                            struct reader **ret_reader) MUST_USE;

enum err memory_writer_open(struct memory_pool *memory, struct op *op, const struct id *id,
                            const struct write_options *options, struct writer **ret_writer) MUST_USE;

/* A fill this large is refused: one big body read once must not sweep the pool. */
enum err memory_check_fill_size(const struct memory_pool *memory, struct op *op, uint64_t bytes) MUST_USE;

#endif
