/* reader.h - reading one entry: from its place with pread, or through the library into memory; and whether it is intact.
 *
 * A body is compared with its digest once per opening of the file, at its first read. Up to READER_WHOLE_BYTES it is read
 * whole and compared before the first byte goes out; a larger one while it streams, so that damage ends the read as
 * ERR_CORRUPT. An owned entry that is damaged is then quarantined as by a scrub: whatever is asked of it is ERR_CORRUPT from the start. A
 * cached copy is dropped and counts as absent. In a file that others wrote too
 * (h5_file.h) a digest may be out of date: there the body is right, and its new digest is kept.
 */
#ifndef POOLS_HDF5_READER_H
#define POOLS_HDF5_READER_H

#include "pools/hdf5/mapping.h"
#include "pools/hdf5/store.h"

#define READER_WHOLE_BYTES (UINT64_C(1) << 20)
/* What a poll thread may copy. */
#define READER_PEEK_BYTES (UINT64_C(256) << 10)

/* pool is referenced until the reader is closed; NULL = the caller is sure of it, and sends nothing from memory. */
enum err hdf5_reader_open(struct pool *pool, struct store *store, struct op *op, const struct id *id,
                          const struct read_options *options, struct reader **ret_reader) MUST_USE;
/* Compares the body with its digest where version_trusts_digest says no, so that metadata and conditions speak of the body
 * that is there. OK when there was nothing to do; else as a read of it all. What is known to be damaged fails as its read does. */
enum err hdf5_reader_verify(struct store *store, struct op *op, const struct id *id) MUST_USE;
/* Whatever a condition asks about the entry's tag is known afterwards. Absent and damaged entries are judged later. */
enum err hdf5_reader_prepare_condition(struct store *store, struct op *op, const struct id *id,
                                       const struct condition *condition) MUST_USE;
/* The whole entry if its bytes are in the page cache: OK, ERR_NOT_FOUND or ERR_AGAIN. Never blocks. */
enum err hdf5_reader_peek(struct store *store, const struct id *id, struct entry **ret_entry) MUST_USE;

#endif
