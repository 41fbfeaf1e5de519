/* chain.c - one client's read. See chain.h.
 *
 * States of a read
 *   1 FRESH    nothing asked yet. A read that is alone (one tier, or local-only) or whose own tier is local looks there itself,
 *              on its own lane: most reads that come here end so, without a flight
 *   2 WAITING  has a ticket of tier 0's flight
 *   3 PLACED   a part is wanted and the tier that has the entry is known; nothing is open yet (chain_part.c)
 *   4 READY    has the answer: a whole entry, a shared stream, or a reader of its own
 *   5 FAILED   has the failure, absence included
 * A DIRECT answer sends a waiting read to a pool; when the entry has gone from there meanwhile, the read begins anew, a few times.
 */
#include "pools/chain/chain_read.h"

#include "pools/base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BEGINNINGS 4

enum err chain_read_fail(struct chain_read *read, struct op *op, enum err err) {
    read->state = READ_FAILED;
    read->fault = op->fault;
    return err;
}

static void reset_reports(struct chain_read *read) {
    for (unsigned i = 0; i < read->tiers->count; i++) {
        read->reports[i] = (struct tier_report){.result = TIER_UNASKED};
        memcpy(read->reports[i].nickname, read->tiers->tier[i].pool->nickname, NICKNAME_BYTES);
    }
}

enum err chain_read_enter(struct chain_read *read, struct op *op, bool create) {
    read->ticket = (struct flight_ticket){.waker = read->waker};
    struct flight_ask ask = {.wants_copy = read->wants_copy, .create = create, .refresh = read->refresh};
    enum err err = flight_enter(read->flights, op, read->tiers, &read->id, &ask, &read->ticket);
    if (!err) {
        read->state = READ_WAITING;
    }
    return err;
}

enum err chain_read_start(struct flights *flights, struct op *op, struct tiers *tiers, const struct id *id,
                          const struct chain_read_options *options, struct waker waker,
                          struct chain_read **ret_read) {
    struct chain_read *read = calloc(1, sizeof *read + id->bytes + 1);
    if (!read) {
        return op_no_memory(op);
    }
    memcpy(read->id_text, id->text, id->bytes);
    read->id = (struct id){.text = read->id_text, .bytes = id->bytes, .hash = id->hash};
    read->flights = flights;
    read->tiers = tiers_ref(tiers);
    read->waker = waker;
    read->is_alone = tiers->count == 1 || (options && options->local_only);
    read->wants_copy = !(options && options->no_store);
    read->refresh = options && options->refresh;
    read->wants_part = options && options->wants_part;
    read->part_over_bytes = options ? options->part_over_bytes : 0;
    read->end = UINT64_MAX;
    read->reports = calloc(tiers->count, sizeof *read->reports);
    enum err err = read->reports ? OK : op_no_memory(op);
    if (err) {
        goto fail;
    }
    reset_reports(read);
    if (!read->is_alone && !read->wants_part) {
        /* A remote head is never looked at from here: its flight does that, once for all readers. */
        bool create = tiers->tier[0].pool->capabilities.remote || read->refresh;
        err = chain_read_enter(read, op, create);
        if (err && create) {
            goto fail;
        }
    }
    *ret_read = read;
    return OK;
fail:
    chain_read_close(read);
    return err;
}

/* ---- a pool read directly ---- */

/* A small body is completed and verified before the answer. */
static enum err read_whole(struct chain_read *read, struct op *op, struct reader *reader) {
    AUTO(blob_unref) struct blob *blob = blob_new((size_t)reader->meta.size_bytes);
    if (!blob) {
        return op_no_memory(op);
    }
    size_t at = 0;
    while (at < blob->size) {
        size_t count = 0;
        enum err err = reader_read(reader, op, blob->data + at, blob->size - at, &count);
        if (err) {
            return err;
        }
        if (!count) {
            return op_fail(op, REASON_BAD_ANSWER, "the body ended before its length");
        }
        at += count;
    }
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(blob->data, blob->size, sha256);
    if (reader->meta.has_sha256 && memcmp(sha256, reader->meta.sha256, SHA256_BYTES) != 0) {
        return reader->meta.hold == HOLD_CACHED
                   ? op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool's cached copy is damaged")
                   : op_fail(op, REASON_CORRUPT, "the body does not match the digest stored with it");
    }
    struct meta meta;
    meta_copy(&meta, &reader->meta);
    meta.has_sha256 = true;
    memcpy(meta.sha256, sha256, SHA256_BYTES);
    read->entry = entry_new(&meta, blob);
    meta_fini(&meta);
    return read->entry ? OK : op_no_memory(op);
}

static enum err look(struct chain_read *read, struct op *op, struct pool *pool) {
    if (pool->capabilities.never_blocks && pool_peek(pool, &read->id, &read->entry) == OK) {
        meta_copy(&read->meta, &read->entry->meta);
        return OK;
    }
    AUTO(reader_close) struct reader *reader = NULL;
    enum err err = pool_open_reader(pool, op, &read->id, NULL, &reader);
    if (err) {
        return err;
    }
    if (reader->meta.size_bytes > flights_entry_most_bytes(read->flights)) {
        /* A local kind verifies what it reads; what comes over a network is verified on its way to the client. */
        bool is_promised = pool->capabilities.remote && reader->meta.has_sha256;
        read->digest = is_promised ? digest_new() : NULL;
        if (is_promised && !read->digest) {
            return op_no_memory(op);
        }
        meta_copy(&read->meta, &reader->meta);
        read->reader = STEAL(reader);
        return OK;
    }
    err = read_whole(read, op, reader);
    if (!err) {
        meta_copy(&read->meta, &read->entry->meta);
    } else if (!op->fault.pool[0]) {
        memcpy(op->fault.pool, pool->nickname, sizeof op->fault.pool);
    }
    return err;
}

/* The head of a chain, before it has a flight. Asked for the metadata first: a miss here leads to the flight's look, which comes after its
 * fence and is the one that counts. Looking twice does not show as two misses in the pool's statistics, unless the
 * entry vanishes in between. */
static enum err look_ahead(struct chain_read *read, struct op *op, struct pool *pool) {
    struct meta meta;
    enum err err = chain_stat_tier(op, pool, &read->id, &meta);
    if (err) {
        return err;
    }
    meta_fini(&meta);
    return look(read, op, pool);
}

/* A refresh that may not go further than a pool with a copy. */
static enum err forget_look(struct chain_read *read, struct op *op) {
    entry_unref(STEAL(read->entry));
    reader_close(STEAL(read->reader));
    digest_free(STEAL(read->digest));
    meta_fini(&read->meta);
    return chain_read_fail(
        read, op, op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool itself has only a cached copy of the entry"));
}

bool chain_read_passes_over(const struct chain_read *read, unsigned tier, const struct meta *meta) {
    return read->refresh && tier + 1 < read->tiers->count && meta->hold == HOLD_CACHED;
}

static enum err begin(struct chain_read *read, struct op *op) {
    if (read->beginnings++ == MOST_BEGINNINGS) {
        return chain_read_fail(read, op,
                               op_fail(op, REASON_BUSY, "the entry comes and goes too fast to be read"));
    }
    reset_reports(read);
    if (read->wants_part && chain_read_place(read, op)) {
        return OK;
    }
    reset_reports(read);
    struct tier_report *own = &read->reports[0];
    struct pool *head = read->tiers->tier[0].pool;
    enum err err = read->is_alone  ? look(read, op, head)
                   : read->refresh ? ERR_NOT_FOUND /* its flight judges what it finds there */
                                   : look_ahead(read, op, head);
    if (!err && chain_read_passes_over(read, 0, &read->meta)) {
        own->result = TIER_PASSED;
        return forget_look(read, op);
    }
    if (!err) {
        own->result = TIER_HIT;
        read->state = READ_READY;
        return OK;
    }
    if (read->is_alone) {
        own->result = err == ERR_NOT_FOUND ? TIER_MISS : TIER_FAILED;
        own->kind = err == ERR_NOT_FOUND ? OK : err;
        return chain_read_fail(read, op, err);
    }
    err = op_check(op); /* the client's own end is no failure of the tier */
    if (!err) {
        err = chain_read_enter(read, op, true);
    }
    return err ? chain_read_fail(read, op, err) : OK;
}

/* ---- an answer from a flight ---- */

static void take_stream(struct chain_read *read, struct stream *take_stream) {
    read->stream = take_stream;
    read->entry = stream_entry(take_stream);
    stream_meta(take_stream, &read->meta);
    if (!read->entry) {
        read->listener = (struct stream_listener){.waker = read->waker};
        stream_listen(take_stream, &read->listener);
    }
    read->state = READ_READY;
}

enum err chain_read_take_answer(struct chain_read *read, struct op *op, struct flight_answer *answer) {
    flight_report(read->flights, &read->ticket, read->reports, read->tiers->count);
    flight_leave(read->flights, &read->ticket);
    switch (answer->kind) {
    case FLIGHT_STREAM:
        take_stream(read, answer->stream);
        return OK;
    case FLIGHT_ABSENT:
        return chain_read_fail(read, op,
                               op_fail(op, REASON_ENTRY_NOT_FOUND, "no pool of the chain has the entry"));
    case FLIGHT_FAILED:
        return chain_read_fail(read, op, op_adopt(op, &answer->fault));
    case FLIGHT_DIRECT:
        break;
    }
    pool_unref(read->direct);
    read->direct = answer->pool;
    enum err err = look(read, op, read->direct);
    read->state = err ? READ_FRESH : READ_READY; /* gone again, or failing: a new walk tells */
    if (err) {
        err = op_check(op);
    }
    return err ? chain_read_fail(read, op, err) : OK;
}

enum err chain_read_poll(struct chain_read *read, struct op *op) {
    for (;;) {
        struct flight_answer answer;
        enum err own_end = OK;
        enum err err = OK;
        switch (read->state) {
        case READ_PLACED:
        case READ_READY:
            return OK;
        case READ_FAILED:
            return op_adopt(op, &read->fault);
        case READ_FRESH:
            err = begin(read, op);
            break;
        case READ_WAITING:
            err = flight_poll(read->flights, &read->ticket, &answer);
            if (!err) {
                err = chain_read_take_answer(read, op, &answer);
            } else if ((own_end = op_check(op)) != OK) {
                err = chain_read_fail(read, op, own_end); /* each waiter keeps its own deadline */
            }
            break;
        }
        if (err) {
            return err;
        }
    }
}

/* ---- the answer ---- */

const struct meta *chain_read_meta(const struct chain_read *read) {
    MUST(read->state == READ_READY || read->state == READ_PLACED);
    return &read->meta;
}

struct entry *chain_read_entry(const struct chain_read *read) {
    return read->entry;
}

unsigned chain_read_reports(const struct chain_read *read, const struct tier_report **ret_reports) {
    *ret_reports = read->reports;
    return read->tiers->count;
}

/* Reads over what lies before the wanted part; the caller's buffer is scratch. */
static enum err skip_ahead(struct chain_read *read, struct op *op, void *scratch, size_t cap) {
    while (read->skip_bytes) {
        size_t count = 0;
        size_t most = read->skip_bytes < cap ? (size_t)read->skip_bytes : cap;
        enum err err = reader_read(read->reader, op, scratch, most, &count);
        if (err) {
            return err;
        }
        if (!count) {
            return op_fail(op, REASON_BAD_ANSWER, "the body ended before the wanted part");
        }
        read->skip_bytes -= count;
    }
    return OK;
}

/* The header has promised a digest. Whoever has the last piece has the answer, so that piece is kept back when the digest does not hold. */
static enum err keep_promise(struct chain_read *read, struct op *op, const void *bytes, size_t count) {
    if (!read->digest) {
        return OK;
    }
    digest_update(read->digest, bytes, count);
    if (count && read->offset + count < read->meta.size_bytes) {
        return OK;
    }
    uint8_t sha256[SHA256_BYTES];
    digest_final(read->digest, sha256);
    digest_free(STEAL(read->digest));
    return memcmp(sha256, read->meta.sha256, SHA256_BYTES) == 0
               ? OK
               : op_fail(op, REASON_CORRUPT, "the body does not match the digest stored with it");
}

bool chain_read_has_now(const struct chain_read *read) {
    return read->reader && !read->skip_bytes && read->reader->ops->read_now;
}

enum err chain_read_next_now(struct chain_read *read, void *ret_bytes, size_t cap, size_t *ret_count) {
    uint64_t left = read->end - read->offset;
    if (!left || !chain_read_has_now(read)) {
        return ERR_AGAIN;
    }
    size_t most = left < cap ? (size_t)left : cap;
    enum err err = reader_read_now(read->reader, ret_bytes, most, ret_count);
    if (!err) {
        read->offset += *ret_count;
    }
    return err;
}

enum err chain_read_map(struct chain_read *read, size_t bytes, const void **ret_bytes) {
    uint64_t end = read->end < read->meta.size_bytes ? read->end : read->meta.size_bytes;
    if (!read->reader || read->skip_bytes || !bytes || end - read->offset != bytes) {
        return ERR_AGAIN;
    }
    return reader_map(read->reader, bytes, ret_bytes);
}

enum err chain_read_next(struct chain_read *read, struct op *op, void *ret_bytes, size_t cap,
                         size_t *ret_count) {
    MUST(read->state == READ_READY && cap > 0);
    enum err err = OK;
    size_t count = 0;
    if (read->end - read->offset < cap) {
        cap = (size_t)(read->end - read->offset);
    }
    if (!cap) { /* the wanted part is complete */
        *ret_count = 0;
        return OK;
    }
    if (read->entry) {
        size_t left = read->entry->body->size - (size_t)read->offset;
        count = left < cap ? left : cap;
        if (count) {
            memcpy(ret_bytes, read->entry->body->data + read->offset, count);
        }
    } else if (read->stream) {
        err = stream_read(read->stream, op, read->offset, ret_bytes, cap, &count);
    } else {
        err = skip_ahead(read, op, ret_bytes, cap);
        err = err ? err : reader_read(read->reader, op, ret_bytes, cap, &count);
        err = err ? err : keep_promise(read, op, ret_bytes, count);
    }
    if (!err) {
        read->offset += count;
        *ret_count = count;
    }
    return err;
}

void chain_read_close(struct chain_read *read) {
    if (!read) {
        return;
    }
    flight_leave(read->flights, &read->ticket);
    if (read->stream) {
        stream_unlisten(read->stream, &read->listener);
    }
    stream_unref(read->stream);
    reader_close(read->reader);
    digest_free(read->digest);
    entry_unref(read->entry);
    if (read->state == READ_READY || read->state == READ_PLACED) {
        meta_fini(&read->meta);
    }
    pool_unref(read->direct);
    tiers_unref(read->tiers);
    free(read->reports);
    free(read);
}
