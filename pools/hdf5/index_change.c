/* index_change.c - see index.h: what the store's thread does to records. */
#include "pools/hdf5/index.h"

#include "pools/base/must.h"
#include "pools/hdf5/link_name.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- looking ---- */
struct record *index_find(struct index *index, const struct id *id) {
    struct map_node *node = map_find(&index->map, id->hash, id);
    return node ? CONTAINER_OF(node, struct record, node) : NULL;
}

static bool is_removal(const struct record *record) {
    return record->staged && record->staged == atomic_load(&record->version);
}

struct version *record_latest(const struct record *record) {
    if (!record->staged) {
        return atomic_load(&record->version);
    }
    return is_removal(record) ? NULL : record->staged;
}

struct version *record_shown(const struct record *record) {
    struct version *version = atomic_load(&record->version);
    return version && version->kind != VERSION_UNRESOLVED ? version : NULL;
}

bool record_needs_version(const struct record *record) {
    return record->is_shown && !record->staged && !record_shown(record);
}

struct facts record_facts(const struct record *record) {
    return (struct facts){.placement = {.kind = (enum version_kind)record->kind,
                                        .address = record->address,
                                        .offset = record->offset,
                                        .length = record->length},
                          .hold = (enum hold)record->hold,
                          .has_sha256 = record->has_sha256};
}

struct id record_id(const struct record *record) {
    return (struct id){.text = record->id, .bytes = record->id_bytes, .hash = record->node.hash};
}

void record_link_name(const struct record *record, char *ret_name) {
    if (record->is_named) {
        snprintf(ret_name, LINK_NAME_BYTES, "%s", record->id + record->id_bytes + 1);
    } else {
        struct id id = record_id(record);
        link_name_of(&id, ret_name);
    }
}

bool record_latest_facts(const struct record *record, struct facts *ret_facts) {
    if (record->staged) {
        version_facts(record->staged, ret_facts);
        return !is_removal(record);
    }
    *ret_facts = record_facts(record);
    return record->is_shown;
}

bool index_take_touched(struct index *index, struct record *record) {
    mutex_lock(&index->mutex);
    struct version *version = record_latest(record);
    bool touched = version ? atomic_exchange(&version->touched, false) : record->touched;
    record->touched = false;
    mutex_unlock(&index->mutex);
    return touched;
}

static void look_at_verified(struct map_node *node, void *context) {
    const struct record *record = CONTAINER_OF(node, struct record, node);
    const struct version *version = record_shown(record);
    bool *all = context;
    bool verified = version ? atomic_load(&version->verified) : record->verified;
    if (record->is_shown && (record->kind == VERSION_UNRESOLVED || (record->has_sha256 && !verified))) {
        *all = false;
    }
}

bool index_all_verified(struct index *index) {
    bool all = true;
    map_each(&index->map, look_at_verified, &all);
    return all;
}

/* ---- lists and usage ---- */
static void leave_list(struct index *index, struct record *record) {
    if (record->list == LIST_UNRESOLVED) {
        TAILQ_REMOVE(&index->to_resolve, record, in_list);
    } else if (record->list == LIST_CACHED) {
        TAILQ_REMOVE(&index->cached, record, in_list);
    }
    record->list = LIST_NONE;
}

static void enter_list(struct index *index, struct record *record, const struct facts *facts) {
    if (facts && facts->placement.kind == VERSION_UNRESOLVED) {
        TAILQ_INSERT_TAIL(&index->to_resolve, record, in_list);
        record->list = LIST_UNRESOLVED;
    } else if (facts && facts->hold == HOLD_CACHED) {
        TAILQ_INSERT_TAIL(&index->cached, record, in_list);
        record->list = LIST_CACHED;
    }
}

void index_put_aside(struct index *index, struct record *record) {
    leave_list(index, record);
}

void index_spare(struct index *index, struct record *record) {
    MUST(record->list == LIST_CACHED);
    TAILQ_REMOVE(&index->cached, record, in_list);
    TAILQ_INSERT_TAIL(&index->cached, record, in_list);
}

static void count(struct usage *usage, const struct facts *facts, bool in) {
    uint64_t one = in ? 1 : UINT64_MAX; /* plus or minus one, modulo 2^64 */
    usage->entries += one;
    usage->bytes += one * facts->placement.length;
    if (facts->placement.kind == VERSION_UNRESOLVED) {
        usage->unresolved += one;
    } else if (facts->hold == HOLD_CACHED) {
        usage->cached_entries += one;
        usage->cached_bytes += one * facts->placement.length;
    }
}

static void tell_usage(struct index *index) {
    atomic_store(&index->entries, index->usage.entries);
    atomic_store(&index->unresolved, index->usage.unresolved);
    atomic_store(&index->bytes, index->usage.bytes);
}

/* From what the latest is now to these facts; NULL = to nothing. */
static void recount(struct index *index, struct record *record, const struct facts *facts) {
    struct facts before;
    if (record_latest_facts(record, &before)) {
        count(&index->usage, &before, false);
    }
    if (facts) {
        count(&index->usage, facts, true);
    }
    leave_list(index, record);
    enter_list(index, record, facts);
}

/* ---- adding ---- */
void index_set_file(struct index *index, struct h5_file *file) {
    mutex_lock(&index->mutex);
    index->file = file;
    mutex_unlock(&index->mutex);
}

void index_expect(struct index *index, uint64_t entries) {
    mutex_lock(&index->mutex);
    map_reserve(&index->map, (size_t)entries);
    mutex_unlock(&index->mutex);
}

/* In no map yet. */
static struct record *new_record(const struct id *id, const char *link_name) {
    size_t name_bytes = link_name ? strlen(link_name) + 1 : 0;
    size_t bytes = offsetof(struct record, id) + id->bytes + 1 + name_bytes;
    struct record *record = calloc(1, bytes > sizeof *record ? bytes : sizeof *record);
    if (!record) {
        return NULL;
    }
    record->id_bytes = (uint16_t)id->bytes;
    memcpy(record->id, id->text, id->bytes);
    if (link_name) {
        record->is_named = true;
        memcpy(record->id + id->bytes + 1, link_name, name_bytes);
    }
    return record;
}

static struct record *insert(struct index *index, struct record *take_record, uint64_t hash) {
    if (!take_record) {
        return NULL;
    }
    mutex_lock(&index->mutex);
    bool inserted = map_insert(&index->map, &take_record->node, hash);
    mutex_unlock(&index->mutex);
    if (!inserted) {
        free(take_record);
        return NULL;
    }
    return take_record;
}

struct record *index_add(struct index *index, const struct id *id, const char *link_name) {
    return insert(index, new_record(id, link_name), id->hash);
}

struct record *index_add_found(struct index *index, const struct id *id, const char *link_name,
                               uint64_t address) {
    struct record *record = new_record(id, link_name);
    if (record) {
        record->address = address;
        record->is_shown = true;
        record->as_loaded = true;
    }
    record = insert(index, record, id->hash);
    if (record) {
        struct facts facts = record_facts(record);
        count(&index->usage, &facts, true);
        enter_list(index, record, &facts);
        atomic_fetch_add(&index->unresolved, 1);
        atomic_fetch_add(&index->entries, 1);
    }
    return record;
}

/* ---- what is shown ---- */
/* Takes the version away that was kept of what is no longer shown. */
static struct version *take_version_locked(struct index *index, struct record *record) {
    struct version *version = atomic_exchange(&record->version, NULL);
    if (version) {
        hot_cool(&index->hot, version);
        residents_leave(&index->residents, version);
    }
    return version;
}

static void set_facts_locked(struct record *record, const struct facts *facts) {
    record->kind = (uint8_t)facts->placement.kind;
    record->hold = (uint8_t)facts->hold;
    record->has_sha256 = facts->has_sha256;
    record->address = facts->placement.address;
    record->offset = facts->placement.offset;
    record->length = facts->placement.length;
    record->verified = record->touched = record->damaged = record->owes_digest = false;
}

/* The published counters follow by the difference: others may be staged, which usage has and they have not. */
static void recount_shown(struct index *index, struct record *record, const struct facts *facts) {
    struct usage before = index->usage;
    recount(index, record, facts);
    atomic_fetch_add(&index->entries, index->usage.entries - before.entries);
    atomic_fetch_add(&index->bytes, index->usage.bytes - before.bytes);
    atomic_fetch_add(&index->unresolved, index->usage.unresolved - before.unresolved);
}

/* What is known of an entry beside its facts. */
struct known {
    bool as_loaded, damaged, owes_digest;
};

static void change(struct index *index, struct record *record, const struct facts *facts,
                   struct known known) {
    MUST(!record->staged && record->is_shown);
    recount_shown(index, record, facts);
    mutex_lock(&index->mutex);
    struct version *old = take_version_locked(index, record);
    record->as_loaded = known.as_loaded;
    if (facts) {
        set_facts_locked(record, facts);
        record->damaged = known.damaged;
        record->owes_digest = known.owes_digest;
    } else {
        map_remove(&index->map, &record->node);
    }
    mutex_unlock(&index->mutex);
    version_drop(old);
    if (!facts) {
        free(record);
    }
}

void index_resolve(struct index *index, struct record *record, const struct facts *facts) {
    change(index, record, facts, (struct known){.as_loaded = record->as_loaded});
}

void index_move(struct index *index, struct record *record, const struct facts *facts) {
    const struct version *version = atomic_load(&record->version);
    bool learned = version && atomic_load(&version->has_learned) && !facts->has_sha256;
    change(index, record, facts,
           (struct known){.as_loaded = true,
                          .damaged = record->damaged, /* so is the copy of the body */
                          .owes_digest = record->owes_digest || learned});
}

void index_rename(struct index *index, struct record *record, uint64_t address) {
    struct facts facts = {.placement = {.kind = VERSION_UNRESOLVED, .address = address}};
    mutex_lock(&index->mutex);
    record->is_named = false; /* beside what readers look at */
    mutex_unlock(&index->mutex);
    change(index, record, &facts, (struct known){.as_loaded = true});
}

void index_restore(struct index *index, struct record *record, struct version *take_version) {
    MUST(!record->staged);
    struct facts facts;
    if (take_version) {
        version_facts(take_version, &facts);
    }
    recount_shown(index, record, take_version ? &facts : NULL);
    mutex_lock(&index->mutex);
    struct version *old = take_version_locked(index, record);
    record->is_shown = take_version != NULL;
    record->as_loaded = false;
    struct entry *cold = NULL;
    if (take_version) {
        cold = take_version->hot; /* it cooled when it was replaced */
        take_version->hot = NULL;
        set_facts_locked(record, &facts);
        record->damaged = atomic_load(&take_version->damaged);
        take_version->record = record;
        residents_enter(&index->residents, take_version);
        atomic_store(&record->version, take_version);
    } else {
        map_remove(&index->map, &record->node);
    }
    mutex_unlock(&index->mutex);
    entry_unref(cold);
    version_drop(old);
    if (!take_version) {
        free(record);
    }
}

void index_note_digest(struct index *index, struct record *record) {
    mutex_lock(&index->mutex);
    record->as_loaded = false;
    record->has_sha256 = true;
    mutex_unlock(&index->mutex);
}

/* ---- staging ---- */
static void unstage(struct index *index, struct record *record) {
    if (record->staged) {
        TAILQ_REMOVE(&index->staged, record->staged, in_staged);
        version_drop(record->staged);
        record->staged = NULL;
    }
}

static void remove_unseen(struct index *index, struct record *record) {
    mutex_lock(&index->mutex);
    map_remove(&index->map, &record->node);
    mutex_unlock(&index->mutex);
    free(record);
}

void index_stage(struct index *index, struct record *record, struct version *take_version) {
    struct facts facts;
    if (take_version) {
        version_facts(take_version, &facts);
    }
    recount(index, record, take_version ? &facts : NULL);
    unstage(index, record);
    if (!take_version && !record->is_shown) {
        remove_unseen(index, record);
        return;
    }
    struct version *shown = atomic_load(&record->version);
    MUST(take_version || shown);
    record->staged = take_version ? take_version : version_ref(shown);
    record->staged->record = record;
    TAILQ_INSERT_TAIL(&index->staged, record->staged, in_staged);
}

void index_unstage(struct index *index) {
    struct version *version;
    while ((version = TAILQ_FIRST(&index->staged)) != NULL) {
        struct record *record = version->record;
        struct facts shown = record_facts(record);
        recount(index, record, record->is_shown ? &shown : NULL);
        unstage(index, record);
        if (!record->is_shown) {
            remove_unseen(index, record);
        }
    }
}

/* Its `staged` becomes what it replaces, to be let go of outside the lock. */
static void show_staged_locked(struct index *index, struct record *record) {
    bool removal = is_removal(record);
    struct version *old = take_version_locked(index, record);
    if (removal) {
        version_drop(old); /* staged refers to it too */
        record->is_shown = false;
        map_remove(&index->map, &record->node);
        return;
    }
    struct facts facts;
    version_facts(record->staged, &facts);
    set_facts_locked(record, &facts);
    record->is_shown = true;
    record->as_loaded = false;
    residents_enter(&index->residents, record->staged);
    atomic_store(&record->version, record->staged);
    record->staged = old;
}

void index_publish(struct index *index) {
    struct version_queue done = TAILQ_HEAD_INITIALIZER(done);
    TAILQ_CONCAT(&done, &index->staged, in_staged);
    struct version *version = NULL;
    mutex_lock(&index->mutex);
    TAILQ_FOREACH(version, &done, in_staged) {
        show_staged_locked(index, version->record);
    }
    mutex_unlock(&index->mutex);
    tell_usage(index);
    while ((version = TAILQ_FIRST(&done)) != NULL) {
        TAILQ_REMOVE(&done, version, in_staged);
        struct record *record = version->record;
        struct version *old = record->staged;
        record->staged = NULL;
        if (!record->is_shown) {
            free(record);
        }
        version_drop(old);
    }
}
