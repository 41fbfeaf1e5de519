/* res_entries.c - the entries of one pool together: list and empty. Local, both of them. What was asked wrongly is refused in peek: it waits
 * for no store. */
#include "api/api.h"
#include "api/json.h"
#include "api/problem.h"
#include "api/resources.h"
#include "pools/base/percent.h"

#include <string.h>

#define LIST_MOST 1000
#define LIST_DEFAULT LIST_MOST
#define CURSOR_MOST_BYTES 4096
#define LINK_MOST_BYTES 16000

/* ---- list ---- */

struct list_wish {
    const char *prefix; /* "" = all */
    const char *cursor; /* NULL = from the start */
    unsigned limit;
    bool has_limit;
};

/* The parameter as a C string; NULL when it is not there. */
static enum err query_text(struct request *request, const char *name, size_t most_bytes,
                           const char **ret_text) {
    const struct target_text *value = target_query(&request->target, name);
    *ret_text = NULL;
    if (!value) {
        return OK;
    }
    if (value->bytes > most_bytes || strlen(value->text) != value->bytes) {
        return op_fail(&request->op, REASON_INVALID_QUERY, "%s: at most %zu bytes, without U+0000", name,
                       most_bytes);
    }
    *ret_text = value->text;
    return OK;
}

static enum err read_limit(struct request *request, struct list_wish *wish) {
    const char *text = NULL;
    wish->limit = LIST_DEFAULT;
    enum err err = query_text(request, "limit", 4, &text);
    if (err || !text) {
        return err;
    }
    unsigned limit = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        limit = limit * 10 + (unsigned)(*digit - '0');
    }
    if (*digit || limit < 1 || limit > LIST_MOST) {
        return op_fail(&request->op, REASON_INVALID_QUERY, "limit: an integer from 1 to %d", LIST_MOST);
    }
    wish->limit = limit;
    wish->has_limit = true;
    return OK;
}

static enum err read_list_wish(struct request *request, struct list_wish *ret_wish) {
    *ret_wish = (struct list_wish){0};
    enum err err = query_text(request, "prefix", ID_MOST_BYTES, &ret_wish->prefix);
    err = err ? err : query_text(request, "cursor", CURSOR_MOST_BYTES, &ret_wish->cursor);
    err = err ? err : read_limit(request, ret_wish);
    if (!err && ret_wish->cursor && !*ret_wish->cursor) {
        err = op_fail(&request->op, REASON_INVALID_QUERY, "cursor: empty");
    }
    if (!ret_wish->prefix) {
        ret_wish->prefix = "";
    }
    return err;
}

/* A next page is useful only if the client can ask for it: a Link that does not fit is a failure. */
static enum err link_next(struct request *request, struct response *response, const struct list_wish *wish,
                          const char *next_cursor) {
    AUTO(buf_fini) struct buf link;
    buf_init(&link, LINK_MOST_BYTES);
    enum err err = buf_printf(&link, "</pools/%s/entries?cursor=", request->pool->nickname);
    err = err ? err : percent_encode(&link, next_cursor, strlen(next_cursor));
    if (!err && *wish->prefix) {
        err = buf_append_text(&link, "&prefix=");
        err = err ? err : percent_encode(&link, wish->prefix, strlen(wish->prefix));
    }
    if (!err && wish->has_limit) {
        err = buf_printf(&link, "&limit=%u", wish->limit);
    }
    err = err ? err : buf_append_text(&link, ">; rel=\"next\"");
    if (err) {
        return err == ERR_NO_MEMORY
                   ? op_no_memory(&request->op)
                   : op_fail(&request->op, REASON_INTERNAL, "the link to the next page is too long");
    }
    response_header_text(response, "Link", link.data);
    return OK;
}

static json_t *listing_to_json(const struct listing *listing) {
    json_t *ids = json_array();
    for (size_t i = 0; i < listing->count; i++) {
        if (json_array_append_new(ids, json_string(listing->ids[i])) != 0) {
            json_decref(ids);
            return NULL;
        }
    }
    json_t *next = listing->next_cursor ? json_string(listing->next_cursor) : json_null();
    return json_pack("{s:o,s:o}", "ids", ids, "next_cursor", next);
}

enum api_step res_entries_list_peek(struct request *request, struct response *response) {
    struct list_wish wish;
    enum err err = read_list_wish(request, &wish);
    return err ? problem_done(request, response, err) : API_LANE;
}

enum api_step res_entries_list(struct request *request, struct response *response) {
    struct list_wish wish;
    struct listing listing = {0};
    enum err err = read_list_wish(request, &wish);
    err = err ? err : pool_list(request->pool, &request->op, wish.prefix, wish.cursor, wish.limit, &listing);
    if (err) {
        return problem_done(request, response, err);
    }
    json_done(request, response, 200, listing_to_json(&listing));
    if (listing.next_cursor && response->status == 200) {
        err = link_next(request, response, &wish, listing.next_cursor);
        if (err) {
            problem_done(request, response, err);
        }
    }
    listing_fini(&listing);
    return API_DONE;
}

/* ---- empty ---- */

enum api_step res_entries_empty_peek(struct request *request, struct response *response) {
    const struct target_text *all = target_query(&request->target, "all");
    if (!all || all->bytes != 4 || memcmp(all->text, "true", 4) != 0) {
        return problem_done(request, response,
                            op_fail(&request->op, REASON_CONFIRM_EMPTY,
                                    "to remove every entry say ?all=true; an id may be missing in the path"));
    }
    return API_LANE;
}

enum api_step res_entries_empty(struct request *request, struct response *response) {
    struct problem_extra extra = {.has_deleted = true};
    enum err err = pool_empty(request->pool, &request->op, &extra.deleted);
    if (err) {
        problem_answer(request, response, &request->op.fault, err, &extra);
        return API_DONE;
    }
    response->status = 204;
    response_header_text(response, "Cache-Control", "no-store");
    return API_DONE;
}
