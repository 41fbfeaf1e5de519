/* wiring_links.c - see wiring_links.h. */
#include "pools/chain/wiring_links.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void links_fini(struct links *links) {
    free(links->rows);
    *links = (struct links){0};
}

enum err links_copy(struct op *op, const struct links *from, struct links *ret_links) {
    struct links links = {.count = from->count, .room = from->count, .generation = from->generation};
    if (from->count) {
        links.rows = malloc(from->count * sizeof *links.rows);
        if (!links.rows) {
            return op_no_memory(op);
        }
        memcpy(links.rows, from->rows, from->count * sizeof *links.rows);
    }
    *ret_links = links;
    return OK;
}

/* Where the pool's row is, or would be. */
static size_t position(const struct links *links, const char *pool) {
    size_t low = 0;
    size_t high = links->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(links->rows[middle].pool, pool) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct state_link *links_find(const struct links *links, const char *pool) {
    size_t at = position(links, pool);
    return at < links->count && strcmp(links->rows[at].pool, pool) == 0 ? &links->rows[at] : NULL;
}

enum err links_put(struct links *links, struct op *op, const char *pool, const char *origin,
                   const bool *fail_on_error) {
    struct state_link *row = links_find(links, pool);
    if (!row) {
        if (links->count == EXPR_MOST_LINKS) {
            return op_fail(op, REASON_INVALID_CHAIN, "more than %d links", EXPR_MOST_LINKS);
        }
        if (links->count == links->room) {
            size_t room = links->room ? links->room * 2 : 8;
            struct state_link *rows = realloc(links->rows, room * sizeof *rows);
            if (!rows) {
                return op_no_memory(op);
            }
            links->rows = rows;
            links->room = room;
        }
        size_t at = position(links, pool);
        memmove(&links->rows[at + 1], &links->rows[at], (links->count - at) * sizeof *links->rows);
        links->count++;
        row = &links->rows[at];
        *row = (struct state_link){0};
        snprintf(row->pool, sizeof row->pool, "%s", pool);
    }
    memset(row->origin, 0, sizeof row->origin);
    snprintf(row->origin, sizeof row->origin, "%s", origin);
    row->generation = links->generation;
    if (fail_on_error) {
        row->fail_on_tier_error = *fail_on_error;
    }
    return OK;
}

void links_drop(struct links *links, const char *pool) {
    struct state_link *row = links_find(links, pool);
    if (row) {
        size_t at = (size_t)(row - links->rows);
        memmove(row, row + 1, (links->count - at - 1) * sizeof *row);
        links->count--;
    }
}

static const char *origin_of(const struct links *links, const char *pool) {
    const struct state_link *row = links_find(links, pool);
    return row && row->origin[0] ? row->origin : NULL;
}

/* "alpha << hdf5 << alpha", as much of it as a fault holds. */
static enum err fail_cycle(const struct links *links, struct op *op, const char *start) {
    struct buf path;
    buf_init(&path, OP_DETAIL_BYTES / 2);
    enum err err = buf_append_text(&path, start);
    for (const char *pool = origin_of(links, start); pool && !err; pool = origin_of(links, pool)) {
        err = buf_printf(&path, " << %s", pool);
        if (strcmp(pool, start) == 0) {
            break;
        }
    }
    err = op_fail(op, REASON_PROXY_CYCLE, "the link would close a cycle: %s%s", path.data ? path.data : start,
                  err ? " << ..." : "");
    buf_fini(&path);
    return err;
}

enum err links_check(const struct links *links, struct op *op) {
    for (size_t i = 0; i < links->count; i++) {
        const char *start = links->rows[i].pool;
        unsigned tiers = 1;
        for (const char *pool = origin_of(links, start); pool; pool = origin_of(links, pool)) {
            if (strcmp(pool, start) == 0) {
                return fail_cycle(links, op, start);
            }
            if (++tiers > TIERS_MOST) {
                /* Also how a walk into a cycle that `start` is not on ends; that cycle's own rows name it. */
                break;
            }
        }
    }
    for (size_t i = 0; i < links->count; i++) {
        unsigned tiers = 1;
        for (const char *pool = origin_of(links, links->rows[i].pool); pool; pool = origin_of(links, pool)) {
            if (++tiers > TIERS_MOST) {
                return op_fail(op, REASON_INVALID_CHAIN, "the chain from '%s' would have more than %d pools",
                               links->rows[i].pool, TIERS_MOST);
            }
        }
    }
    return OK;
}

enum err links_to_expr(const struct links *links, struct op *op, struct expr_links *ret_links) {
    struct expr_links found = {0};
    if (links->count) {
        found.links = calloc(links->count, sizeof *found.links);
        if (!found.links) {
            return op_no_memory(op);
        }
    }
    for (size_t i = 0; i < links->count; i++) {
        if (links->rows[i].origin[0]) {
            struct expr_link *link = &found.links[found.count++];
            memcpy(link->pool, links->rows[i].pool, sizeof link->pool);
            memcpy(link->origin, links->rows[i].origin, sizeof link->origin);
        }
    }
    *ret_links = found;
    return OK;
}
