/* pool_file.h - an hdf5 pool on a file, through the front door of pools/pool.h, as the service has it. */
#ifndef TESTS_BENCH_HDF5_POOL_FILE_H
#define TESTS_BENCH_HDF5_POOL_FILE_H

#include "pools/pool.h"

struct pool_file {
    struct pool *pool;
    struct spool_dir *spool_dir;
};

/* Opens the file, which is created when missing, and waits until its index is loaded. hot_max_bytes NULL = the kind's default. Gives up
 * when that fails. Call it first: it also draws the key of the ids. */
void pool_file_open(struct pool_file *ret_file, const char *path, const char *hot_max_bytes);
void pool_file_close(struct pool_file *file);
/* `, "durable": true` or false, for crowd_print: what the pool itself says of its writes. */
const char *pool_file_promise(const struct pool_file *file);

/* Entry `number` of records.h through a writer, committed when this returns. Any thread. Gives up when that fails. */
void pool_file_put(struct pool_file *file, uint64_t number);
/* The same entry through a reader into the buffer. Any thread. Gives up when it is not there or has another length. */
void pool_file_read(struct pool_file *file, const struct id *id, char *ret_body);
/* Reads the entry and compares it. */
void pool_file_compare(struct pool_file *file, uint64_t number);

#endif
