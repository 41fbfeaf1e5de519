/* s3_meta.c - an entry's metadata as header fields of its object, and back.
 *
 *   Content-Type, Content-Encoding   the entry's own
 *   x-amz-meta-lailad-sha256         hex digest of the body
 *   x-amz-meta-lailad-created        wall milliseconds
 *   x-amz-meta-lailad-hold           "cached" on copies; absent = owned
 *   x-amz-meta-lailad-validator      what a copy's origin called this version
 *   x-amz-meta-lailad-x0 ... x11     the extension in base64, in pieces: Swift's default allows 256 bytes a value
 *
 * Objects that others wrote have none of these: type, size, time and etag are then S3's, and they are owned. Values that do not
 * parse are treated as absent: the metadata can be edited by anybody who may write the bucket.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/hex.h"
#include "pools/object_store/encoding.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES 240

static const char *const piece_name[S3_META_MOST_PIECES] = {
    "x-amz-meta-lailad-x0", "x-amz-meta-lailad-x1", "x-amz-meta-lailad-x2",  "x-amz-meta-lailad-x3",
    "x-amz-meta-lailad-x4", "x-amz-meta-lailad-x5", "x-amz-meta-lailad-x6",  "x-amz-meta-lailad-x7",
    "x-amz-meta-lailad-x8", "x-amz-meta-lailad-x9", "x-amz-meta-lailad-x10", "x-amz-meta-lailad-x11",
};

/* ---- to an object ---- */

/* Beyond ASCII, stores disagree about the bytes that were signed, and the refusal would look like one of our credentials. */
static bool can_be_sent(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f) {
            return false;
        }
    }
    return true;
}

enum err s3_meta_check(struct op *op, const struct meta *meta) {
    return can_be_sent(meta->content_type) && can_be_sent(meta->content_encoding)
               ? OK
               : op_fail(op, REASON_INVALID_HEADER,
                         "an object store takes Content-Type and Content-Encoding in ASCII only");
}

static enum err add_extension(struct op *op, const struct blob *extension, struct s3_meta_fields *fields,
                              struct s3_call *call) {
    AUTO(buf_fini) struct buf text;
    buf_init(&text, PIECE_BYTES * S3_META_MOST_PIECES);
    enum err err = base64_encode(&text, extension->data, extension->size);
    if (err != OK) {
        return err == ERR_NO_MEMORY ? op_no_memory(op)
                                    : op_fail(op, REASON_TOO_LARGE, "the extension is too large");
    }
    for (size_t at = 0, piece = 0; at < text.size; at += PIECE_BYTES, piece++) {
        snprintf(fields->piece[piece], sizeof fields->piece[piece], "%.*s", PIECE_BYTES, text.data + at);
        s3_call_field(call, piece_name[piece], fields->piece[piece]);
    }
    return OK;
}

enum err s3_meta_to_call(struct op *op, const struct meta *meta, struct s3_meta_fields *ret_fields,
                         struct s3_call *call) {
    enum err err = s3_meta_check(op, meta);
    if (err != OK) {
        return err;
    }
    s3_call_field(call, "Content-Type", meta->content_type);
    if (meta->content_encoding[0] != '\0') {
        s3_call_field(call, "Content-Encoding", meta->content_encoding);
    }
    if (meta->has_sha256) {
        digest_hex(meta->sha256, ret_fields->sha256);
        s3_call_field(call, "x-amz-meta-lailad-sha256", ret_fields->sha256);
    }
    if (meta->created_ms > 0) {
        snprintf(ret_fields->created, sizeof ret_fields->created, "%lld", (long long)meta->created_ms);
        s3_call_field(call, "x-amz-meta-lailad-created", ret_fields->created);
    }
    if (meta->hold == HOLD_CACHED) {
        s3_call_field(call, "x-amz-meta-lailad-hold", "cached");
        if (meta->validator[0] != '\0' && can_be_sent(meta->validator)) {
            s3_call_field(call, "x-amz-meta-lailad-validator", meta->validator);
        }
    }
    return meta->extension && meta->extension->size > 0 ? add_extension(op, meta->extension, ret_fields, call)
                                                        : OK;
}

/* ---- from an object ---- */

static void copy_text(char *to, size_t cap, const char *from) {
    if (from && *from != '\0' && strlen(from) < cap) {
        memcpy(to, from, strlen(from) + 1);
    }
}

static bool parse_sha256(const char *text, uint8_t ret_sha256[SHA256_BYTES]) {
    return hex_read_bytes(text, SHA256_BYTES, ret_sha256) && text[SHA256_HEX_BYTES - 1] == '\0';
}

void s3_meta_etag(const struct http_exchange *exchange, char ret_etag[S3_ETAG_BYTES]) {
    ret_etag[0] = '\0';
    const char *etag = http_exchange_field(exchange, "ETag");
    if (!etag) {
        return;
    }
    etag += strncmp(etag, "W/", 2) == 0 ? 2 : 0;
    size_t bytes = strlen(etag);
    if (bytes >= 2 && etag[0] == '"' && etag[bytes - 1] == '"') {
        etag++;
        bytes -= 2;
    }
    if (bytes < S3_ETAG_BYTES && !memchr(etag, '"', bytes)) {
        memcpy(ret_etag, etag, bytes);
        ret_etag[bytes] = '\0';
    }
}

static struct blob *read_extension(const struct http_exchange *exchange) {
    AUTO(buf_fini) struct buf text;
    AUTO(buf_fini) struct buf bytes;
    buf_init(&text, PIECE_BYTES * S3_META_MOST_PIECES);
    buf_init(&bytes, META_EXTENSION_MOST_BYTES + 2); /* decoding makes room for whole groups of three */
    for (size_t i = 0; i < S3_META_MOST_PIECES; i++) {
        const char *piece = http_exchange_field(exchange, piece_name[i]);
        if (!piece) {
            break;
        }
        if (buf_append_text(&text, piece) != OK) {
            return NULL;
        }
    }
    if (text.size == 0 || base64_decode(&bytes, text.data, text.size) != OK ||
        bytes.size > META_EXTENSION_MOST_BYTES) {
        return NULL;
    }
    return blob_copy(bytes.data, bytes.size);
}

/* Of the whole object, also when the answer is a part of it: "bytes 0-0/1234". */
static uint64_t whole_size(const struct http_exchange *exchange) {
    if (http_exchange_status(exchange) != 206) {
        return http_exchange_length(exchange);
    }
    const char *range = http_exchange_field(exchange, "Content-Range");
    const char *slash = range ? strchr(range, '/') : NULL;
    return slash && slash[1] >= '0' && slash[1] <= '9' ? strtoull(slash + 1, NULL, 10) : SIZE_UNKNOWN;
}

void s3_meta_from_answer(const struct http_exchange *exchange, struct meta *ret_meta) {
    meta_init(ret_meta);
    ret_meta->size_bytes = whole_size(exchange);
    copy_text(ret_meta->content_type, sizeof ret_meta->content_type,
              http_exchange_field(exchange, "Content-Type"));
    copy_text(ret_meta->content_encoding, sizeof ret_meta->content_encoding,
              http_exchange_field(exchange, "Content-Encoding"));
    const char *modified = http_exchange_field(exchange, "Last-Modified");
    ret_meta->stored_ms = modified ? http_date_ms(modified) : 0;
    const char *created = http_exchange_field(exchange, "x-amz-meta-lailad-created");
    ret_meta->created_ms = created ? strtoll(created, NULL, 10) : 0;
    if (ret_meta->created_ms <= 0) {
        ret_meta->created_ms = ret_meta->stored_ms;
    }
    const char *hold = http_exchange_field(exchange, "x-amz-meta-lailad-hold");
    ret_meta->hold = hold && strcmp(hold, "cached") == 0 ? HOLD_CACHED : HOLD_OWNED;
    const char *sha256 = http_exchange_field(exchange, "x-amz-meta-lailad-sha256");
    ret_meta->has_sha256 = sha256 && parse_sha256(sha256, ret_meta->sha256);
    char etag[S3_ETAG_BYTES];
    s3_meta_etag(exchange, etag);
    if (etag[0] != '\0') {
        snprintf(ret_meta->validator, sizeof ret_meta->validator, "s3-%s", etag);
    }
    if (ret_meta->hold == HOLD_CACHED) {
        /* A copy is known by what its origin calls it. */
        copy_text(ret_meta->validator, sizeof ret_meta->validator,
                  http_exchange_field(exchange, "x-amz-meta-lailad-validator"));
    }
    ret_meta->extension = read_extension(exchange);
}
