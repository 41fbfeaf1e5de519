/* index.h - every entry of one file in memory: id to where it is.
 *
 * There may be millions of entries, so a record is small: with its share of the map some 100 bytes beside the id. It says where the entry is
 * and little more (facts); what else is known of it is in a version, which exists while it is of use (version.h). One of a record at a
 * time: whoever makes one gives it to the index, and goes on with the one that the index has then.
 *
 * One thread, the store's, changes the index; others read, and may only add versions. So the store's thread finds records without a
 * lock, and what it is about to do in a batch is *staged* on the record, where only it looks, until the batch has been
 * committed; index_publish then shows all of the batch's changes in one step.
 *
 * Life of a record
 *   1 STAGED     made by a put of a new id; not to be seen (not shown)
 *   2 SHOWN      readers find it
 *   3 gone       published as removed, or never to be seen: out of the map, freed
 * A record in state 2 with a staged version has a successor; that version being its own means its removal.
 *
 * A record waits in one list at most: unresolved (found by the scan), or cached (the order of eviction).
 *
 * Locks: one mutex (RANK_KIND) around the map's shape, what records show, their versions, and both queues of versions, never held
 * during I/O. Files: index.c finding and keeping versions, index_change.c the store's thread, index_list.c listings.
 */
#ifndef POOLS_HDF5_INDEX_H
#define POOLS_HDF5_INDEX_H

#include "pools/base/map.h"
#include "pools/base/mutex.h"
#include "pools/hdf5/hot.h"
#include "pools/hdf5/residents.h"
#include "pools/hdf5/version.h"
#include "pools/pool.h"

#include <sys/queue.h>

enum record_list { LIST_NONE, LIST_UNRESOLVED, LIST_CACHED };

/* Written by the store's thread, under the lock; only `version` by others too. */
struct record {
    struct map_node node;
    TAILQ_ENTRY(record) in_list;       /* the store's thread only */
    _Atomic(struct version *) version; /* of what is shown: one reference; NULL = it has to be made */
    struct version *staged;            /* one reference; the store's thread only */
    uint64_t address, offset, length;  /* of what is shown */
    uint16_t id_bytes;
    uint8_t kind; /* enum version_kind */
    uint8_t hold;
    uint8_t list;
    bool is_shown : 1;
    bool is_named : 1;    /* the link's name is not the canonical one: it stands behind the id */
    bool as_loaded : 1;   /* the object's header is as it was when the file was opened */
    bool has_sha256 : 1;  /* in the file */
    bool verified : 1;    /* of a version that was forgotten */
    bool touched : 1;     /* the same */
    bool damaged : 1;     /* quarantined: its body does not match its digest (scrub.c) */
    bool owes_digest : 1; /* one was learned and told that stands nowhere: its version was forgotten */
    char id[];            /* each with its NUL: the id, the link's name if is_named */
};

TAILQ_HEAD(record_queue, record);

/* What the entries take, staged changes included. The store's thread only. */
struct usage {
    uint64_t entries, bytes;
    uint64_t unresolved; /* of the entries */
    uint64_t cached_entries, cached_bytes;
};

struct index {
    struct mutex mutex;
    struct map map;
    struct hot hot;
    struct residents residents;
    struct h5_file *file; /* borrowed; in which everything is that is shown. NULL = ask the store's thread */
    struct version_queue staged;
    struct record_queue to_resolve; /* as the scan found them */
    struct record_queue cached;     /* oldest first */
    struct usage usage;
    atomic_uint_fast64_t entries, bytes; /* as published; an unresolved one counts no bytes */
    atomic_uint_fast64_t unresolved;     /* of the entries */
};

void index_init(struct index *index, uint64_t hot_max_bytes);
void index_fini(struct index *index); /* no other thread looks any more */

/* ---- any thread ---- */
/* What a look at an id finds. */
struct sight {
    bool is_there;
    bool is_resolved; /* what follows is known */
    enum hold hold;
    struct version *version; /* one reference; NULL = it has to be made */
};
void index_look(struct index *index, const struct id *id, struct sight *ret_sight);
/* The same with a reference to its entry when that is hot, else *ret_entry is NULL. */
void index_look_hot(struct index *index, const struct id *id, struct sight *ret_sight,
                    struct entry **ret_entry);
/* The entry was read from the version: it becomes hot, if the version is still shown. */
void index_keep_hot(struct index *index, const struct id *id, struct version *version, struct entry *entry);
/* The version, and the entry if it shows it, is marked as damaged; nothing is served from memory any more. Whether it does. */
bool index_quarantine(struct index *index, const struct id *id, struct version *version);
/* Of what a version can be made without the store's thread: a reference to the file, and what it must turn out to be. False = by the
 * store's thread only. */
bool index_source(struct index *index, const struct id *id, struct h5_file **ret_file,
                  struct facts *ret_facts);
/* Takes over a version made of a source and gives a reference to the one that the index has now; NULL when the entry has changed
 * meanwhile. */
struct version *index_keep(struct index *index, const struct id *id, struct version *take_version);
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
/* What the next request in this batch has to see. NULL = removed, or its version has to be made first (record_needs_version). */
struct version *record_latest(const struct record *record);
/* What others see; NULL = nothing, or it cannot be read. */
struct version *record_shown(const struct record *record);
/* Whether it is shown, nothing is staged, and its version is missing or tells nothing. */
bool record_needs_version(const struct record *record);
/* What is shown; all zero when nothing is. */
struct facts record_facts(const struct record *record);
/* What the next request in this batch has to see; false when there is none. */
bool record_latest_facts(const struct record *record, struct facts *ret_facts);
struct id record_id(const struct record *record);
void record_link_name(const struct record *record, char *ret_name); /* LINK_NAME_BYTES */
/* Where what is shown lies from now on; NULL while that changes. */
void index_set_file(struct index *index, struct h5_file *file);
/* About so many will be added: the map grows now, not in steps. */
void index_expect(struct index *index, uint64_t entries);
/* link_name NULL = canonical; copied. The record has no version yet: stage one. NULL when out of memory. */
struct record *index_add(struct index *index, const struct id *id, const char *link_name);
/* One that the scan found: shown at once, unresolved, as loaded. */
struct record *index_add_found(struct index *index, const struct id *id, const char *link_name,
                               uint64_t address);
/* The scan found the canonical name too, of another object: that is the entry. Nothing is staged. */
void index_rename(struct index *index, struct record *record, uint64_t address);
/* The same entry, better known. Nothing is staged. Readers see it at once. NULL = no entry after all: the record is freed. */
void index_resolve(struct index *index, struct record *record, const struct facts *facts);
/* It cannot be resolved: the load goes on without it. */
void index_put_aside(struct index *index, struct record *record);
/* The same entry in another file, whose headers are on the disk: what was known of its body is not any more. Otherwise as above. */
void index_move(struct index *index, struct record *record, const struct facts *facts);
/* The version of what is shown, in place of one that told nothing. */
void index_install(struct index *index, struct record *record, struct version *take_version);
/* Takes the version over (NULL = removal); usage follows. What is removed must have a version. A record that was never shown goes at
 * once when its put is taken back. */
void index_stage(struct index *index, struct record *record, struct version *take_version);
/* Forgets all that is staged. */
void index_unstage(struct index *index);
/* The file has gone back, and so does what is shown of the record. Nothing is staged. Takes the version over; NULL = nothing, and the
 * record is freed. */
void index_restore(struct index *index, struct record *record, struct version *take_version);
/* Shows what is staged and lets go of what it replaced. */
void index_publish(struct index *index);
/* The object's header in the file has changed: it has a digest now, that of the version which is shown. */
void index_note_digest(struct index *index, struct record *record);
/* Moves a cached record behind the others: it was read since it was last looked at. */
void index_spare(struct index *index, struct record *record);
/* Whether the latest was read since this was last asked. */
bool index_take_touched(struct index *index, struct record *record);
/* Forgets versions beyond what residents.h allows. Not within a batch: what it found would go. */
void index_trim(struct index *index);
/* Whether every digest in the file was compared with its body. */
bool index_all_verified(struct index *index);

#endif
