/* compact_switch.c - a whole copy takes the place of the file, or is put down as a file of its own. See compact.h.
 *
 * Up to the rename the old file is the pool, afterwards the copy is: both are synced before, so a crash on either side
 * finds a whole file under the path. Readers under way finish in the old file, which their versions keep open.
 */
#include "pools/hdf5/compact.h"

#include "pools/base/clock.h"
#include "pools/hdf5/vfd/medium.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_ORIGINALS 100

/* ---- the names ---- */
static bool is_same_file(const char *path, const char *other) {
    struct stat status;
    struct stat other_status;
    return lstat(path, &status) == 0 && lstat(other, &other_status) == 0 &&
           status.st_dev == other_status.st_dev && status.st_ino == other_status.st_ino;
}

/* *ret_kept is its second name, which it may have: a crash came between this and the rename. */
static enum err keep_original_name(struct op *op, const char *path, char ret_kept[PATH_MAX]) {
    for (int i = 0; i < MOST_ORIGINALS; i++) {
        char number[8] = "";
        if (i) {
            snprintf(number, sizeof number, ".%d", i);
        }
        int length = snprintf(ret_kept, PATH_MAX, "%s.original%s", path, number);
        if (length < 0 || length >= PATH_MAX) {
            return op_fail_errno(op, ENAMETOOLONG, "keeping the original file");
        }
        if (link(path, ret_kept) == 0) {
            return OK;
        }
        if (errno != EEXIST) {
            return op_fail_errno(op, errno, "keeping the original file");
        }
        if (is_same_file(path, ret_kept)) {
            return OK;
        }
    }
    return op_fail_errno(op, EEXIST, "keeping the original file");
}

/* Who may read the file may read its copy, and nobody else. Only root may give it another owner. */
static enum err take_owner(const struct compaction *compaction, struct op *op) {
    struct stat status;
    if (fstat(compaction->store->file->fd, &status) != 0) {
        return op_fail_errno(op, errno, "looking at the file");
    }
    bool owned = fchown(compaction->copy->fd, status.st_uid, status.st_gid) == 0 || errno == EPERM;
    return owned && fchmod(compaction->copy->fd, status.st_mode & 07777) == 0
               ? OK
               : op_fail_errno(op, errno, "giving a copy of the file its permissions");
}

static enum err take_path(struct compaction *compaction, struct op *op, bool keep_original) {
    const char *path = compaction->store->path;
    char kept[PATH_MAX] = "";
    enum err err = keep_original ? keep_original_name(op, path, kept) : OK;
    if (err) {
        return err;
    }
    if (rename(compaction->path, path) != 0) {
        err = op_fail_errno(op, errno, "putting the copy in place");
        if (kept[0]) {
            (void)unlink(kept); /* only a second name */
        }
        return err;
    }
    compaction->keeps_copy = true;
    compaction->name_lost = medium_sync_directory(path) != 0;
    return OK;
}

/* ---- the index ---- */
struct move {
    struct record *record;
    const struct place *place;
};

/* Where everything goes, found out before the first record goes there: addresses of the two files are alike. */
struct moves {
    const struct compaction *compaction;
    struct move *moves;
    size_t count;
    bool all_placed;
};

static void add_move(struct moves *moves, struct record *record) {
    const struct place *place = compaction_find_place(moves->compaction, record->address);
    moves->all_placed = moves->all_placed && record->is_shown && place;
    moves->moves[moves->count++] = (struct move){.record = record, .place = place};
}

static void add_other(struct map_node *node, void *context) {
    struct record *record = CONTAINER_OF(node, struct record, node);
    if (record->list != LIST_CACHED) {
        add_move(context, record);
    }
}

/* Those that wait to be evicted first, in their order: each goes behind the others. */
static enum err plan_moves(struct compaction *compaction, struct op *op, struct moves *moves) {
    struct index *index = &compaction->store->index;
    *moves = (struct moves){.compaction = compaction, .all_placed = true};
    moves->moves = calloc(index->map.count + 1, sizeof *moves->moves);
    if (!moves->moves) {
        return op_no_memory(op);
    }
    struct record *record = NULL;
    TAILQ_FOREACH(record, &index->cached, in_list) {
        add_move(moves, record);
    }
    map_each(&index->map, add_other, moves);
    return moves->all_placed ? OK : op_fail(op, REASON_INTERNAL, "an entry was not copied");
}

static void move_index(struct compaction *compaction, const struct moves *moves) {
    struct index *index = &compaction->store->index;
    index_set_file(index, NULL);
    for (size_t i = 0; i < moves->count; i++) {
        struct facts facts = record_facts(moves->moves[i].record);
        facts.placement.address = moves->moves[i].place->address;
        facts.placement.offset = moves->moves[i].place->offset;
        index_move(index, moves->moves[i].record, &facts);
    }
    index_set_file(index, compaction->copy);
}

/* ---- the switch ---- */
/* Nobody else's changes of the copy are to be feared, but those of the old file count for it as well. */
static enum err mark(struct compaction *compaction, struct op *op) {
    bool alone = compaction->store->file->alone;
    compaction->copy->alone = alone;
    return h5_file_set_mark(compaction->copy, op, alone ? H5_MARK_OPEN : H5_MARK_MIXED);
}

static void go_on_in_copy(struct compaction *compaction, const struct moves *moves) {
    struct store *store = compaction->store;
    h5_file_discard(store->file); /* it has no name, or another, and no journal */
    move_index(compaction, moves);
    store_let_all_go(store);
    struct h5_file *old = store->file;
    store->file = compaction->copy;
    compaction->copy = old; /* let go with the compaction */
    store->dirty = false;
    mutex_lock(&store->mutex);
    store->reason[0] = '\0';
    mutex_unlock(&store->mutex);
    atomic_store(&store->writable, true);
}

static enum err take_over(struct compaction *compaction, struct op *op, bool keep_original) {
    struct store *store = compaction->store;
    enum err err = mark(compaction, op);
    if (!err) {
        err = take_owner(compaction, op);
    }
    if (!err &&
        store->file->mark ==
            H5_MARK_JOURNALED) { /* a crash from here to the rename finds no journal, and none is to be missed */
        err = h5_file_set_mark(store->file, op, H5_MARK_OPEN);
        err = err ? err : h5_file_commit(store->file, op);
    }
    if (!err) {
        err = h5_file_rest(store->file, op); /* no journal of the old file beside the new one */
    }
    if (!err) {
        err = h5_file_settle_copy(compaction->copy, op, store->path);
    }
    return err ? err : take_path(compaction, op, keep_original);
}

enum err compaction_switch(struct compaction *compaction, struct op *op, bool keep_original) {
    struct moves moves = {0};
    enum err err = store_settle(compaction->store, op);
    if (!err) {
        err = plan_moves(compaction, op, &moves);
    }
    if (!err) {
        err = take_over(compaction, op, keep_original);
    }
    if (err && h5_file_is_poisoned(compaction->store->file)) {
        store_poison_with_file(compaction->store, op);
    }
    if (!err) {
        go_on_in_copy(compaction, &moves);
        if (compaction->name_lost) { /* commits would go on in a file that a power cut may take away */
            store_poison(compaction->store,
                         "the directory of a compacted file could not be synced; it has to be opened again");
        }
    }
    free(moves.moves);
    return err;
}

enum err compaction_keep(struct compaction *compaction, struct op *op) {
    struct h5_file *copy = compaction->copy;
    bool alone = compaction->store->file->alone;
    int64_t now_s = clock_wall_ms() / 1000;
    enum err err = h5_file_set_mark(copy, op, alone ? now_s : H5_MARK_MIXED);
    if (!err) {
        err = take_owner(compaction, op);
    }
    if (!err) {
        err = h5_file_finish_copy(copy, op);
    }
    int result = err ? 0 : medium_sync_directory(compaction->path);
    if (result) {
        err = op_fail_errno(op, result, "syncing the directory of a copy");
    }
    if (!err) {
        h5_file_set_closing_mtime(copy, alone ? now_s : 0);
        compaction->keeps_copy = true;
    }
    return err;
}
