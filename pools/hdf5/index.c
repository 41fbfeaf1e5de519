/* index.c - see index.h: finding entries, and keeping versions of them. */
#include "pools/hdf5/index.h"

#include "pools/base/must.h"
#include "pools/hdf5/h5_file.h"

#include <stdlib.h>

/* Versions looked at, or forgotten, in one hold of the lock. */
#define TRIM_SLICE 64u

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
    residents_init(&index->residents);
    TAILQ_INIT(&index->staged);
    TAILQ_INIT(&index->to_resolve);
    TAILQ_INIT(&index->cached);
}

static void free_node(struct map_node *node, void *context) {
    (void)context;
    struct record *record = record_of(node);
    version_drop(atomic_load(&record->version));
    version_drop(record->staged);
    free(record);
}

void index_fini(struct index *index) {
    map_each(&index->map, free_node, NULL);
    map_fini(&index->map);
    mutex_fini(&index->mutex);
}

/* ---- looking ---- */
static struct record *find_shown_locked(struct index *index, const struct id *id) {
    struct map_node *node = map_find(&index->map, id->hash, id);
    struct record *record = node ? record_of(node) : NULL;
    return record && record->is_shown ? record : NULL;
}

static void look_locked(struct index *index, const struct id *id, struct sight *sight) {
    *sight = (struct sight){0};
    const struct record *record = find_shown_locked(index, id);
    if (!record) {
        return;
    }
    struct version *version = record_shown(record);
    sight->is_there = true;
    sight->is_resolved = record->kind != VERSION_UNRESOLVED;
    sight->hold = (enum hold)record->hold;
    if (version) {
        version->used_again = true;
        sight->version = version_ref(version);
    }
}

void index_look(struct index *index, const struct id *id, struct sight *ret_sight) {
    mutex_lock(&index->mutex);
    look_locked(index, id, ret_sight);
    mutex_unlock(&index->mutex);
}

void index_look_hot(struct index *index, const struct id *id, struct sight *ret_sight,
                    struct entry **ret_entry) {
    mutex_lock(&index->mutex);
    look_locked(index, id, ret_sight);
    *ret_entry = ret_sight->version ? hot_get(ret_sight->version) : NULL;
    mutex_unlock(&index->mutex);
}

void index_keep_hot(struct index *index, const struct id *id, struct version *version, struct entry *entry) {
    struct version *fallen[HOT_MOST_FALLEN];
    struct entry *entries[HOT_MOST_FALLEN];
    unsigned count = 0;
    mutex_lock(&index->mutex);
    const struct record *record = find_shown_locked(index, id);
    if (record && atomic_load(&record->version) == version && !atomic_load(&version->damaged)) {
        bool was_resident = version->is_resident;
        residents_leave(&index->residents, version);
        count = hot_keep(&index->hot, version, entry, fallen);
        if (was_resident && !version->is_hot) {
            residents_enter(&index->residents, version);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        entries[i] = fallen[i]->hot;
        fallen[i]->hot = NULL;
        residents_enter(&index->residents, fallen[i]);
    }
    mutex_unlock(&index->mutex);
    while (count) {
        entry_unref(entries[--count]);
    }
}

/* Marked before it cools: no read makes it hot again. */
bool index_quarantine(struct index *index, const struct id *id, struct version *version) {
    mutex_lock(&index->mutex);
    struct record *record = find_shown_locked(index, id);
    bool shown = record && atomic_load(&record->version) == version;
    atomic_store(&version->damaged, true);
    atomic_store(&version->verified, false);
    if (shown) {
        record->damaged = true;
        bool was_hot = version->is_hot;
        hot_cool(&index->hot, version);
        if (was_hot) {
            residents_enter(&index->residents, version);
        }
    }
    mutex_unlock(&index->mutex);
    return shown;
}

/* ---- versions, made where they are wanted ---- */
bool index_source(struct index *index, const struct id *id, struct h5_file **ret_file,
                  struct facts *ret_facts) {
    mutex_lock(&index->mutex);
    const struct record *record = find_shown_locked(index, id);
    bool here = record && record->as_loaded && record->kind != VERSION_UNRESOLVED && index->file &&
                index->residents.count < 2 * index->residents.most;
    if (here) {
        *ret_file = h5_file_ref(index->file);
        *ret_facts = record_facts(record);
    }
    mutex_unlock(&index->mutex);
    return here;
}

/* What was known of the body before it was last forgotten holds for the new version too. */
static void install_locked(struct index *index, struct record *record, struct version *version) {
    if (record->verified) {
        atomic_store(&version->verified, true);
    }
    if (record->damaged) {
        atomic_store(&version->damaged, true);
    }
    if (record->touched) {
        atomic_store(&version->touched, true);
    }
    version->owes_digest = record->owes_digest;
    version->record = record;
    residents_enter(&index->residents, version);
    atomic_store(&record->version, version);
}

struct version *index_keep(struct index *index, const struct id *id, struct version *take_version) {
    struct version *kept = NULL;
    bool taken = false;
    mutex_lock(&index->mutex);
    struct record *record = find_shown_locked(index, id);
    bool same = record && record->as_loaded && record->kind != VERSION_UNRESOLVED &&
                record->address == take_version->address && index->file == take_version->file;
    if (same) {
        taken = atomic_load(&record->version) == NULL;
        if (taken) {
            install_locked(index, record, take_version);
        }
        kept = record_shown(record);
        kept = kept ? version_ref(kept) : NULL;
    }
    mutex_unlock(&index->mutex);
    if (!taken) {
        version_drop(take_version);
    }
    return kept;
}

void index_install(struct index *index, struct record *record, struct version *take_version) {
    mutex_lock(&index->mutex);
    struct version *old = atomic_load(&record->version);
    if (old && old->kind != VERSION_UNRESOLVED) { /* a reader was faster */
        mutex_unlock(&index->mutex);
        version_drop(take_version);
        return;
    }
    if (old) {
        residents_leave(&index->residents, old);
    }
    install_locked(index, record, take_version);
    mutex_unlock(&index->mutex);
    version_drop(old);
}

/* A digest that stands nowhere else goes with its version, and has to be found again before anything is told of the entry. */
static void remember_locked(struct record *record, const struct version *version) {
    bool lost = atomic_load(&version->has_learned) && !atomic_load(&version->is_noted);
    record->owes_digest = lost || (version->owes_digest && !atomic_load(&version->is_noted));
    record->verified = atomic_load(&version->verified) && !lost;
    record->touched = atomic_load(&version->touched);
}

/* One that is used, or was since it was last passed over, stays. False when there is nothing to forget any more. */
static bool trim_one_locked(struct index *index, struct version **ret_forgotten) {
    struct version *version = residents_take_surplus(&index->residents);
    *ret_forgotten = NULL;
    if (!version) {
        return false;
    }
    struct record *record = version->record;
    if (version->used_again || record->staged || !version_is_idle(version)) {
        residents_enter(&index->residents, version);
        return true;
    }
    remember_locked(record, version);
    atomic_store(&record->version, NULL);
    *ret_forgotten = version;
    return true;
}

void index_trim(struct index *index) {
    struct version *forgotten[TRIM_SLICE];
    unsigned looks = TRIM_SLICE;
    unsigned count = 1;
    while (looks == TRIM_SLICE && count) { /* a slice that helped nothing is the last */
        count = 0;
        looks = 0;
        mutex_lock(&index->mutex);
        while (looks < TRIM_SLICE && trim_one_locked(index, &forgotten[count])) {
            looks++;
            count += forgotten[count] != NULL;
        }
        mutex_unlock(&index->mutex);
        for (unsigned i = 0; i < count; i++) {
            version_drop(forgotten[i]);
        }
    }
}
