/* spool.h - bytes that are written once in order and read back any number of times.
 *
 * In memory up to `ram_bytes`, then in an unlinked file under the spool directory (a crash leaves
 * nothing). One directory has one byte budget shared by all its spools: past it, ERR_NO_SPACE.
 * One writer and any number of concurrent readers; each spool has its own lock (RANK_SPOOL), not held during file I/O.
 */
#ifndef POOLS_BASE_SPOOL_H
#define POOLS_BASE_SPOOL_H

#include "pools/base/op.h"

#include <stddef.h>
#include <stdint.h>

struct spool_dir;

/* Opens (mkdir when missing, mode 0700) the directory. ERR_* recorded in op. */
enum err spool_dir_open(struct op *op, const char *path, uint64_t max_bytes,
                        struct spool_dir **ret_dir) MUST_USE;
void spool_dir_close(struct spool_dir *dir); /* after every spool of it is closed */
DEFINE_AUTO(struct spool_dir, spool_dir_close)

struct spool;

/* dir may be NULL: then more than ram_bytes is ERR_TOO_LARGE. */
enum err spool_open(struct op *op, struct spool_dir *dir, size_t ram_bytes,
                    struct spool **ret_spool) MUST_USE;
void spool_close(struct spool *spool);
DEFINE_AUTO(struct spool, spool_close)

/* All or fails. */
enum err spool_write(struct spool *spool, struct op *op, const void *bytes, size_t count) MUST_USE;
uint64_t spool_size_bytes(struct spool *spool);
/* Reads up to cap bytes at offset (below what was written); *ret_count 0 only at the end. */
enum err spool_read(struct spool *spool, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                    size_t *ret_count) MUST_USE;
/* The bytes when all of them are still in memory, else NULL; borrowed until the next write or close. Only when nobody writes. */
const void *spool_ram(const struct spool *spool);

#endif
