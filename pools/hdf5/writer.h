/* writer.h - writing one entry: a body on its way into the file. See store.h for how it is published.
 *
 * Life
 *   1 GATHERING  bytes go to a spool: a body of unknown length, or a small one
 *   2 PLACING    a body of known length above WRITER_SPOOL_BYTES goes straight to its reserved place
 *   3 COMMITTED  the dataset has its name; nothing else to do
 * A body is text for as long as it is valid UTF-8 without NUL. At the first byte that is not, a placed one moves to a new place of
 * type bytes. Closing before 3 leaves no trace.
 */
#ifndef POOLS_HDF5_WRITER_H
#define POOLS_HDF5_WRITER_H

#include "pools/hdf5/store.h"

/* Bodies up to this many bytes are kept in memory and written by the store's thread. */
#define WRITER_SPOOL_BYTES (UINT64_C(1) << 20)

enum err hdf5_writer_open(struct pool *pool, struct store *store, struct spool_dir *spool_dir, struct op *op,
                          const struct id *id, const struct write_options *options,
                          struct writer **ret_writer) MUST_USE;
/* A whole body that is in memory. */
enum err hdf5_writer_put(struct store *store, struct op *op, const struct id *id, const struct entry *entry,
                         const struct condition *condition, const struct fence *fence,
                         struct commit_result *ret_result) MUST_USE;

#endif
