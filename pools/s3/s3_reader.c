/* s3_reader.c - reading an object and its metadata.
 *
 * Bodies up to 256 KiB are taken whole while opening: a break on the way is then retried, and the connection is free again
 * before the first byte is read. Larger ones are pulled from the connection as they are read.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define INLINE_MOST_BYTES ((size_t)256 * 1024)

struct s3_reader {
    struct reader reader;
    struct s3_answer answer;
    uint64_t expected_bytes; /* of this body; UINT64_MAX = unknown */
    uint64_t read_bytes;
};

static enum err s3_reader_read(struct reader *reader, struct op *op, void *ret_bytes, size_t cap,
                               size_t *ret_count) {
    struct s3_reader *s3_reader = CONTAINER_OF(reader, struct s3_reader, reader);
    size_t count = 0;
    if (s3_reader->answer.collected) {
        count = s3_reader->answer.body.size - (size_t)s3_reader->read_bytes;
        count = count > cap ? cap : count;
        if (count > 0) {
            memcpy(ret_bytes, s3_reader->answer.body.data + s3_reader->read_bytes, count);
        }
    } else {
        enum err err = http_exchange_read(s3_reader->answer.exchange, op, ret_bytes, cap, &count);
        if (err != OK) {
            return err;
        }
    }
    s3_reader->read_bytes += count;
    uint64_t expected = s3_reader->expected_bytes;
    if (expected != UINT64_MAX &&
        (s3_reader->read_bytes > expected || (count == 0 && s3_reader->read_bytes < expected))) {
        return op_fail(op, REASON_BAD_ANSWER, "the object is not as long as the store said");
    }
    *ret_count = count;
    return OK;
}

static void s3_reader_close(struct reader *reader) {
    struct s3_reader *s3_reader = CONTAINER_OF(reader, struct s3_reader, reader);
    s3_answer_fini(&s3_reader->answer);
    meta_fini(&reader->meta);
    free(s3_reader);
}

static const struct reader_ops s3_reader_ops = {.read = s3_reader_read, .close = s3_reader_close};

/* Stores refuse every range of an empty object, also the one from its first byte. */
static enum err read_empty(struct s3_pool *s3, struct op *op, const char *name, struct s3_answer *answer) {
    struct s3_call call = {.method = "GET", .name = name, .collect_most_bytes = INLINE_MOST_BYTES};
    enum err err = s3_call_send(s3, op, &call, answer);
    if (err == OK && (!answer->collected || answer->body.size != 0)) {
        err = op_fail(op, REASON_BAD_ANSWER, "the store refused a range from the first byte of the object");
    }
    return err;
}

/* Whether a 206 holds the bytes that were asked for. */
static bool range_fits(const struct http_exchange *exchange, uint64_t offset) {
    char start[48];
    snprintf(start, sizeof start, "bytes %llu-", (unsigned long long)offset);
    const char *range = http_exchange_field(exchange, "Content-Range");
    return http_exchange_status(exchange) == 206 && range && strncmp(range, start, strlen(start)) == 0;
}

/* A body that ends where the connection does cannot be told from one that was cut off (RFC 9112, 8). */
static bool tells_its_end(const struct http_exchange *exchange) {
    const char *coding = http_exchange_field(exchange, "Transfer-Encoding");
    return http_exchange_length(exchange) != UINT64_MAX || (coding && strcasecmp(coding, "chunked") == 0);
}

enum err s3_open_reader(struct pool *pool, struct op *op, const struct id *id,
                        const struct read_options *options, struct reader **ret_reader) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    char name[S3_NAME_BYTES];
    if (!s3_key_from_id(s3->prefix, id, name)) {
        return op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool cannot hold an id this long");
    }
    struct s3_call call = {.method = "GET", .name = name, .collect_most_bytes = INLINE_MOST_BYTES};
    char range[64];
    bool ranged = options->offset > 0 || options->length != UINT64_MAX;
    if (ranged && options->length == 0) {
        return op_fail(op, REASON_RANGE, "a range of no bytes");
    }
    if (ranged) {
        uint64_t last = options->offset + options->length - 1;
        bool open_end = options->length == UINT64_MAX || last < options->offset;
        int bytes = snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)options->offset);
        if (!open_end) {
            snprintf(range + bytes, sizeof range - (size_t)bytes, "%llu", (unsigned long long)last);
        }
        s3_call_field(&call, "Range", range);
    }
    struct s3_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return op_no_memory(op);
    }
    s3_answer_init(&reader->answer);
    enum err err = s3_call_send(s3, op, &call, &reader->answer);
    if (err == ERR_PRECONDITION || (err == ERR_RANGE && !ranged)) {
        err = op_fail(op, REASON_BAD_ANSWER, "the store refused a condition that was not asked");
    } else if (err == ERR_RANGE && options->offset == 0) {
        err = read_empty(s3, op, name, &reader->answer);
    } else if (err == OK && !ranged && http_exchange_status(reader->answer.exchange) != 200) {
        /* 203 and 204 are not the object, 206 is a piece of it. */
        err = op_fail(op, REASON_BAD_ANSWER, "the store answered a plain read with status %u",
                      http_exchange_status(reader->answer.exchange));
    } else if (err == OK && !tells_its_end(reader->answer.exchange)) {
        err = op_fail(op, REASON_BAD_ANSWER, "the store's answer does not tell how long it is");
    } else if (err == OK && ranged && !range_fits(reader->answer.exchange, options->offset)) {
        err = op_fail(op, REASON_BAD_ANSWER, "the store answered another range than asked");
    }
    if (err != OK) {
        s3_answer_fini(&reader->answer);
        free(reader);
        return err;
    }
    reader->reader.ops = &s3_reader_ops;
    s3_meta_from_answer(reader->answer.exchange, &reader->reader.meta);
    reader->expected_bytes = http_exchange_length(reader->answer.exchange);
    if (reader->answer.collected) {
        reader->expected_bytes = reader->answer.body.size;
        reader->reader.at_hand = true;
    }
    *ret_reader = &reader->reader;
    return OK;
}

/* ---- metadata only ---- */

enum err s3_head(struct s3_pool *s3, struct op *op, const char *name, struct meta *ret_meta,
                 char ret_etag[S3_ETAG_BYTES]) {
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    struct s3_call head = {.method = "HEAD", .name = name};
    enum err err = s3_call_send(s3, op, &head, &answer);
    if (err == ERR_CONFIG || err == ERR_DENIED || err == ERR_CORRUPT) {
        /* Refusals of HEAD have no body, so nobody can tell a missing object from a missing bucket, or a wrong key from a
         * wrong clock. One byte of the same object, asked for with GET, brings the error document. */
        struct s3_call get = {.method = "GET", .name = name, .collect_most_bytes = 65536};
        s3_call_field(&get, "Range", "bytes=0-0");
        err = s3_call_send(s3, op, &get, &answer);
        if (err == OK && http_exchange_status(answer.exchange) != 206) {
            err = op_fail(op, REASON_BAD_ANSWER, "the store refuses HEAD and ignores ranges");
        }
    }
    if (err != OK) {
        return err;
    }
    if (ret_meta) {
        s3_meta_from_answer(answer.exchange, ret_meta);
    }
    if (ret_etag) {
        s3_meta_etag(answer.exchange, ret_etag);
    }
    return OK;
}

enum err s3_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) {
    struct s3_pool *s3 = s3_pool_checked(pool);
    char name[S3_NAME_BYTES];
    if (!s3_key_from_id(s3->prefix, id, name)) {
        return op_fail(op, REASON_ENTRY_NOT_FOUND, "the pool cannot hold an id this long");
    }
    return s3_head(s3, op, name, ret_meta, NULL);
}
