/* writer.c - see writer.h. */
#include "pools/hdf5/writer.h"

#include "pools/base/must.h"
#include "pools/base/percent.h"
#include "pools/base/spool.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/reader.h"

#include <fcntl.h>
#include <stdlib.h>

/* Written pages are pushed to the disk in steps of this, so that a long body does not fill the page cache with dirty
 * pages that the next small commit's flush would wait for. */
#define PACE_BYTES (UINT64_C(4) << 20)
#define COPY_BYTES (UINT64_C(256) << 10)

/* A body on its way to its reserved place. */
struct placing {
    struct reservation *reservation; /* NULL = none yet */
    uint64_t at;                     /* written so far */
    uint64_t pushed;                 /* handed to the disk so far */
};

struct hdf5_writer {
    struct writer base;
    struct pool *pool; /* one reference */
    struct store *store;
    struct meta meta;
    const struct condition *condition;
    const struct fence *fence;
    struct spool *spool; /* state 1 */
    struct placing placing;
    struct utf8 utf8;
    bool is_text; /* so far */
    struct id id;
    char id_text[ID_MOST_BYTES + 1];
};

/* ---- placing ---- */
static enum err reserve(struct store *store, struct op *op, const struct id *id, enum version_kind kind,
                        uint64_t length, struct reservation **ret_reservation) {
    struct store_request request = {.action = STORE_RESERVE, .id = id, .kind = kind, .length = length};
    enum err err = store_submit(store, op, &request);
    if (!err) {
        *ret_reservation = request.reservation;
    }
    return err;
}

static enum err place(struct placing *placing, struct op *op, const void *bytes, size_t count) {
    const struct reservation *reservation = placing->reservation;
    uint64_t offset = reservation->placement.offset;
    MUST(count <= reservation->placement.length - placing->at);
    enum err err = h5_file_pwrite(reservation->file, op, offset + placing->at, bytes, count);
    if (err) {
        return err;
    }
    placing->at += count;
    if (placing->at - placing->pushed >= PACE_BYTES) {
        /* Advice: a file system that cannot follow it is only slower. */
        off_t from = (off_t)(offset + placing->pushed);
        off_t length = (off_t)(placing->at - placing->pushed);
        unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;
        (void)sync_file_range(reservation->file->fd, from, length, flags);
        placing->pushed = placing->at;
    }
    return OK;
}

/* Text turned out to be no text: the same bytes at a new place of the other type. */
static enum err replace_as_bytes(struct hdf5_writer *writer, struct op *op) {
    struct reservation *old = writer->placing.reservation;
    struct placing next = {0};
    enum err err =
        reserve(writer->store, op, &writer->id, VERSION_BYTES, old->placement.length, &next.reservation);
    AUTO(blob_unref) struct blob *piece = err ? NULL : blob_new(COPY_BYTES);
    if (!err && !piece) {
        err = op_no_memory(op);
    }
    while (!err && next.at < writer->placing.at) {
        uint64_t left = writer->placing.at - next.at;
        size_t count = left < piece->size ? (size_t)left : piece->size;
        err = op_check(op);
        if (!err) {
            err = h5_file_pread(old->file, op, old->placement.offset + next.at, piece->data, count);
        }
        if (!err) {
            err = place(&next, op, piece->data, count);
        }
    }
    if (err) {
        store_release_reservation(writer->store, next.reservation);
        return err;
    }
    store_release_reservation(writer->store, old);
    writer->placing = next;
    return OK;
}

/* A body that is gathered already. */
static enum err place_spool(struct hdf5_writer *writer, struct op *op, uint64_t length) {
    enum version_kind kind = writer->is_text ? VERSION_TEXT : VERSION_BYTES;
    enum err err = reserve(writer->store, op, &writer->id, kind, length, &writer->placing.reservation);
    AUTO(blob_unref) struct blob *piece = err ? NULL : blob_new(COPY_BYTES);
    if (!err && !piece) {
        err = op_no_memory(op);
    }
    while (!err && writer->placing.at < length) {
        size_t count = 0;
        err = op_check(op);
        if (!err) {
            err = spool_read(writer->spool, op, writer->placing.at, piece->data, piece->size, &count);
        }
        if (!err && !count) {
            err = op_fail(op, REASON_INTERNAL, "the spool ended before the body");
        }
        if (!err) {
            err = place(&writer->placing, op, piece->data, count);
        }
    }
    return err;
}

/* ---- the writer ---- */
static struct hdf5_writer *writer_of(struct writer *base) {
    return CONTAINER_OF(base, struct hdf5_writer, base);
}

static void look_for_text(struct hdf5_writer *writer, const void *bytes, size_t count) {
    writer->is_text =
        writer->is_text && !memchr(bytes, '\0', count) && utf8_step(&writer->utf8, bytes, count);
}

static enum err write_piece(struct writer *base, struct op *op, const void *bytes, size_t count) {
    struct hdf5_writer *writer = writer_of(base);
    if (!count) {
        return OK;
    }
    look_for_text(writer, bytes, count);
    if (writer->spool) {
        return spool_write(writer->spool, op, bytes, count);
    }
    struct placing *placing = &writer->placing;
    enum err err = OK;
    if (!placing->reservation) {
        /* Only now is it known whether the body begins as text. */
        enum version_kind kind = writer->is_text ? VERSION_TEXT : VERSION_BYTES;
        err = reserve(writer->store, op, &writer->id, kind, writer->meta.size_bytes, &placing->reservation);
    } else if (!writer->is_text && placing->reservation->placement.kind == VERSION_TEXT) {
        err = replace_as_bytes(writer, op);
    }
    return err ? err : place(placing, op, bytes, count);
}

static enum err publish(struct store *store, struct op *op, struct store_request *request,
                        struct commit_result *ret_result) {
    enum err err = hdf5_reader_prepare_condition(store, op, request->id, request->condition);
    if (!err) {
        err = store_submit(store, op, request);
    }
    if (!err) {
        version_meta(request->version, &ret_result->meta);
        ret_result->created = !request->existed;
        store_release_version(store, request->version);
    }
    return err;
}

static enum err commit(struct writer *base, struct op *op, uint64_t size_bytes,
                       const uint8_t sha256[SHA256_BYTES], struct commit_result *ret_result) {
    struct hdf5_writer *writer = writer_of(base);
    struct placing *placing = &writer->placing;
    bool was_text = writer->is_text;
    writer->is_text =
        was_text && utf8_done(&writer->utf8) && size_bytes > 0 && size_bytes <= DATASET_TEXT_MOST_BYTES;
    const void *bytes = writer->spool ? spool_ram(writer->spool) : NULL;
    enum err err = OK;
    if (writer->spool && !bytes) {
        err = place_spool(writer, op, size_bytes);
    } else if (placing->reservation && !writer->is_text &&
               placing->reservation->placement.kind == VERSION_TEXT) {
        err = replace_as_bytes(writer, op); /* it ended inside a character */
    }
    if (err) {
        return err;
    }
    writer->meta.size_bytes = size_bytes;
    writer->meta.has_sha256 = true;
    memcpy(writer->meta.sha256, sha256, SHA256_BYTES);
    struct store_request request = {.action = STORE_PUT,
                                    .id = &writer->id,
                                    .meta = &writer->meta,
                                    .condition = writer->condition,
                                    .fence = writer->fence,
                                    .kind = writer->is_text ? VERSION_TEXT : VERSION_BYTES,
                                    .length = size_bytes,
                                    .bytes = bytes,
                                    .reservation = placing->reservation};
    err = publish(writer->store, op, &request, ret_result);
    placing->reservation = request.reservation;
    return err;
}

static void close_writer(struct writer *base) {
    struct hdf5_writer *writer = writer_of(base);
    struct pool *pool = writer->pool;
    store_release_reservation(writer->store, writer->placing.reservation);
    spool_close(writer->spool);
    meta_fini(&writer->meta);
    free(writer);
    pool_unref(pool);
}

static const struct writer_ops writer_ops = {.write = write_piece, .commit = commit, .close = close_writer};

enum err hdf5_writer_open(struct pool *pool, struct store *store, struct spool_dir *spool_dir, struct op *op,
                          const struct id *id, const struct write_options *options,
                          struct writer **ret_writer) {
    enum err err = store_check_writable(store, op);
    if (err) {
        return err;
    }
    uint64_t length = options->meta.size_bytes;
    bool placed = length != SIZE_UNKNOWN && length > WRITER_SPOOL_BYTES;
    struct spool *spool = NULL;
    if (!placed) {
        err = spool_open(op, spool_dir, WRITER_SPOOL_BYTES, &spool);
        if (err) {
            return err;
        }
    }
    struct hdf5_writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        spool_close(spool);
        return op_no_memory(op);
    }
    writer->base.ops = &writer_ops;
    writer->pool = pool_ref(pool);
    writer->store = store;
    meta_copy(&writer->meta, &options->meta);
    writer->condition = options->condition;
    writer->fence = options->fence;
    writer->spool = spool;
    writer->is_text = length == SIZE_UNKNOWN || length <= DATASET_TEXT_MOST_BYTES;
    memcpy(writer->id_text, id->text, id->bytes);
    writer->id = (struct id){.text = writer->id_text, .bytes = id->bytes, .hash = id->hash};
    *ret_writer = &writer->base;
    return OK;
}

enum err hdf5_writer_put(struct store *store, struct op *op, const struct id *id, const struct entry *entry,
                         const struct condition *condition, const struct fence *fence,
                         struct commit_result *ret_result) {
    const struct blob *body = entry->body;
    struct placing placing = {0};
    enum version_kind kind = dataset_is_text(body->data, body->size) ? VERSION_TEXT : VERSION_BYTES;
    enum err err = store_check_writable(store, op);
    if (!err && body->size > WRITER_SPOOL_BYTES) {
        err = reserve(store, op, id, kind, body->size, &placing.reservation);
        for (size_t at = 0; !err && at < body->size; at += COPY_BYTES) {
            size_t left = body->size - at;
            err = op_check(op);
            if (!err) {
                err = place(&placing, op, body->data + at, left < COPY_BYTES ? left : COPY_BYTES);
            }
        }
    }
    struct store_request request = {.action = STORE_PUT,
                                    .id = id,
                                    .meta = &entry->meta,
                                    .condition = condition,
                                    .fence = fence,
                                    .kind = kind,
                                    .length = body->size,
                                    .bytes = body->data,
                                    .reservation = placing.reservation};
    if (!err) {
        err = publish(store, op, &request, ret_result);
    }
    store_release_reservation(store, request.reservation);
    return err;
}
