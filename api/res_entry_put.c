/* res_entry_put.c - PUT of one entry: into the named pool only. The write path begins here.
 *
 * peek checks the head on the poll thread, so that what cannot be stored is refused before its body comes. run
 * opens the pool's writer, then moves the body into it in pieces as they arrive; nothing is visible before
 * commit, and a request that ends early leaves no trace (the writer is closed by api_finish).
 */
#include "api/api.h"
#include "api/entry_answer.h"
#include "api/headers.h"
#include "api/problem.h"
#include "api/resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES 65536

struct put_work {
    struct pool_writer *writer; /* NULL until run opened it */
    struct condition condition; /* borrowed by the writer */
    struct meta meta;
    uint64_t moved_bytes;
    char piece[PIECE_BYTES];
};

static void put_work_free(void *kept) {
    struct put_work *work = kept;
    pool_writer_close(work->writer);
    meta_fini(&work->meta);
    free(work);
}

/* A field's value into a meta text; `most` counts the NUL. */
static enum err take_field(struct request *request, const char *name, char *ret_text, size_t most) {
    const char *value = request->io->header(request, name);
    if (!value || !*value) {
        return OK;
    }
    if (strlen(value) >= most) {
        return op_fail(&request->op, REASON_INVALID_HEADER, "%s: at most %zu bytes are kept", name, most - 1);
    }
    if (!headers_is_field_text(value)) {
        return op_fail(&request->op, REASON_INVALID_HEADER, "%s: control bytes", name);
    }
    snprintf(ret_text, most, "%s", value);
    return OK;
}

/* Content-Digest and Repr-Digest say the same about a whole body that is stored as it comes. */
static enum err take_digests(struct request *request, struct meta *meta) {
    static const char *const fields[] = {"Content-Digest", "Repr-Digest"};
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        bool has_sha256 = false;
        uint8_t sha256[SHA256_BYTES];
        const char *value = request->io->header(request, fields[i]);
        enum err err = headers_digest(&request->op, fields[i], value, &has_sha256, sha256);
        if (err) {
            return err;
        }
        if (has_sha256 && meta->has_sha256 && memcmp(meta->sha256, sha256, SHA256_BYTES) != 0) {
            return op_fail(&request->op, REASON_DIGEST_MISMATCH, "Content-Digest and Repr-Digest differ");
        }
        if (has_sha256) {
            meta->has_sha256 = true;
            memcpy(meta->sha256, sha256, SHA256_BYTES);
        }
    }
    return OK;
}

static enum err read_head(struct request *request, struct put_work *work) {
    if (request->io->header(request, "Content-Range")) {
        return op_fail(&request->op, REASON_INVALID_HEADER, "Content-Range: an entry is written whole");
    }
    struct meta *meta = &work->meta;
    enum err err = take_field(request, "Content-Type", meta->content_type, sizeof meta->content_type);
    err =
        err ? err
            : take_field(request, "Content-Encoding", meta->content_encoding, sizeof meta->content_encoding);
    err = err ? err : take_digests(request, meta);
    err = err ? err : entry_write_condition(request, &work->condition);
    if (request->body_length != BODY_LENGTH_UNKNOWN) {
        meta->size_bytes = request->body_length;
    }
    return err;
}

static struct write_options write_options(const struct put_work *work) {
    return (struct write_options){
        .meta = work->meta,
        .condition = work->condition.kind == CONDITION_NONE ? NULL : &work->condition,
    };
}

enum api_step res_entry_put_peek(struct request *request, struct response *response) {
    struct id id;
    enum err err = entry_id(request, &id);
    if (err) {
        return problem_done(request, response, err);
    }
    struct put_work *work = malloc(sizeof *work);
    if (!work) {
        return problem_done(request, response, op_no_memory(&request->op));
    }
    work->writer = NULL;
    work->moved_bytes = 0;
    meta_init(&work->meta);
    request_keep(request, work, put_work_free);
    err = read_head(request, work);
    if (!err) {
        struct write_options options = write_options(work);
        err = pool_check_write(request->pool, &request->op, &id, &options);
    }
    return err ? problem_done(request, response, err) : API_LANE;
}

static enum err open_writer(struct request *request, struct put_work *work, const struct id *id) {
    struct write_options options = write_options(work);
    return pool_open_writer(request->pool, &request->op, id, &options, &work->writer);
}

/* OK when the whole body is in the writer. */
static enum err move_body(struct request *request, struct put_work *work) {
    uint64_t most_bytes = request->api->body_most_bytes;
    for (;;) {
        size_t count = 0;
        enum err err = request_read_body(request, work->piece, PIECE_BYTES, &count);
        if (err || !count) {
            return err;
        }
        work->moved_bytes += count;
        if (most_bytes && work->moved_bytes > most_bytes) {
            return op_fail(&request->op, REASON_TOO_LARGE, "the body may have %llu bytes",
                           (unsigned long long)most_bytes);
        }
        err = pool_writer_write(work->writer, &request->op, work->piece, count);
        if (err) {
            return err;
        }
    }
}

/* A digest may also come behind the body, as a trailer: known only now. */
static enum err take_late_digests(struct request *request, struct put_work *work) {
    struct meta late;
    meta_init(&late);
    enum err err = take_digests(request, &late);
    if (!err && late.has_sha256) {
        err = pool_writer_expect_sha256(work->writer, &request->op, late.sha256);
    }
    meta_fini(&late);
    return err;
}

static enum err commit(struct request *request, struct put_work *work, struct commit_result *ret_result) {
    /* A remote pool sends the whole body now, and one step's time cannot bound that: it bounds how long nothing moves. */
    struct op *op = &request->op;
    op_step(op, 0);
    op->slide_ns = request->pool->capabilities.remote ? request->api->step_timeout_ns : 0;
    op_advance(op);
    enum err err = pool_writer_commit(work->writer, op, ret_result);
    op->slide_ns = 0;
    return err;
}

static enum api_step answer_stored(struct request *request, struct response *response, const struct id *id,
                                   const struct commit_result *result) {
    if (result->created && request->pool->capabilities.tells_created) {
        response->status = 201;
        entry_location(response, request->pool->nickname, id);
    } else {
        response->status = 204;
    }
    entry_tag(response, &result->meta);
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}

enum api_step res_entry_put(struct request *request, struct response *response) {
    struct put_work *work = request->kept;
    struct id id;
    enum err err = entry_id(request, &id);
    if (!err && !work->writer) {
        err = open_writer(request, work, &id);
    }
    err = err ? err : move_body(request, work);
    if (err == ERR_AGAIN) {
        return API_WAIT;
    }
    struct commit_result result;
    err = err ? err : take_late_digests(request, work);
    err = err ? err : commit(request, work, &result);
    if (err) {
        return entry_write_failed(request, response, &id, err);
    }
    enum api_step step = answer_stored(request, response, &id, &result);
    meta_fini(&result.meta);
    return step;
}
