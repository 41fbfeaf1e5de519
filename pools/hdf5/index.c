/* index.c - see index.h. */
#include "pools/hdf5/index.h"

#include "pools/base/hash.h"
#include "pools/base/hex.h"
#include "pools/base/must.h"
#include "pools/hdf5/link_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Nodes looked at in one hold of the lock: a poll thread that peeks waits some ten microseconds at most. */
#define SLICE_NODES 512u
#define CURSOR_BYTES 43 /* with the NUL */

static struct record *record_of(struct map_node *node) {
    return CONTAINER_OF(node, struct record, node);
}

static bool record_equal(const struct map_node *node, const void *key) {
    const struct record *record =
        (const struct record *)(const void *)((const char *)node - offsetof(struct record, node));
    const struct id *id = key;
    return record->id_bytes == id->bytes && memcmp(record->id, id->text, id->bytes) == 0;
}

void index_init(struct index *index, uint64_t hot_max_bytes) {
    memset(index, 0, sizeof *index);
    mutex_init(&index->mutex, RANK_KIND);
    map_init(&index->map, record_equal);
    hot_init(&index->hot, hot_max_bytes);
    STAILQ_INIT(&index->staged);
    TAILQ_INIT(&index->unresolved);
    TAILQ_INIT(&index->cached);
}

static void free_record(struct record *record) {
    version_drop(record->current);
    version_drop(record->next);
    free(record->link_name);
    free(record);
}

static void free_node(struct map_node *node, void *context) {
    (void)context;
    free_record(record_of(node));
}

void index_fini(struct index *index) {
    map_each(&index->map, free_node, NULL);
    map_fini(&index->map);
    mutex_fini(&index->mutex);
}

static struct version *find_locked(struct index *index, const struct id *id) {
    struct map_node *node = map_find(&index->map, id->hash, id);
    return node ? record_of(node)->current : NULL;
}

struct version *index_get(struct index *index, const struct id *id) {
    mutex_lock(&index->mutex);
    struct version *version = find_locked(index, id);
    if (version) {
        version_ref(version);
    }
    mutex_unlock(&index->mutex);
    return version;
}

struct version *index_get_hot(struct index *index, const struct id *id, struct entry **ret_entry) {
    *ret_entry = NULL;
    mutex_lock(&index->mutex);
    struct version *version = find_locked(index, id);
    if (version) {
        version_ref(version);
        *ret_entry = hot_get(version);
    }
    mutex_unlock(&index->mutex);
    return version;
}

void index_keep_hot(struct index *index, const struct id *id, struct version *version, struct entry *entry) {
    struct entry *fallen[HOT_MOST_FALLEN];
    mutex_lock(&index->mutex);
    bool is_current = find_locked(index, id) == version && !atomic_load(&version->damaged);
    unsigned count = is_current ? hot_keep(&index->hot, version, entry, fallen) : 0;
    mutex_unlock(&index->mutex);
    while (count) {
        entry_unref(fallen[--count]);
    }
}

void index_cool(struct index *index, struct version *version) {
    mutex_lock(&index->mutex);
    hot_cool(&index->hot, version);
    mutex_unlock(&index->mutex);
}

/* ---- walking in hash order ---- */
struct walk {
    const char *prefix;
    size_t prefix_bytes;
    unsigned left;       /* ids still wanted */
    unsigned nodes_left; /* in this slice */
    uint64_t hash;       /* of the last node passed */
    unsigned same_hash;  /* how many nodes of that hash have been passed */
    unsigned skip;       /* nodes of the first hash to pass over */
    uint64_t skip_hash;
    bool stopped; /* before the end of the map */
    struct listing *listing;
    struct op *op;
    enum err err;
};

static bool walk_node(struct map_node *node, void *context) {
    struct walk *walk = context;
    const struct record *record = record_of(node);
    if (node->hash == walk->skip_hash && walk->skip) {
        walk->skip--;
        return true;
    }
    if (!walk->left || !walk->nodes_left) {
        walk->stopped = true;
        return false;
    }
    walk->nodes_left--;
    walk->same_hash = node->hash == walk->hash ? walk->same_hash + 1 : 1;
    walk->hash = node->hash;
    if (!record->current || record->id_bytes < walk->prefix_bytes ||
        memcmp(record->id, walk->prefix, walk->prefix_bytes) != 0) {
        return true;
    }
    walk->err = listing_add(walk->listing, walk->op, record->id, record->id_bytes);
    walk->left--;
    return walk->err == OK;
}

/* Slices until enough ids or the end; false = the end was reached. */
static bool walk_on(struct index *index, struct walk *walk) {
    do {
        walk->nodes_left = SLICE_NODES;
        walk->stopped = false;
        walk->skip_hash = walk->hash;
        walk->skip = walk->same_hash;
        mutex_lock(&index->mutex);
        map_scan(&index->map, walk->hash, walk_node, walk);
        mutex_unlock(&index->mutex);
        if (!walk->err) {
            walk->err = op_check(walk->op);
        }
    } while (!walk->err && walk->stopped && walk->left);
    return walk->stopped;
}

/* A word that only this process knows: hashes, and so cursors, do not survive it. */
static uint64_t process_tag(void) {
    static const char words[] = "cursor of an hdf5 listing";
    return hash_bytes(words, sizeof words);
}

/* tag-hash-same: 16, 16 and 8 digits. */
static enum err read_cursor(struct op *op, const char *cursor, struct walk *walk) {
    uint64_t tag = 0;
    uint64_t same_hash = 0;
    bool shaped = strlen(cursor) == CURSOR_BYTES - 1 && cursor[16] == '-' && cursor[33] == '-' &&
                  hex_read_number(cursor, 16, &tag) && hex_read_number(cursor + 17, 16, &walk->hash) &&
                  hex_read_number(cursor + 34, 8, &same_hash);
    if (!shaped || tag != process_tag()) {
        return op_fail(op, REASON_INVALID_QUERY,
                       "the cursor is not one of this listing, or is from before a restart");
    }
    walk->same_hash = (unsigned)same_hash;
    return OK;
}

enum err index_list(struct index *index, struct op *op, const char *prefix, const char *cursor,
                    unsigned limit, struct listing *ret_listing) {
    struct walk walk = {
        .prefix = prefix, .prefix_bytes = strlen(prefix), .left = limit, .listing = ret_listing, .op = op};
    if (cursor) {
        enum err err = read_cursor(op, cursor, &walk);
        if (err) {
            return err;
        }
    }
    bool more = walk_on(index, &walk);
    if (walk.err) {
        return walk.err;
    }
    if (more) {
        char text[CURSOR_BYTES];
        snprintf(text, sizeof text, "%016" PRIx64 "-%016" PRIx64 "-%08x", process_tag(), walk.hash,
                 walk.same_hash);
        ret_listing->next_cursor = strdup(text);
        if (!ret_listing->next_cursor) {
            return op_no_memory(op);
        }
    }
    return OK;
}

enum err index_some(struct index *index, struct op *op, struct index_cursor *cursor,
                    struct listing *ret_ids) {
    struct walk walk = {
        .prefix = "", .left = SLICE_NODES, .hash = cursor->hash, .listing = ret_ids, .op = op};
    cursor->at_end = !walk_on(index, &walk);
    cursor->hash = walk.hash; /* those of this very hash are gone by the next call: none is passed over */
    return walk.err;
}

/* ---- the store's thread ---- */
struct record *index_find(struct index *index, const struct id *id) {
    struct map_node *node = map_find(&index->map, id->hash, id);
    return node ? record_of(node) : NULL;
}

struct version *record_latest(const struct record *record) {
    return record->has_next ? record->next : record->current;
}

struct id record_id(const struct record *record) {
    return (struct id){.text = record->id, .bytes = record->id_bytes, .hash = record->node.hash};
}

void record_link_name(const struct record *record, char *ret_name) {
    if (record->link_name) {
        snprintf(ret_name, LINK_NAME_BYTES, "%s", record->link_name);
    } else {
        struct id id = record_id(record);
        link_name_of(&id, ret_name);
    }
}

struct record *index_add(struct index *index, const struct id *id, const char *link_name) {
    struct record *record = calloc(1, sizeof *record + id->bytes + 1);
    char *name = link_name ? strdup(link_name) : NULL;
    if (!record || (link_name && !name)) {
        free(record);
        free(name);
        return NULL;
    }
    record->link_name = name;
    record->id_bytes = (uint16_t)id->bytes;
    memcpy(record->id, id->text, id->bytes);
    mutex_lock(&index->mutex);
    bool inserted = map_insert(&index->map, &record->node, id->hash);
    mutex_unlock(&index->mutex);
    if (!inserted) {
        free_record(record);
        return NULL;
    }
    return record;
}

static void leave_list(struct index *index, struct record *record) {
    if (record->list == LIST_UNRESOLVED) {
        TAILQ_REMOVE(&index->unresolved, record, in_list);
    } else if (record->list == LIST_CACHED) {
        TAILQ_REMOVE(&index->cached, record, in_list);
    }
    record->list = LIST_NONE;
}

static void enter_list(struct index *index, struct record *record, const struct version *version) {
    if (version && version->kind == VERSION_UNRESOLVED) {
        TAILQ_INSERT_TAIL(&index->unresolved, record, in_list);
        record->list = LIST_UNRESOLVED;
    } else if (version && version->hold == HOLD_CACHED) {
        TAILQ_INSERT_TAIL(&index->cached, record, in_list);
        record->list = LIST_CACHED;
    }
}

static void count(struct usage *usage, const struct version *version, bool in) {
    if (!version) {
        return;
    }
    uint64_t one = in ? 1 : UINT64_MAX; /* plus or minus one, modulo 2^64 */
    usage->entries += one;
    usage->bytes += one * version->length;
    if (version->kind != VERSION_UNRESOLVED && version->hold == HOLD_CACHED) {
        usage->cached_entries += one;
        usage->cached_bytes += one * version->length;
    }
}

void index_stage(struct index *index, struct record *record, struct version *take_version) {
    count(&index->usage, record_latest(record), false);
    count(&index->usage, take_version, true);
    leave_list(index, record);
    enter_list(index, record, take_version);
    if (record->has_next) {
        version_drop(record->next);
    } else {
        STAILQ_INSERT_TAIL(&index->staged, record, in_staged);
    }
    record->has_next = true;
    record->next = take_version;
}

void index_unstage(struct index *index) {
    struct record *record;
    while ((record = STAILQ_FIRST(&index->staged)) != NULL) {
        STAILQ_REMOVE_HEAD(&index->staged, in_staged);
        count(&index->usage, record->next, false);
        count(&index->usage, record->current, true);
        leave_list(index, record);
        enter_list(index, record, record->current);
        version_drop(record->next);
        record->next = NULL;
        record->has_next = false;
        if (!record->current) {
            mutex_lock(&index->mutex);
            map_remove(&index->map, &record->node);
            mutex_unlock(&index->mutex);
            free_record(record);
        }
    }
}

/* The published counters follow by the difference: others may be staged, which usage has and they have not. */
void index_replace(struct index *index, struct record *record, struct version *take_version) {
    MUST(!record->has_next);
    struct usage before = index->usage;
    count(&index->usage, record->current, false);
    count(&index->usage, take_version, true);
    atomic_fetch_add(&index->entries, index->usage.entries - before.entries);
    atomic_fetch_add(&index->bytes, index->usage.bytes - before.bytes);
    leave_list(index, record);
    enter_list(index, record, take_version);
    mutex_lock(&index->mutex);
    struct version *old = record->current;
    hot_cool(&index->hot, old);
    record->current = take_version;
    if (!take_version) {
        map_remove(&index->map, &record->node);
    }
    mutex_unlock(&index->mutex);
    version_drop(old);
    if (!take_version) {
        free_record(record);
    }
}

/* What it replaces becomes its `next`, to be let go of outside the lock. */
static void show_next_locked(struct index *index, struct record *record) {
    struct version *old = record->current;
    hot_cool(&index->hot, old);
    record->current = record->next;
    record->next = old;
    if (!record->current) {
        map_remove(&index->map, &record->node);
    }
}

void index_publish(struct index *index) {
    struct record_stack done = STAILQ_HEAD_INITIALIZER(done);
    STAILQ_CONCAT(&done, &index->staged);
    struct record *record = STAILQ_FIRST(&done);
    mutex_lock(&index->mutex);
    for (; record; record = STAILQ_NEXT(record, in_staged)) {
        show_next_locked(index, record);
    }
    mutex_unlock(&index->mutex);
    atomic_store(&index->entries, index->usage.entries);
    atomic_store(&index->bytes, index->usage.bytes);
    while ((record = STAILQ_FIRST(&done)) != NULL) {
        STAILQ_REMOVE_HEAD(&done, in_staged);
        record->has_next = false;
        version_drop(record->next);
        record->next = NULL;
        if (!record->current) {
            free_record(record);
        }
    }
}

void index_spare(struct index *index, struct record *record) {
    MUST(record->list == LIST_CACHED);
    TAILQ_REMOVE(&index->cached, record, in_list);
    TAILQ_INSERT_TAIL(&index->cached, record, in_list);
}
