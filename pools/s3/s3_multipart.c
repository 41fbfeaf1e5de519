/* s3_multipart.c - bodies above 64 MiB, in parts that can each be sent again.
 *
 *   1 BEGUN      the store gave an upload id; it is in the journal.
 *   2 PARTS      parts of at least 16 MiB, in order, each with its own digest. Nothing is visible.
 *   3 COMPLETED  the store put the parts together and said so; else a HEAD that shows our digest is the proof.
 *   or ABORTED   anything failed: the store forgets the parts.
 *
 * The proof is for answers that leave it open: lost on the way, or a 200 without a document. A 200 with an error inside is a failure
 * that came late.
 */
#include "pools/s3/s3_internal.h"

#include "pools/base/clock.h"
#include "pools/object_store/list_xml.h"

#include <stdio.h>
#include <stdlib.h>

#define XML_MOST_BYTES ((size_t)4 << 20)
#define PIECE_BYTES ((size_t)256 * 1024)

struct multipart {
    struct s3_pool *s3;
    const struct s3_upload *upload;
    char id[UPLOAD_ID_BYTES];
    struct s3_ticket ticket;
    struct buf parts; /* the completing document, growing */
};

/* A slice of the upload's body is a body. */
struct slice {
    const struct http_body *whole;
    uint64_t offset;
};

static enum err read_slice(void *context, struct op *op, uint64_t offset, void *ret_bytes, size_t cap,
                           size_t *ret_count) {
    const struct slice *slice = context;
    return slice->whole->read(slice->whole->context, op, slice->offset + offset, ret_bytes, cap, ret_count);
}

static enum err digest_body(struct op *op, const struct http_body *body, char ret_hex[SHA256_HEX_BYTES]) {
    AUTO(digest_free) struct digest *digest = digest_new();
    void *piece = malloc(PIECE_BYTES);
    enum err err = digest && piece ? OK : op_no_memory(op);
    for (uint64_t at = 0; err == OK && at < body->size_bytes;) {
        uint64_t left = body->size_bytes - at;
        size_t got = 0;
        err = op_check(op);
        err = err == OK ? body->read(body->context, op, at, piece,
                                     left < PIECE_BYTES ? (size_t)left : PIECE_BYTES, &got)
                        : err;
        if (err == OK) {
            digest_update(digest, piece, got);
            at += got;
        }
    }
    if (err == OK) {
        uint8_t sha256[SHA256_BYTES];
        digest_final(digest, sha256);
        digest_hex(sha256, ret_hex);
    }
    free(piece);
    return err;
}

static enum err begin(struct multipart *multipart, struct op *op) {
    struct s3_meta_fields fields;
    struct s3_call call = {
        .method = "POST", .name = multipart->upload->name, .collect_most_bytes = 65536, .must_collect = true};
    call.fence = multipart->upload->fence;
    s3_call_query(&call, "uploads", "");
    enum err err = s3_meta_to_call(op, &multipart->upload->meta, &fields, &call);
    if (err != OK) {
        return err;
    }
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    err = s3_call_send(multipart->s3, op, &call, &answer);
    if (err != OK) {
        return err;
    }
    err =
        list_xml_upload_id(op, answer.body.size > 0 ? answer.body.data : "", answer.body.size, multipart->id);
    if (err == OK) {
        s3_journal_add(multipart->s3->journal, multipart->upload->name, multipart->id, &multipart->ticket);
    }
    return err;
}

static enum err send_part(struct multipart *multipart, struct op *op, unsigned number, uint64_t offset,
                          uint64_t bytes) {
    struct slice slice = {.whole = &multipart->upload->body, .offset = offset};
    struct http_body body = {.size_bytes = bytes, .read = read_slice, .context = &slice};
    char hash[SHA256_HEX_BYTES];
    enum err err = digest_body(op, &body, hash);
    if (err != OK) {
        return err;
    }
    char part[16];
    snprintf(part, sizeof part, "%u", number);
    struct s3_call call = {
        .method = "PUT", .name = multipart->upload->name, .body = &body, .payload_hash = hash};
    call.fence = multipart->upload->fence;
    s3_call_query(&call, "partNumber", part);
    s3_call_query(&call, "uploadId", multipart->id);
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    err = s3_call_send(multipart->s3, op, &call, &answer);
    if (err != OK) {
        return err;
    }
    char etag[S3_ETAG_BYTES];
    s3_meta_etag(answer.exchange, etag);
    if (etag[0] == '\0' || strpbrk(etag, "<>&")) {
        return op_fail(op, REASON_BAD_ANSWER, "the store gave a part no usable entity tag");
    }
    err = buf_printf(&multipart->parts, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>",
                     number, etag);
    return err == OK ? OK : op_no_memory(op);
}

static enum err send_parts(struct multipart *multipart, struct op *op) {
    uint64_t size = multipart->upload->meta.size_bytes;
    uint64_t mebibyte = UINT64_C(1) << 20;
    uint64_t part = (size / S3_MOST_PARTS / mebibyte + 1) * mebibyte;
    part = part < S3_PART_LEAST_BYTES ? S3_PART_LEAST_BYTES : part;
    unsigned number = 1;
    for (uint64_t at = 0; at < size; at += part, number++) {
        uint64_t left = size - at;
        enum err err = send_part(multipart, op, number, at, left < part ? left : part);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

/* *ret_sure: the store said in so many words that the object is complete. */
static enum err send_completion(struct multipart *multipart, struct op *op, bool *ret_sure,
                                char ret_etag[S3_ETAG_BYTES]) {
    *ret_sure = false;
    if (buf_append_text(&multipart->parts, "</CompleteMultipartUpload>") != OK) {
        return op_no_memory(op);
    }
    struct http_body body = s3_call_body(&multipart->parts);
    char hash[SHA256_HEX_BYTES];
    enum err err = digest_body(op, &body, hash);
    if (err != OK) {
        return err;
    }
    struct s3_call call = {.method = "POST",
                           .name = multipart->upload->name,
                           .body = &body,
                           .payload_hash = hash,
                           .collect_most_bytes = 65536,
                           .must_collect = true,
                           .may_fail_late = true,
                           .fence = multipart->upload->fence};
    s3_call_query(&call, "uploadId", multipart->id);
    s3_call_field(&call, "Content-Type", "application/xml");
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    err = s3_call_send(multipart->s3, op, &call, &answer);
    if (err != OK || answer.body.size == 0) {
        return err;
    }
    struct completed_answer completed;
    list_xml_completed(answer.body.data, answer.body.size, &completed);
    *ret_sure = completed.sure;
    size_t bytes = strlen(completed.etag);
    if (bytes < S3_ETAG_BYTES) {
        memcpy(ret_etag, completed.etag, bytes + 1);
    }
    return OK;
}

static enum err complete(struct multipart *multipart, struct op *op, char ret_etag[S3_ETAG_BYTES]) {
    bool sure;
    enum err err = send_completion(multipart, op, &sure, ret_etag);
    if (sure) {
        return OK;
    }
    struct fault fault = op->fault;
    bool ours = false;
    enum err proof = s3_upload_is_there(multipart->s3, op, multipart->upload, &ours, ret_etag);
    if (proof == OK && ours) {
        return OK; /* only the answer was lost */
    }
    if (err != OK) {
        return op_adopt(op, &fault);
    }
    if (proof == OK || proof == ERR_NOT_FOUND) {
        return op_fail(op, REASON_BAD_ANSWER, "the store completed the upload, but the object is not there");
    }
    return proof;
}

bool s3_multipart_abort(struct s3_pool *s3, struct op *op, const char *name, const char *upload_id) {
    struct s3_call call = {.method = "DELETE", .name = name};
    s3_call_query(&call, "uploadId", upload_id);
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    enum err err = s3_call_send(s3, op, &call, &answer);
    return err == OK || err == ERR_NOT_FOUND || strcmp(answer.code, "NoSuchUpload") == 0;
}

enum err s3_multipart_put(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                          char ret_etag[S3_ETAG_BYTES]) {
    struct multipart multipart = {.s3 = s3, .upload = upload};
    enum err err = begin(&multipart, op);
    if (err != OK) {
        return err;
    }
    buf_init(&multipart.parts, XML_MOST_BYTES);
    err = buf_append_text(&multipart.parts,
                          "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    err = err == OK ? send_parts(&multipart, op) : op_no_memory(op);
    err = err == OK ? complete(&multipart, op, ret_etag) : err;
    buf_fini(&multipart.parts);
    struct op abort; /* of its own: what ended the upload may be the caller's deadline */
    op_init(&abort, 0, S3_ABORT_MOST_NS);
    if (err == OK || s3_multipart_abort(s3, &abort, upload->name, multipart.id)) {
        s3_journal_drop(s3->journal, &multipart.ticket);
    }
    return err;
}
