/* reader.c - see reader.h. */
#include "pools/hdf5/reader.h"

#include "pools/base/log.h"
#include "pools/base/must.h"
#include "pools/hdf5/dataset.h"

#include <stdlib.h>
#include <sys/uio.h>

#define VERIFY_PIECE_BYTES (UINT64_C(256) << 10)
/* Below it, the lane's part of a mapping costs more than the copy that it saves. */
#define MAP_LEAST_BYTES READER_WHOLE_BYTES

struct hdf5_reader {
    struct reader base;
    struct pool *pool; /* one reference */
    struct store *store;
    struct version *version; /* one reference: its space is not reused */
    struct blob *whole;      /* the body when it is in memory, else NULL */
    struct digest *digest;   /* of what went by, when this read compares it */
    struct mapping *mapping; /* of what somebody sends from there */
    bool was_read;           /* before: once more is likely */
    uint64_t at, end;        /* in the body */
    size_t id_bytes;
    char id[];
};

static struct id reader_id(const struct hdf5_reader *reader) {
    return id_trusted(reader->id, reader->id_bytes);
}

/* ---- is it intact? ---- */
/* The body is right, whatever becomes of the note: failing that, the digest is found again at another opening. */
static void learn(struct hdf5_reader *reader, const uint8_t sha256[SHA256_BYTES], bool into_file) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = reader_id(reader);
    struct store_request request = {.request = {.urgent = !into_file},
                                    .action = STORE_LEARN,
                                    .id = into_file ? &id : NULL,
                                    .version = reader->version,
                                    .sha256 = sha256};
    (void)store_submit(reader->store, &op, &request);
}

/* As a scrub does it: from now on nothing of the version is served, whatever part is asked for. */
static void quarantine(struct store *store, const struct id *id, struct version *version) {
    if (atomic_load(&version->damaged)) {
        return;
    }
    struct op op;
    op_init(&op, 0, 0);
    struct store_request request = {
        .request = {.urgent = true}, .action = STORE_QUARANTINE, .id = id, .version = version};
    if (store_submit(store, &op, &request) == OK && request.existed) {
        log_line(LOG_WARNING, "hdf5", "the body of '%s' does not match its digest: it is not served any more",
                 id->text);
    }
}

/* A damaged copy that can be had again goes. One that cannot be removed, in a file that is only read, counts as absent all the same. */
static void drop_copy(struct store *store, const struct id *id, struct version *version) {
    struct op op;
    op_init(&op, 0, 0);
    struct store_request request = {.action = STORE_REMOVE, .id = id, .version = version};
    if (store_submit(store, &op, &request)) {
        quarantine(store, id, version);
    }
}

static enum err refuse_damaged(struct store *store, struct op *op, const struct id *id,
                               struct version *version) {
    if (version->hold == HOLD_CACHED) {
        drop_copy(store, id, version);
        return op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool's copy was damaged and has been dropped");
    }
    quarantine(store, id, version);
    return op_fail(op, REASON_CORRUPT, "the stored body does not match its digest");
}

/* Judges a whole body by its digest. ERR_NOT_FOUND = it was a cached copy and is gone. */
static enum err judge(struct hdf5_reader *reader, struct op *op, const uint8_t sha256[SHA256_BYTES]) {
    struct version *version = reader->version;
    if (!version->has_sha256) {
        learn(reader, sha256, false);
        return OK;
    }
    if (memcmp(version->sha256, sha256, SHA256_BYTES) == 0) {
        atomic_store(&version->verified, true);
        return OK;
    }
    if (version->hold != HOLD_CACHED && !version->file->alone) {
        learn(reader, sha256, true);
        return OK;
    }
    struct id id = reader_id(reader);
    return refuse_damaged(reader->store, op, &id, version);
}

static enum err judge_whole(struct hdf5_reader *reader, struct op *op) {
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(reader->whole->data, reader->whole->size, sha256);
    return judge(reader, op, sha256);
}

/* In a file of others the digest must be right before it is told, and one that was told and forgotten must be told again: the body is
 * read once for it alone. */
static enum err judge_ahead(struct hdf5_reader *reader, struct op *op) {
    AUTO(digest_free) struct digest *digest = digest_new();
    AUTO(blob_unref) struct blob *piece = blob_new(VERIFY_PIECE_BYTES);
    if (!digest || !piece) {
        return op_no_memory(op);
    }
    const struct version *version = reader->version;
    uint64_t at = 0;
    while (at < version->length) {
        size_t count = version->length - at < piece->size ? (size_t)(version->length - at) : piece->size;
        enum err err = op_check(op);
        if (!err) {
            err = h5_file_pread(version->file, op, version->offset + at, piece->data, count);
        }
        if (err) {
            return err;
        }
        digest_update(digest, piece->data, count);
        at += count;
    }
    uint8_t sha256[SHA256_BYTES];
    digest_final(digest, sha256);
    return judge(reader, op, sha256);
}

static enum err read_whole(struct hdf5_reader *reader, struct op *op) {
    const struct version *version = reader->version;
    if (!version_in_one_piece(version)) {
        return dataset_read(version, op, &reader->whole);
    }
    reader->whole = blob_new((size_t)version->length);
    return reader->whole
               ? h5_file_pread(version->file, op, version->offset, reader->whole->data, reader->whole->size)
               : op_no_memory(op);
}

/* What has to happen before the first byte. */
static enum err prepare(struct hdf5_reader *reader, struct op *op, bool all) {
    struct version *version = reader->version;
    if (atomic_load(&version->damaged)) { /* a scrub or another read found that */
        struct id id = reader_id(reader);
        return refuse_damaged(reader->store, op, &id, version);
    }
    bool verified = atomic_load(&version->verified);
    bool one_piece = version_in_one_piece(version);
    bool small = version->length <= READER_WHOLE_BYTES;
    if (!one_piece || (!verified && small)) {
        enum err err = read_whole(reader, op);
        return err || verified ? err : judge_whole(reader, op);
    }
    if (verified || (!version->has_sha256 && !version->owes_digest)) {
        return OK;
    }
    if (!version->has_sha256 || !version->file->alone) {
        return judge_ahead(reader, op);
    }
    if (all) {
        reader->digest = digest_new();
        return reader->digest ? OK : op_no_memory(op);
    }
    return OK;
}

/* ---- the reader ---- */
static struct hdf5_reader *reader_of(struct reader *base) {
    return CONTAINER_OF(base, struct hdf5_reader, base);
}

static enum err finish_digest(struct hdf5_reader *reader, struct op *op) {
    uint8_t sha256[SHA256_BYTES];
    digest_final(reader->digest, sha256);
    digest_free(reader->digest);
    reader->digest = NULL;
    /* Bytes are out already: too late to call a damaged copy absent. */
    return judge(reader, op, sha256)
               ? op_fail(op, REASON_CORRUPT, "the stored body does not match its digest")
               : OK;
}

static enum err read_piece(struct reader *base, struct op *op, void *ret_bytes, size_t cap,
                           size_t *ret_count) {
    struct hdf5_reader *reader = reader_of(base);
    uint64_t left = reader->end - reader->at;
    size_t count = left < cap ? (size_t)left : cap;
    if (count && reader->whole) {
        memcpy(ret_bytes, reader->whole->data + reader->at, count);
    } else if (count) {
        const struct version *version = reader->version;
        enum err err = h5_file_pread(version->file, op, version->offset + reader->at, ret_bytes, count);
        if (err) {
            return err;
        }
    }
    reader->at += count;
    if (reader->digest) {
        digest_update(reader->digest, ret_bytes, count);
        enum err err = reader->at == reader->end ? finish_digest(reader, op) : OK;
        if (err) {
            return err; /* with the last piece, so that nobody takes the body for whole */
        }
    }
    *ret_count = count;
    return OK;
}

/* What is in the page cache. Not while a digest is being made: comparing it may end in a change of the file. */
static enum err read_cached_piece(struct reader *base, void *ret_bytes, size_t cap, size_t *ret_count) {
    struct hdf5_reader *reader = reader_of(base);
    uint64_t left = reader->end - reader->at;
    size_t count = left < cap ? (size_t)left : cap;
    if (!count || reader->whole || reader->digest) {
        return ERR_AGAIN;
    }
    const struct version *version = reader->version;
    struct iovec vector = {.iov_base = ret_bytes, .iov_len = count};
    ssize_t got = preadv2(version->file->fd, &vector, 1, (off_t)(version->offset + reader->at), RWF_NOWAIT);
    if (got <= 0) {
        return ERR_AGAIN;
    }
    reader->at += (uint64_t)got;
    *ret_count = (size_t)got;
    return OK;
}

/* The version is held until the reader is closed, so its space is not written to while somebody sends from it. Once read is not enough: a
 * mapping that nobody uses again costs more than it saves. */
static enum err map_piece(struct reader *base, size_t count, const void **ret_bytes) {
    struct hdf5_reader *reader = reader_of(base);
    const struct version *version = reader->version;
    bool is_intact = !version->has_sha256 || atomic_load(&version->verified);
    bool is_worth_it = reader->was_read && count >= MAP_LEAST_BYTES;
    if (!reader->pool || !is_intact || !is_worth_it || reader->whole || reader->digest || reader->mapping ||
        count > reader->end - reader->at) {
        return ERR_AGAIN;
    }
    return mapping_take(&version->file->mappings, version->file->fd, version->offset + reader->at, count,
                        &reader->mapping, ret_bytes);
}

static void close_reader(struct reader *base) {
    struct hdf5_reader *reader = reader_of(base);
    struct pool *pool = reader->pool;
    meta_fini(&reader->base.meta);
    blob_unref(reader->whole);
    digest_free(reader->digest);
    if (reader->version) {
        mapping_release(&reader->version->file->mappings, reader->mapping);
        store_release_version(reader->store, reader->version);
    }
    free(reader);
    pool_unref(pool);
}

static const struct reader_ops reader_ops = {
    .read = read_piece, .close = close_reader, .read_now = read_cached_piece, .map = map_piece};

static enum err open_on(struct hdf5_reader *reader, struct op *op, const struct id *id,
                        const struct read_options *options) {
    enum err err = store_get(reader->store, op, id, &reader->version);
    if (err) {
        return err;
    }
    uint64_t length = reader->version->length;
    if (options->offset > 0 && options->offset >= length) {
        return op_fail(op, REASON_RANGE, "the range begins at or behind the end of the entry");
    }
    uint64_t wanted = options->length < length - options->offset ? options->length : length - options->offset;
    err = prepare(reader, op, wanted == length);
    if (err) {
        return err;
    }
    if (reader->whole && reader->whole->size < options->offset + wanted) {
        return op_fail(op, REASON_CORRUPT, "the entry is shorter than the file says");
    }
    reader->at = options->offset;
    reader->end = options->offset + wanted;
    version_meta(reader->version, &reader->base.meta);
    reader->was_read = atomic_exchange_explicit(&reader->version->touched, true, memory_order_relaxed);
    return OK;
}

enum err hdf5_reader_open(struct pool *pool, struct store *store, struct op *op, const struct id *id,
                          const struct read_options *options, struct reader **ret_reader) {
    struct hdf5_reader *reader = calloc(1, sizeof *reader + id->bytes + 1);
    if (!reader) {
        return op_no_memory(op);
    }
    reader->base.ops = &reader_ops;
    reader->pool = pool ? pool_ref(pool) : NULL;
    reader->store = store;
    reader->id_bytes = id->bytes;
    memcpy(reader->id, id->text, id->bytes);
    enum err err = open_on(reader, op, id, options);
    if (err) {
        close_reader(&reader->base);
        return err;
    }
    *ret_reader = &reader->base;
    return OK;
}

enum err hdf5_reader_verify(struct store *store, struct op *op, const struct id *id) {
    struct version *version = NULL;
    enum err err = store_get(store, op, id, &version);
    if (err) {
        return err;
    }
    bool trusted = version_trusts_digest(version);
    err = atomic_load(&version->damaged) ? refuse_damaged(store, op, id, version) : OK;
    store_release_version(store, version);
    if (err || trusted) {
        return err;
    }
    struct read_options whole = {.length = UINT64_MAX};
    struct reader *reader = NULL;
    err = hdf5_reader_open(NULL, store, op, id, &whole, &reader);
    if (!err) {
        reader_close(reader);
    }
    return err;
}

enum err hdf5_reader_prepare_condition(struct store *store, struct op *op, const struct id *id,
                                       const struct condition *condition) {
    if (!condition || (condition->kind != CONDITION_MATCH && condition->kind != CONDITION_NONE_MATCH)) {
        return OK;
    }
    enum err err = hdf5_reader_verify(store, op, id);
    return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? OK : err;
}

static enum err peek_version(const struct version *version, struct entry **ret_entry) {
    if (!version_in_one_piece(version) || version->length > READER_PEEK_BYTES ||
        !atomic_load(&version->verified)) {
        return ERR_AGAIN;
    }
    AUTO(blob_unref) struct blob *body = blob_new((size_t)version->length);
    if (!body) {
        return ERR_AGAIN;
    }
    struct iovec vector = {.iov_base = body->data, .iov_len = body->size};
    if (body->size &&
        preadv2(version->file->fd, &vector, 1, (off_t)version->offset, RWF_NOWAIT) != (ssize_t)body->size) {
        return ERR_AGAIN; /* not in the page cache, or the file system cannot tell */
    }
    struct meta meta;
    version_meta(version, &meta);
    struct entry *entry = entry_new(&meta, body);
    meta_fini(&meta);
    *ret_entry = entry;
    return entry ? OK : ERR_AGAIN;
}

enum err hdf5_reader_peek(struct store *store, const struct id *id, struct entry **ret_entry) {
    bool complete = atomic_load(&store->names_complete); /* before the look: a miss is then a miss */
    if (store_is_unreadable(store)) {
        return ERR_AGAIN;
    }
    struct sight sight;
    index_look_hot(&store->index, id, &sight, ret_entry);
    struct version *version = sight.version;
    if (!version) {
        return complete && !sight.is_there ? ERR_NOT_FOUND : ERR_AGAIN;
    }
    enum err err = OK;
    if (!*ret_entry) {
        err = peek_version(version, ret_entry);
        if (!err) {
            index_keep_hot(&store->index, id, version, *ret_entry);
        }
    }
    if (err == OK && !atomic_load_explicit(&version->touched, memory_order_relaxed)) {
        atomic_store_explicit(&version->touched, true, memory_order_relaxed);
    }
    store_release_version(store, version);
    return err;
}
