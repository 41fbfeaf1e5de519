/* file_path.h - which file a pool's options name, and which files a request may name.
 *
 * One rule for all: no file that something else writes, be it the daemon (base/data_dir.h) or a store beside its own file. Links and dots are
 * followed first. The configuration may name any other file. A request may only name HDF5 files below the data directory (design.md 13.4), in two steps:
 *   1 the text: no leading "/", no part that begins with ".", an HDF5 file's end;
 *   2 the disk: the file itself is no symbolic link, and its folder, links followed, is below the data directory.
 * Step 2 is realpath, not openat2(RESOLVE_BENEATH): the HDF5 library opens files by path, so a descriptor that was resolved safely
 * would not be what it uses. The resolved path is what is opened from then on. Who could swap a folder for a link between the two
 * may write into the data directory anyway.
 *
 * Threads: any; no state.
 */
#ifndef POOLS_HDF5_FILE_PATH_H
#define POOLS_HDF5_FILE_PATH_H

#include "pools/pool.h"

#include <limits.h>

/* The file to open. What GET shows of it is settled in the settings: relative to the data directory where it is inside.
 * ERR_INVALID (REASON_INVALID_CONFIG) for a path that may not be used; the fault begins with the option's name. */
enum err file_path_find(struct op *op, const struct pool_environment *environment, const char *nickname,
                        struct settings *settings, char ret_path[PATH_MAX]) MUST_USE;
/* The same file under one name, whatever links and dots lead to it, whether it exists yet or not. Changes nothing. A pool_kind's file_path. */
enum err file_path_canonical(struct op *op, const struct pool_environment *environment, const char *nickname,
                             const struct settings *settings, char ret_path[PATH_MAX]) MUST_USE;

#endif
