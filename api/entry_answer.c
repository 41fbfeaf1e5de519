/* entry_answer.c - see entry_answer.h.
 *
 * What stands in a header field may come from storage that others write: text with control bytes is left
 * out or replaced, never sent. There is no Last-Modified: its second is too coarse to tell two writes
 * apart, and the ETag says it better.
 */
#include "api/entry_answer.h"

#include "api/api.h"
#include "api/headers.h"
#include "api/problem.h"
#include "pools/base/percent.h"
#include "pools/pool_options.h"

#include <string.h>

#define ID_SEGMENT 3 /* of "/pools/{nick}/entries/{id}" */

enum err entry_id(struct request *request, struct id *ret_id) {
    const struct target_text *text = request->target.segment_count > ID_SEGMENT
                                         ? &request->target.segment[ID_SEGMENT]
                                         : target_query(&request->target, "id");
    if (!text) {
        return op_fail(&request->op, REASON_INVALID_ID, "the query parameter \"id\" is missing");
    }
    return id_from_bytes(&request->op, text->text, text->bytes, ret_id);
}

bool entry_has_conditions(const struct request *request) {
    return request->io->header(request, "If-None-Match") || request->io->header(request, "If-Match");
}

enum err entry_check_conditions(struct request *request) {
    struct condition condition;
    enum err err =
        headers_condition(&request->op, request->io->header(request, "If-Match"), NULL, &condition);
    return err ? err
               : headers_condition(&request->op, NULL, request->io->header(request, "If-None-Match"),
                                   &condition);
}

enum err entry_judge_read(struct request *request, const struct meta *meta, bool *ret_not_modified) {
    struct op *op = &request->op;
    struct condition condition;
    *ret_not_modified = false;
    const char *if_match = request->io->header(request, "If-Match");
    if (if_match) {
        enum err err = headers_condition(op, if_match, NULL, &condition);
        err = err ? err : condition_check(op, &condition, meta);
        if (err) {
            return err;
        }
    }
    const char *if_none_match = request->io->header(request, "If-None-Match");
    if (if_none_match) {
        enum err err = headers_condition(op, NULL, if_none_match, &condition);
        if (err) {
            return err;
        }
        *ret_not_modified = condition.kind == CONDITION_ABSENT;
        for (unsigned i = 0; i < condition.count && !*ret_not_modified; i++) {
            *ret_not_modified = condition_tag_matches(meta, condition.tag[i]);
        }
    }
    return OK;
}

enum err entry_write_condition(struct request *request, struct condition *ret_condition) {
    return headers_condition(&request->op, request->io->header(request, "If-Match"),
                             request->io->header(request, "If-None-Match"), ret_condition);
}

enum err entry_wanted_part(struct request *request, const struct meta *meta, bool *ret_is_part,
                           struct range_part *ret_part) {
    struct range_ask ask;
    enum err err = range_parse(&request->op, request->io->header(request, "Range"), &ask);
    *ret_is_part = !err && ask.is_part && meta->size_bytes != SIZE_UNKNOWN &&
                   range_is_current(request->io->header(request, "If-Range"), meta);
    return err || !*ret_is_part ? err : range_place(&request->op, &ask, meta->size_bytes, ret_part);
}

static void add_digest(struct response *response, const struct meta *meta, const char *name) {
    char digest[DIGEST_FIELD_BYTES];
    if (meta->has_sha256) {
        headers_format_digest(meta->sha256, digest);
        response_header_text(response, name, digest);
    }
}

void entry_describe_content(struct response *response, const struct meta *meta,
                            const struct range_part *part) {
    if (!part) {
        add_digest(response, meta, "Content-Digest");
        return;
    }
    char field[RANGE_FIELD_BYTES];
    range_format(part, meta->size_bytes, field);
    response->status = 206;
    response->entry_offset = part->offset;
    response->content_length = part->bytes;
    response_header_text(response, "Content-Range", field);
}

void entry_range_failed(struct request *request, struct response *response, const struct meta *meta,
                        enum err kind) {
    char field[RANGE_FIELD_BYTES];
    range_format_unsatisfied(meta->size_bytes, field);
    problem_done(request, response, kind);
    if (kind == ERR_RANGE) {
        response_header_text(response, "Content-Range", field);
    }
}

void entry_tag(struct response *response, const struct meta *meta) {
    char etag[ETAG_BYTES];
    meta_etag(meta, etag);
    bool is_plain = etag[0] && headers_is_field_text(etag) && !strpbrk(etag, " \t");
    if (is_plain && strchr(etag + 1, '"') == etag + strlen(etag) - 1) {
        response_header_text(response, "ETag", etag);
    }
}

/* The named pool's word, wherever in its chain the entry was found. HEAD tells of one pool at one moment. */
static void caching(const struct request *request, struct response *response, enum entry_form form) {
    response_header_text(response, "Cache-Control",
                         form == ENTRY_FOR_HEAD ? "no-store" : pool_cache_control(request->pool));
}

void entry_describe(const struct request *request, struct response *response, const struct meta *meta,
                    enum entry_form form) {
    response->status = 200;
    response->content_length = meta->size_bytes;
    bool is_type = meta->content_type[0] && headers_is_field_text(meta->content_type);
    response_header_text(response, "Content-Type", is_type ? meta->content_type : META_DEFAULT_TYPE);
    if (meta->content_encoding[0] && headers_is_field_text(meta->content_encoding)) {
        response_header_text(response, "Content-Encoding", meta->content_encoding);
    }
    entry_tag(response, meta);
    add_digest(response, meta, "Repr-Digest");
    caching(request, response, form);
    response_header_text(response, "Accept-Ranges", "bytes");
    response_header_text(response, "X-Content-Type-Options", "nosniff");
    response_header_text(response, "Content-Security-Policy", "sandbox");
}

void entry_not_modified(const struct request *request, struct response *response, const struct meta *meta,
                        enum entry_form form) {
    response->status = 304;
    response->content_length = meta->size_bytes;
    entry_tag(response, meta);
    caching(request, response, form);
}

void entry_location(struct response *response, const char *nickname, const struct id *id) {
    AUTO(buf_fini) struct buf path;
    buf_init(&path, 3 * ID_MOST_BYTES);
    if (percent_encode(&path, id->text, id->bytes) != OK) {
        return; /* out of memory: the entry is stored, the hint where is not worth failing for */
    }
    /* A client would resolve "." and ".." away from a path. */
    bool is_dots = strcmp(id->text, ".") == 0 || strcmp(id->text, "..") == 0;
    response_header(response, "Location", "/pools/%s/%s%s", nickname, is_dots ? "entry?id=" : "entries/",
                    path.data);
}

/* The nearest tier below the named pool that has the entry at hand, or NULL; asks only what answers at once. *ret_absent: all of them say that
 * they have not. */
static const char *find_below(struct request *request, const struct id *id, struct tiers **ret_tiers,
                              bool *ret_absent) {
    *ret_absent = false;
    if (wiring_tiers(request->api->wiring, &request->op, request->pool, ret_tiers) != OK) {
        return NULL;
    }
    *ret_absent = true;
    for (unsigned i = 1; i < (*ret_tiers)->count; i++) {
        struct meta meta;
        enum err err = pool_peek_meta((*ret_tiers)->tier[i].pool, id, &meta);
        if (err == OK) {
            meta_fini(&meta);
            return (*ret_tiers)->tier[i].pool->nickname;
        }
        *ret_absent = *ret_absent && err == ERR_NOT_FOUND;
    }
    return NULL;
}

enum api_step entry_write_failed(struct request *request, struct response *response, const struct id *id,
                                 enum err kind) {
    struct fault fault = request->op.fault;
    if (fault.reason == REASON_NOT_LOCAL) {
        AUTO(tiers_unref) struct tiers *tiers = NULL;
        bool absent = false;
        const char *below = find_below(request, id, &tiers, &absent);
        if (below) {
            kind = op_fail(&request->op, REASON_NOT_LOCAL,
                           "the pool itself does not have the entry; \"%s\" of its chain does", below);
        } else if (absent) {
            kind = op_fail(&request->op, REASON_PRECONDITION_FAILED, "%s", fault.detail);
        } else {
            kind = op_adopt(&request->op, &fault); /* a tier below may have it */
        }
    }
    return problem_done(request, response, kind);
}
