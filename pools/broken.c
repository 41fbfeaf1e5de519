/* broken.c - see broken.h. The method table is per instance, because it carries the name of the kind that failed. */
#include "pools/broken.h"

#include <stdlib.h>
#include <string.h>

struct broken {
    struct pool pool;
    struct pool_ops ops;
    struct fault fault;
};

static enum err refuse(struct pool *pool, struct op *op) {
    const struct broken *broken = CONTAINER_OF(pool, struct broken, pool);
    return op_adopt(op, &broken->fault);
}

static enum err broken_open_reader(struct pool *pool, struct op *op, const struct id *id,
                                   const struct read_options *options, struct reader **ret_reader) {
    (void)id;
    (void)options;
    (void)ret_reader;
    return refuse(pool, op);
}

static enum err broken_open_writer(struct pool *pool, struct op *op, const struct id *id,
                                   const struct write_options *options, struct writer **ret_writer) {
    (void)id;
    (void)options;
    (void)ret_writer;
    return refuse(pool, op);
}

static enum err broken_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    (void)id;
    (void)ret_meta;
    return refuse(pool, op);
}

static enum err broken_remove(struct pool *pool, struct op *op, const struct id *id,
                              const struct condition *condition, bool *ret_existed) {
    (void)id;
    (void)condition;
    (void)ret_existed;
    return refuse(pool, op);
}

static enum err broken_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor,
                            unsigned limit, struct listing *ret_listing) {
    (void)prefix;
    (void)cursor;
    (void)limit;
    (void)ret_listing;
    return refuse(pool, op);
}

static enum err broken_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) {
    (void)ret_removed;
    return refuse(pool, op);
}

static void broken_status(struct pool *pool, struct pool_status *ret_status) {
    const struct broken *broken = CONTAINER_OF(pool, struct broken, pool);
    ret_status->state =
        broken->fault.reason == REASON_NEEDS_CREDENTIALS ? POOL_NEEDS_CREDENTIALS : POOL_FAILED;
    memcpy(ret_status->reason, broken->fault.detail, sizeof ret_status->reason);
}

static void broken_close(struct pool *pool) {
    pool_fini(pool);
    free(CONTAINER_OF(pool, struct broken, pool));
}

static const struct pool_ops broken_ops = {
    .kind = "broken",
    .open_reader = broken_open_reader,
    .open_writer = broken_open_writer,
    .stat = broken_stat,
    .remove = broken_remove,
    .list = broken_list,
    .empty = broken_empty,
    .status = broken_status,
    .close = broken_close,
};

enum err broken_pool_new(struct op *op, const char *nickname, const char *kind_name,
                         struct settings *take_settings, const struct fault *fault, struct pool **ret_pool) {
    const struct pool_capabilities nothing = {0};
    struct broken *broken = calloc(1, sizeof *broken);
    if (!broken) {
        return op_no_memory(op);
    }
    broken->ops = broken_ops;
    broken->ops.kind = kind_name;
    broken->fault = *fault;
    /* Whatever kept it from opening, to a caller it is a pool that is not there for now; the sentence is kept. */
    if (fault->reason != REASON_NEEDS_CREDENTIALS) {
        broken->fault.reason = REASON_POOL_FAILED;
    }
    pool_init(&broken->pool, &broken->ops, &nothing, nickname, take_settings);
    *ret_pool = &broken->pool;
    return OK;
}
