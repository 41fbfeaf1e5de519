/* compact.c - see compact.h: the walk over the entries, and what changes behind it. */
#include "pools/hdf5/compact.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/base/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Records looked up in one walk of the map; a few more when hashes are equal. */
#define RECORDS_AT_ONCE 32u
#define RECORDS_MOST 64u

struct note {
    struct map_node node;
    STAILQ_ENTRY(note) in_queue;
    char name[];
};

/* ---- places ---- */
static bool place_equal(const struct map_node *node, const void *key) {
    const struct place *place = CONTAINER_OF_CONST(node, struct place, node);
    const uint64_t *from = key;
    return place->from == *from;
}

struct place *compaction_find_place(const struct compaction *compaction, uint64_t from) {
    struct map_node *node = map_find(&compaction->places, hash_bytes(&from, sizeof from), &from);
    return node ? CONTAINER_OF(node, struct place, node) : NULL;
}

static void forget_place(struct compaction *compaction, uint64_t from) {
    struct place *place = compaction_find_place(compaction, from);
    if (place) {
        map_remove(&compaction->places, &place->node);
        free(place);
    }
}

static enum err add_place(struct compaction *compaction, struct op *op, const struct place *found) {
    forget_place(compaction, found->from); /* whose entry has gone, and whose space others got */
    struct place *place = malloc(sizeof *place);
    if (!place) {
        return op_no_memory(op);
    }
    *place = *found;
    if (!map_insert(&compaction->places, &place->node, hash_bytes(&place->from, sizeof place->from))) {
        free(place);
        return op_no_memory(op);
    }
    return OK;
}

/* ---- notes ---- */
static bool note_equal(const struct map_node *node, const void *key) {
    const struct note *note = CONTAINER_OF_CONST(node, struct note, node);
    return strcmp(note->name, key) == 0;
}

static void add_note(struct compaction *compaction, const char *name) {
    size_t bytes = strlen(name) + 1;
    uint64_t hash = hash_bytes(name, bytes);
    if (map_find(&compaction->noted, hash, name)) {
        return;
    }
    struct note *note = malloc(sizeof *note + bytes);
    if (!note) {
        compaction->note_lost = true;
        return;
    }
    memcpy(note->name, name, bytes);
    if (!map_insert(&compaction->noted, &note->node, hash)) {
        free(note);
        compaction->note_lost = true;
        return;
    }
    STAILQ_INSERT_TAIL(&compaction->notes, note, in_queue);
}

void compaction_note(struct compaction *compaction, const struct record *record) {
    bool reached = compaction->walked || (compaction->begun && record->node.hash <= compaction->cursor);
    if (!reached) {
        return; /* the walk will find it as it is then */
    }
    if (record->is_shown) {
        forget_place(compaction, record->address);
    }
    char name[LINK_NAME_BYTES];
    record_link_name(record, name);
    add_note(compaction, name);
}

/* ---- one entry ---- */
static enum err copy_record(struct compaction *compaction, struct op *op, struct record *record) {
    if (!record->is_shown) {
        return OK; /* it comes with the next batch, and is noted then */
    }
    char name[LINK_NAME_BYTES];
    record_link_name(record, name);
    bool is_large = false;
    struct place place = {0};
    uint64_t length = record->length;
    enum err err = compaction_copy_entry(compaction, op, name, record, &is_large, &place);
    if (err || is_large) {
        return err;
    }
    work_done(&compaction->store->work[UPKEEP_COMPACT], 1, length);
    return add_place(compaction, op, &place);
}

static enum err go_on_with_large(struct compaction *compaction, struct op *op) {
    bool done = false;
    struct place place = {0};
    uint64_t length = compaction->large.from->length;
    enum err err = compaction_copy_piece(compaction, op, &done, &place);
    if (err || !done) {
        return err;
    }
    work_done(&compaction->store->work[UPKEEP_COMPACT], 1, length);
    /* Changed meanwhile, its name has been noted; what is at its address then may be another. */
    return add_place(compaction, op, &place);
}

/* The record that has the link's name; NULL when none has it now. */
static struct record *record_of_name(struct compaction *compaction, const char *name) {
    char text[ID_MOST_BYTES + 1];
    char own_name[LINK_NAME_BYTES];
    size_t bytes = 0;
    bool canonical = false;
    if (!link_name_to_id(name, text, &bytes, &canonical)) {
        return NULL;
    }
    struct id id = id_trusted(text, bytes);
    struct record *record = index_find(&compaction->store->index, &id);
    if (!record) {
        return NULL;
    }
    record_link_name(record, own_name);
    return strcmp(own_name, name) == 0 ? record : NULL;
}

static enum err redo(struct compaction *compaction, struct op *op, struct note *take_note) {
    char name[LINK_NAME_BYTES];
    snprintf(name, sizeof name, "%s", take_note->name);
    STAILQ_REMOVE_HEAD(&compaction->notes, in_queue);
    map_remove(&compaction->noted, &take_note->node);
    free(take_note);
    hid_t root = compaction->copy->root;
    if (H5Lexists(root, name, H5P_DEFAULT) > 0 && H5Ldelete(root, name, H5P_DEFAULT) < 0) {
        return h5_fail(op, "take an entry's name away in the copy");
    }
    struct record *record = record_of_name(compaction, name);
    return record ? copy_record(compaction, op, record) : OK;
}

/* ---- the walk ---- */
struct pick {
    struct record *records[RECORDS_MOST];
    unsigned count;
};

/* Never ends between equal hashes: the next walk begins behind the last one. */
static bool pick_record(struct map_node *node, void *context) {
    struct pick *pick = context;
    if (pick->count >= RECORDS_AT_ONCE && pick->records[pick->count - 1]->node.hash != node->hash) {
        return false;
    }
    MUST(pick->count < RECORDS_MOST); /* the hash is keyed, and has 64 bits */
    pick->records[pick->count++] = CONTAINER_OF(node, struct record, node);
    return true;
}

static bool time_is_up(uint64_t until_ns) {
    return until_ns && clock_now_ns() >= until_ns;
}

/* Some records; the cursor is on those it came to, whose hashes are all behind it. */
static enum err walk(struct compaction *compaction, struct op *op, uint64_t until_ns) {
    struct pick pick = {.count = 0};
    bool at_end = compaction->begun && compaction->cursor == UINT64_MAX;
    if (!at_end) {
        uint64_t from = compaction->begun ? compaction->cursor + 1 : 0;
        map_scan(&compaction->store->index.map, from, pick_record, &pick);
    }
    if (!pick.count) {
        compaction->walked = true;
        return OK;
    }
    compaction->begun = true;
    for (unsigned i = 0; i < pick.count; i++) {
        bool same = i > 0 && pick.records[i]->node.hash == compaction->cursor;
        if (!same && i > 0 && time_is_up(until_ns)) {
            return OK;
        }
        compaction->cursor = pick.records[i]->node.hash;
        enum err err = copy_record(compaction, op, pick.records[i]);
        bool next_is_same = i + 1 < pick.count && pick.records[i + 1]->node.hash == compaction->cursor;
        while (!err && next_is_same && compaction->large.dataset >= 0) {
            err = go_on_with_large(compaction, op);
        }
        if (err || compaction->large.dataset >= 0) {
            return err;
        }
    }
    return OK;
}

enum err compaction_step(struct compaction *compaction, struct op *op, uint64_t until_ns, bool *ret_whole) {
    enum err err = OK;
    *ret_whole = false;
    do {
        struct note *note = STAILQ_FIRST(&compaction->notes);
        if (compaction->note_lost) {
            err = op_no_memory(op);
        } else if (compaction->spoiled.reason) {
            err = op_adopt(op, &compaction->spoiled);
        } else if (!compaction->foreign_copied) {
            err = compaction_copy_foreign(compaction, op);
            compaction->foreign_copied = true;
        } else if (compaction->large.dataset >= 0) {
            err = go_on_with_large(compaction, op);
        } else if (!compaction->walked) {
            err = walk(compaction, op, until_ns);
        } else if (note) {
            err = redo(compaction, op, note);
        } else {
            *ret_whole = true;
        }
    } while (!err && !*ret_whole && !time_is_up(until_ns));
    return err;
}

/* ---- life ---- */
enum err compaction_open(struct op *op, struct store *store, const char *path, bool replace,
                         struct compaction **ret_compaction) {
    AUTO(compaction_free) struct compaction *compaction = calloc(1, sizeof *compaction);
    if (!compaction) {
        return op_no_memory(op);
    }
    compaction->store = store;
    compaction->large.dataset = H5I_INVALID_HID;
    map_init(&compaction->places, place_equal);
    map_init(&compaction->noted, note_equal);
    STAILQ_INIT(&compaction->notes);
    int length = snprintf(compaction->path, sizeof compaction->path, "%s", path);
    if (length < 0 || (size_t)length >= sizeof compaction->path) {
        return op_fail_errno(op, ENAMETOOLONG, "copying the file");
    }
    struct h5_file_options options = {
        .create = true, .replace = replace, .exclusive = !replace, .copy = true};
    enum err err = h5_file_open(op, path, &options, &compaction->copy);
    if (!err) {
        *ret_compaction = STEAL(compaction);
    }
    return err;
}

static void free_place(struct map_node *node, void *context) {
    (void)context;
    free(CONTAINER_OF(node, struct place, node));
}

void compaction_free(struct compaction *compaction) {
    if (!compaction) {
        return;
    }
    compaction_drop_large(compaction);
    if (compaction->copy && !compaction->keeps_copy) {
        (void)unlink(compaction->path); /* ours, and still locked; should it stay, the next one empties it */
    }
    h5_file_unref(compaction->copy);
    map_each(&compaction->places, free_place, NULL);
    map_fini(&compaction->places);
    struct note *note;
    while ((note = STAILQ_FIRST(&compaction->notes)) != NULL) {
        STAILQ_REMOVE_HEAD(&compaction->notes, in_queue);
        free(note);
    }
    map_fini(&compaction->noted);
    free(compaction);
}
