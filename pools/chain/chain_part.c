/* chain_part.c - a read of which only a part is wanted. See chain.h.
 *
 * A part of a large entry comes straight from the tier that has it: to fetch and keep the whole would cost more than it saves
 * (design.md 13.15). So before such a read begins as usual, the tiers are asked for the metadata, from the head on. What the head itself
 * has, and what is larger than the caller's limit further down, is *placed*: known, and not open. Everything else, failures
 * and absence included, is left to the usual read, which finds the right words for it.
 */
#include "pools/base/must.h"
#include "pools/chain/chain_read.h"

#include <string.h>

/* The tiers above were asked in vain and get no copy. */
static void settle_place(struct chain_read *read, unsigned place) {
    for (unsigned i = 0; i < place; i++) {
        if (read->reports[i].result == TIER_MISS) {
            read->reports[i].result = TIER_PARTIAL;
        }
    }
    read->reports[place].result = TIER_HIT;
    read->place = place;
    read->state = READ_PLACED;
}

bool chain_read_place(struct chain_read *read, struct op *op) {
    unsigned count = read->is_alone ? 1 : read->tiers->count;
    for (unsigned i = 0; i < count; i++) {
        const struct tier *tier = &read->tiers->tier[i];
        struct meta meta;
        enum err err = chain_stat_tier(op, tier->pool, &read->id, &meta);
        if (!err && chain_read_passes_over(read, i, &meta)) {
            meta_fini(&meta);
            read->reports[i].result = TIER_PASSED;
            continue;
        }
        if (!err) {
            bool is_large = meta.size_bytes != SIZE_UNKNOWN && meta.size_bytes > read->part_over_bytes;
            if (i > 0 && !is_large) {
                meta_fini(&meta);
                return false;
            }
            read->meta = meta;
            settle_place(read, i);
            return true;
        }
        read->reports[i].result = err == ERR_NOT_FOUND ? TIER_MISS : TIER_FAILED;
        read->reports[i].kind = err == ERR_NOT_FOUND ? OK : err;
        if (err != ERR_NOT_FOUND && (tier->fail_on_error || op_check(op))) {
            return false;
        }
    }
    return false;
}

static bool is_same(const struct meta *a, const struct meta *b) {
    char etag_a[ETAG_BYTES];
    char etag_b[ETAG_BYTES];
    meta_etag(a, etag_a);
    meta_etag(b, etag_b);
    return a->size_bytes == b->size_bytes && strcmp(etag_a, etag_b) == 0;
}

static void begin_anew(struct chain_read *read) {
    meta_fini(&read->meta);
    read->state = READ_FRESH;
}

bool chain_read_is_placed(const struct chain_read *read) {
    return read->state == READ_PLACED;
}

enum err chain_read_take_part(struct chain_read *read, struct op *op, uint64_t offset, uint64_t bytes) {
    MUST(read->state == READ_READY || read->state == READ_PLACED);
    if (read->state == READ_READY) {
        read->skip_bytes = read->reader ? offset : 0;
        digest_free(STEAL(read->digest)); /* it tells of the whole */
    } else {
        struct pool *pool = read->tiers->tier[read->place].pool;
        bool ranges = pool->capabilities.ranges;
        struct read_options options = {.offset = ranges ? offset : 0, .length = ranges ? bytes : UINT64_MAX};
        AUTO(reader_close) struct reader *reader = NULL;
        enum err err = pool_open_reader(pool, op, &read->id, &options, &reader);
        bool has_changed =
            err ? err == ERR_NOT_FOUND || err == ERR_RANGE : !is_same(&reader->meta, &read->meta);
        if (has_changed) {
            begin_anew(read);
            return ERR_AGAIN;
        }
        if (err) {
            meta_fini(&read->meta);
            return chain_read_fail(read, op, err);
        }
        read->reader = STEAL(reader);
        read->skip_bytes = ranges ? 0 : offset;
        read->state = READ_READY;
    }
    read->offset = offset;
    read->end = offset + bytes;
    return OK;
}

void chain_read_take_whole(struct chain_read *read) {
    MUST(read->state == READ_PLACED);
    read->wants_part = false;
    begin_anew(read);
}
