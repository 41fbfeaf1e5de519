/* body_run.h - small bodies on their way into the file: those that lie one behind the other are written at once.
 *
 * The library gives out places for small bodies in a row, so a batch of puts has one stretch to write instead of one for each. A body waits
 * here only while its dataset has a name or is held, so nothing else is given its place, and only within a batch: it is in the file before the
 * batch is committed, shown, or copied (body_run_push).
 *
 * The store's thread only.
 */
#ifndef POOLS_HDF5_BODY_RUN_H
#define POOLS_HDF5_BODY_RUN_H

#include "pools/base/buf.h"
#include "pools/hdf5/h5_file.h"

/* Larger ones gain nothing by waiting. */
#define BODY_RUN_BODY_BYTES (UINT64_C(16) << 10)

struct body_run {
    uint64_t offset;
    struct buf bytes;
};

void body_run_init(struct body_run *run);
void body_run_fini(struct body_run *run);
/* The body is copied. One that does not continue the run pushes it first; its failure may be that of any body before. */
enum err body_run_add(struct body_run *run, struct h5_file *file, struct op *op, uint64_t offset,
                      const void *bytes, size_t count) MUST_USE;
/* Writes what waits. Nothing waits afterwards, also when it fails. */
enum err body_run_push(struct body_run *run, struct h5_file *file, struct op *op) MUST_USE;

#endif
