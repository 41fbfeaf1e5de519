/* s3_commit.c - how a complete body becomes an object: plainly, under a precondition, or as a fill.
 *
 * Preconditions are the server's to judge (design.md 13.18). Absence goes out as If-None-Match: *. Everything else is first
 * translated: HEAD tells which version is there now, the condition is judged on it, and that very version is demanded with
 * If-Match; a change in between is the server's 412. A server that cannot (501) leaves everything as it was.
 * Conditional objects always go in one PUT: few servers judge conditions when a multipart upload completes.
 *
 * A fill is create-only where the server can; a cached copy in its way is replaced by If-Match on it. Where it cannot, HEAD then PUT: the
 * capability fill_fence says so.
 */
#include "pools/s3/s3_internal.h"

#include <stdio.h>

struct demand {
    bool absent;      /* If-None-Match: * */
    const char *etag; /* If-Match: this very version; NULL = none */
    bool bare;        /* the tag goes out without its quotes */
};

enum err s3_upload_is_there(struct s3_pool *s3, struct op *op, const struct s3_upload *upload, bool *ret_ours,
                            char ret_etag[S3_ETAG_BYTES]) {
    struct meta there;
    enum err err = s3_head(s3, op, upload->name, &there, ret_etag);
    if (err != OK) {
        return err;
    }
    const struct meta *wanted = &upload->meta;
    *ret_ours = there.has_sha256 && memcmp(there.sha256, wanted->sha256, SHA256_BYTES) == 0 &&
                there.size_bytes == wanted->size_bytes && there.hold == wanted->hold &&
                (wanted->created_ms <= 0 || there.created_ms == wanted->created_ms);
    meta_fini(&there);
    return OK;
}

/* A 412 after an attempt whose answer was lost may be that attempt's own doing. What is there now tells. */
static enum err settle(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                       const struct demand *demand, char ret_etag[S3_ETAG_BYTES]) {
    struct fault refused = op->fault;
    char etag[S3_ETAG_BYTES] = "";
    bool ours = false;
    enum err err = s3_upload_is_there(s3, op, upload, &ours, etag);
    if (err == OK && ours) {
        memcpy(ret_etag, etag, sizeof etag);
        return OK;
    }
    if (err == OK && demand->etag && strcmp(etag, demand->etag) == 0) {
        return op_adopt(op, &refused); /* still the version we named: nothing was written */
    }
    return op_fail(op, REASON_UNAVAILABLE, "the answer to the write was lost; its outcome is unknown");
}

static enum err put_single(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                           const struct demand *demand, char ret_etag[S3_ETAG_BYTES]) {
    struct s3_meta_fields fields;
    char match[S3_ETAG_BYTES + 2];
    char hash[SHA256_HEX_BYTES];
    digest_hex(upload->meta.sha256, hash);
    struct s3_call call = {
        .method = "PUT", .name = upload->name, .body = &upload->body, .payload_hash = hash};
    enum err err = s3_meta_to_call(op, &upload->meta, &fields, &call);
    if (err != OK) {
        return err;
    }
    if (demand->absent) {
        s3_call_field(&call, "If-None-Match", "*");
    } else if (demand->etag) {
        const char *quote = demand->bare ? "" : "\"";
        snprintf(match, sizeof match, "%s%s%s", quote, demand->etag, quote);
        s3_call_field(&call, "If-Match", match);
    }
    call.conditional = demand->absent || demand->etag;
    call.fence = upload->fence;
    AUTO(s3_answer_fini) struct s3_answer answer;
    s3_answer_init(&answer);
    err = s3_call_send(s3, op, &call, &answer);
    if (err == OK) {
        s3_meta_etag(answer.exchange, ret_etag);
    }
    return err == ERR_PRECONDITION && answer.ambiguous ? settle(s3, op, upload, demand, ret_etag) : err;
}

static enum err put_plain(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                          char ret_etag[S3_ETAG_BYTES]) {
    static const struct demand nothing = {.absent = false};
    return upload->meta.size_bytes > S3_MULTIPART_ABOVE_BYTES
               ? s3_multipart_put(s3, op, upload, ret_etag)
               : put_single(s3, op, upload, &nothing, ret_etag);
}

/* ---- preconditions ---- */

enum err s3_condition_judge(struct s3_pool *s3, struct op *op, const char *name,
                            const struct condition *condition, char ret_etag[S3_ETAG_BYTES]) {
    struct meta meta;
    enum err err = s3_head(s3, op, name, &meta, ret_etag);
    if (err == ERR_NOT_FOUND) {
        ret_etag[0] = '\0';
        return condition_check(op, condition, NULL);
    }
    if (err != OK) {
        return err;
    }
    err = condition_check(op, condition, &meta);
    meta_fini(&meta);
    if (err == OK && ret_etag[0] == '\0') {
        return op_fail(op, REASON_CONDITIONAL_WRITE_UNSUPPORTED,
                       "the store gives its objects no entity tags");
    }
    return err;
}

static enum err put_if_match(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                             const char *etag, char ret_etag[S3_ETAG_BYTES]) {
    enum err err = put_single(s3, op, upload, &(struct demand){.etag = etag}, ret_etag);
    if (err != ERR_PRECONDITION) {
        return err;
    }
    /* Ceph compares the quotes too, so that a quoted tag never matches. When the object is still the version we named,
     * that is what happened, and the bare tag is judged rightly. */
    struct fault refused = op->fault;
    char now[S3_ETAG_BYTES];
    if (s3_head(s3, op, upload->name, NULL, now) != OK || strcmp(now, etag) != 0) {
        return op_adopt(op, &refused);
    }
    return put_single(s3, op, upload, &(struct demand){.etag = etag, .bare = true}, ret_etag);
}

static enum err put_conditional(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                                char ret_etag[S3_ETAG_BYTES]) {
    if (upload->meta.size_bytes > S3_SINGLE_MOST_BYTES) {
        return op_fail(op, REASON_TOO_LARGE, "bodies over 5 GiB cannot be written conditionally");
    }
    char etag[S3_ETAG_BYTES] = "";
    if (upload->condition->kind != CONDITION_ABSENT) {
        enum err err = s3_condition_judge(s3, op, upload->name, upload->condition, etag);
        if (err != OK) {
            return err;
        }
    }
    return etag[0] == '\0' ? put_single(s3, op, upload, &(struct demand){.absent = true}, ret_etag)
                           : put_if_match(s3, op, upload, etag, ret_etag);
}

/* ---- fills ---- */

static enum err superseded(struct op *op) {
    return op_fail(op, REASON_SUPERSEDED, "a newer write of the entry came first");
}

/* Something is there: a copy may make room for a newer one, as long as it is that very copy. */
static enum err replace_copy(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                             char ret_etag[S3_ETAG_BYTES]) {
    static const struct condition cached = {.kind = CONDITION_CACHED};
    char etag[S3_ETAG_BYTES] = "";
    enum err err = s3_condition_judge(s3, op, upload->name, &cached, etag);
    if (err == OK) {
        err = put_if_match(s3, op, upload, etag, ret_etag);
    }
    if (err == ERR_UNSUPPORTED) {
        err = put_plain(s3, op, upload, ret_etag);
    }
    return err == ERR_PRECONDITION ? superseded(op) : err;
}

static enum err fill(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                     char ret_etag[S3_ETAG_BYTES]) {
    if (!atomic_load(&s3->no_create_only) && upload->meta.size_bytes <= S3_SINGLE_MOST_BYTES) {
        enum err err = put_single(s3, op, upload, &(struct demand){.absent = true}, ret_etag);
        if (err == ERR_PRECONDITION) {
            return replace_copy(s3, op, upload, ret_etag);
        }
        if (err != ERR_UNSUPPORTED) {
            return err;
        }
        atomic_store(&s3->no_create_only, true);
    }
    struct meta there;
    enum err err = s3_head(s3, op, upload->name, &there, NULL);
    if (err == OK) {
        bool owned = there.hold != HOLD_CACHED;
        meta_fini(&there);
        if (owned) {
            return superseded(op);
        }
    } else if (err != ERR_NOT_FOUND) {
        return err;
    }
    return put_plain(s3, op, upload, ret_etag); /* every attempt looks at the fence: s3_call.c */
}

/* ---- the commit ---- */

enum err s3_commit(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                   struct commit_result *ret_result) {
    char etag[S3_ETAG_BYTES] = "";
    enum err err;
    if (upload->fence) {
        err = fill(s3, op, upload, etag);
    } else if (upload->condition && upload->condition->kind != CONDITION_NONE) {
        err = put_conditional(s3, op, upload, etag);
    } else {
        err = put_plain(s3, op, upload, etag);
    }
    if (err != OK) {
        return err;
    }
    s3_sweep_one(s3);
    ret_result->created = false;
    meta_copy(&ret_result->meta, &upload->meta);
    ret_result->meta.stored_ms = s3->clock();
    bool origins = upload->meta.hold == HOLD_CACHED && upload->meta.validator[0] != '\0';
    if (!origins && etag[0] != '\0') {
        snprintf(ret_result->meta.validator, sizeof ret_result->meta.validator, "s3-%s", etag);
    }
    return OK;
}
