/* index.h - every entry of one file in memory: id to version.
 *
 * One thread, the store's, changes it; every other thread reads. So the store's thread finds records without a lock, and
 * what it is about to do in a batch is *staged* on the record, where only it looks, until the batch has been
 * flushed; index_publish then shows all of the batch's changes in one step.
 *
 * Life of a record
 *   1 STAGED     made by a put of a new id; not to be seen (current NULL)
 *   2 CURRENT    readers find current
 *   3 gone       published without a version: out of the map, freed
 * A record in state 2 with has_next has a successor staged (next NULL = a removal).
 *
 * A record waits in one list at most: unresolved (found by the scan), or cached (the order of eviction).
 *
 * Locks: one mutex (RANK_KIND) around the map's shape, the current pointers and what is hot (hot.h), never held during I/O.
 */
#ifndef POOLS_HDF5_INDEX_H
#define POOLS_HDF5_INDEX_H

#include "pools/base/map.h"
#include "pools/base/mutex.h"
#include "pools/hdf5/hot.h"
#include "pools/hdf5/version.h"
#include "pools/pool.h"

#include <sys/queue.h>

enum record_list { LIST_NONE, LIST_UNRESOLVED, LIST_CACHED };

struct record {
    struct map_node node;
    TAILQ_ENTRY(record) in_list;
    STAILQ_ENTRY(record) in_staged;
    struct version *current; /* one reference; changed under the lock */
    struct version *next;    /* one reference; the store's thread only */
    bool has_next;
    uint8_t list;
    char *link_name; /* owned; NULL = the canonical one */
    uint16_t id_bytes;
    char id[];
};

TAILQ_HEAD(record_queue, record);
STAILQ_HEAD(record_stack, record);

/* What the entries take, staged changes included. The store's thread only. */
struct usage {
    uint64_t entries, bytes;
    uint64_t cached_entries, cached_bytes;
};

struct index {
    struct mutex mutex;
    struct map map;
    struct hot hot;
    struct record_stack staged;
    struct record_queue unresolved;
    struct record_queue cached; /* oldest first */
    struct usage usage;
    atomic_uint_fast64_t entries, bytes; /* as published; an unresolved one counts no bytes */
};

void index_init(struct index *index, uint64_t hot_max_bytes);
void index_fini(struct index *index); /* no other thread looks any more */

/* Any thread: a reference to the current version, NULL when there is none. */
struct version *index_get(struct index *index, const struct id *id);
/* The same with a reference to its entry when that is hot, else *ret_entry is NULL. */
struct version *index_get_hot(struct index *index, const struct id *id, struct entry **ret_entry);
/* The entry was read from the version: it becomes hot, if the version is still shown. */
void index_keep_hot(struct index *index, const struct id *id, struct version *version, struct entry *entry);
/* The version is hot no longer, and no read that began before makes it so. */
void index_cool(struct index *index, struct version *version);
/* One page in hash order. The cursor is the last hash given and how many of that very hash, under this process's tag. */
enum err index_list(struct index *index, struct op *op, const char *prefix, const char *cursor,
                    unsigned limit, struct listing *ret_listing) MUST_USE;
/* Where a walk over all ids stands; zero-initialised = the beginning. */
struct index_cursor {
    uint64_t hash;
    bool at_end;
};
/* Some more ids, for emptying. */
enum err index_some(struct index *index, struct op *op, struct index_cursor *cursor,
                    struct listing *ret_ids) MUST_USE;

/* ---- the store's thread only ---- */
struct record *index_find(struct index *index, const struct id *id);
/* What the next request in this batch has to see. */
struct version *record_latest(const struct record *record);
struct id record_id(const struct record *record);
void record_link_name(const struct record *record, char *ret_name); /* LINK_NAME_BYTES */
/* link_name NULL = canonical; copied. The record has no version yet: stage one. NULL when out of memory. */
struct record *index_add(struct index *index, const struct id *id, const char *link_name);
/* Takes the version over (NULL = removal); usage follows. */
void index_stage(struct index *index, struct record *record, struct version *take_version);
/* Forgets all that is staged. */
void index_unstage(struct index *index);
/* The same entry, better known or in another file; nothing is staged. Readers see it at once. NULL = no entry after
 * all: the record is freed. */
void index_replace(struct index *index, struct record *record, struct version *take_version);
/* Shows what is staged and lets go of what it replaced. */
void index_publish(struct index *index);
/* Moves a cached record behind the others: it was read since it was last looked at. */
void index_spare(struct index *index, struct record *record);

#endif
