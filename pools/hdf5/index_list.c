/* index_list.c - see index.h: ids in hash order, some at a time. */
#include "pools/hdf5/index.h"

#include "pools/base/hash.h"
#include "pools/base/hex.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Nodes looked at in one hold of the lock: a poll thread that peeks waits some ten microseconds at most. */
#define SLICE_NODES 512u
#define CURSOR_BYTES 43 /* with the NUL */

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
    const struct record *record = CONTAINER_OF(node, struct record, node);
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
    if (!record->is_shown || record->id_bytes < walk->prefix_bytes ||
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
