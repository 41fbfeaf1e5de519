/* data_dir.h - the names inside the data directory that are the daemon's own: the one list of them.
 *
 * Whoever keeps a file there takes its name from here, so that no pool can be given a file that something else writes, replaces or
 * removes. Pools' files are everything else in the directory.
 *
 * Threads: any; no state.
 */
#ifndef POOLS_BASE_DATA_DIR_H
#define POOLS_BASE_DATA_DIR_H

#include <stdbool.h>

#define DATA_DIR_LOCK "lock"       /* one daemon at a time */
#define DATA_DIR_LISTEN "listen"   /* where it listens */
#define DATA_DIR_STATE "state.db"  /* pools and wiring; SQLite's own files have this name and an end */
#define DATA_DIR_KEY "state.key"   /* what seals secrets there */
#define DATA_DIR_SPOOL "spool"     /* folder: bodies on their way */
#define DATA_DIR_UPLOADS "uploads" /* folder: what was begun on object stores */
#define DATA_DIR_NEW_SUFFIX ".new" /* a file of these before it is renamed into its place */

/* Whether the path, which is relative to the data directory and has no links or dots on it, is the directory itself ("") or one of
 * these, or in one of the folders. */
bool data_dir_owns(const char *path);

#endif
