/* routes.c - see routes.h. The entry routes stand first: they are asked most. */
#include "api/routes.h"

#include "api/resources.h"

#include <string.h>

static const char *const no_query[] = {NULL};
static const char *const id_query[] = {"id", NULL};
static const char *const scope_query[] = {"scope", NULL};
static const char *const id_scope_query[] = {"id", "scope", NULL};
static const char *const list_query[] = {"prefix", "limit", "cursor", NULL};
static const char *const all_query[] = {"all", NULL};

#define ENTRY "/pools/{nick}/entries/{id}"
#define ENTRY_BY_ID "/pools/{nick}/entry"
#define ENTRIES "/pools/{nick}/entries"
#define PROXY_TO "/pools/{nick}/proxy_to"
#define POOL "/pools/{nick}"
#define COMPACT "/pools/{nick}/compact"
#define SCRUB "/pools/{nick}/scrub"
#define OPENAPI "/openapi.yaml"

/* clang-format off */
#define ROUTE(method, path, operation, scope, body, work, peek, run, query) \
    {METHOD_##method, path, operation, SCOPE_##scope, BODY_##body, WORK_AT_##work, peek, run, query}
static const struct route table[] = {
    ROUTE(GET,    ENTRY,       "readEntry",       READ,  REFUSED,   STORE, res_entry_get_peek,     res_entry_get,       no_query),
    ROUTE(HEAD,   ENTRY,       "entryExists",     READ,  REFUSED,   STORE, res_entry_head_peek,    res_entry_head,      scope_query),
    ROUTE(PUT,    ENTRY,       "writeEntry",      WRITE, STREAMED,  STORE, res_entry_put_peek,     res_entry_put,       no_query),
    ROUTE(DELETE, ENTRY,       "deleteEntry",     WRITE, REFUSED,   STORE, res_entry_delete_peek,  res_entry_delete,    no_query),
    ROUTE(GET,    ENTRY_BY_ID, "readEntryById",   READ,  REFUSED,   STORE, res_entry_get_peek,     res_entry_get,       id_query),
    ROUTE(HEAD,   ENTRY_BY_ID, "entryExistsById", READ,  REFUSED,   STORE, res_entry_head_peek,    res_entry_head,      id_scope_query),
    ROUTE(PUT,    ENTRY_BY_ID, "writeEntryById",  WRITE, STREAMED,  STORE, res_entry_put_peek,     res_entry_put,       id_query),
    ROUTE(DELETE, ENTRY_BY_ID, "deleteEntryById", WRITE, REFUSED,   STORE, res_entry_delete_peek,  res_entry_delete,    id_query),
    ROUTE(GET,    ENTRIES,     "listEntries",     READ,  REFUSED,   STORE, res_entries_list_peek,  res_entries_list,    list_query),
    ROUTE(HEAD,   ENTRIES,     "headEntries",     READ,  REFUSED,   STORE, res_entries_list_peek,  res_entries_list,    list_query),
    ROUTE(DELETE, ENTRIES,     "emptyPool",       WRITE, REFUSED,   STORE, res_entries_empty_peek, res_entries_empty,   all_query),
    ROUTE(GET,    PROXY_TO,    "getProxyTo",      READ,  REFUSED,   HAND,  NULL,                   res_proxy_to_get,    no_query),
    ROUTE(HEAD,   PROXY_TO,    "headProxyTo",     READ,  REFUSED,   HAND,  NULL,                   res_proxy_to_get,    no_query),
    ROUTE(PUT,    PROXY_TO,    "setProxyTo",      ADMIN, JSON,      HAND,  NULL,                   res_proxy_to_set,    no_query),
    ROUTE(DELETE, PROXY_TO,    "clearProxyTo",    ADMIN, REFUSED,   HAND,  NULL,                   res_proxy_to_clear,  no_query),
    ROUTE(GET,    POOL,        "getPool",         READ,  REFUSED,   HAND,  NULL,                   res_pool_get,        no_query),
    ROUTE(HEAD,   POOL,        "headPool",        READ,  REFUSED,   HAND,  NULL,                   res_pool_get,        no_query),
    ROUTE(DELETE, POOL,        "unregisterPool",  ADMIN, REFUSED,   HAND,  NULL,                   res_pool_unregister, no_query),
    ROUTE(GET,    COMPACT,     "getCompaction",   READ,  REFUSED,   HAND,  NULL,                   res_compact_get,     no_query),
    ROUTE(HEAD,   COMPACT,     "headCompaction",  READ,  REFUSED,   HAND,  NULL,                   res_compact_get,     no_query),
    ROUTE(POST,   COMPACT,     "compactPool",     ADMIN, MAYBE_JSON, HAND,  NULL,                   res_compact_post,    no_query),
    ROUTE(GET,    SCRUB,       "getScrub",        READ,  REFUSED,   HAND,  NULL,                   res_scrub_get,       no_query),
    ROUTE(HEAD,   SCRUB,       "headScrub",       READ,  REFUSED,   HAND,  NULL,                   res_scrub_get,       no_query),
    ROUTE(POST,   SCRUB,       "scrubPool",       ADMIN, MAYBE_JSON, HAND,  NULL,                   res_scrub_post,      no_query),
    ROUTE(GET,    "/pools",    "listPools",       READ,  REFUSED,   HAND,  NULL,                   res_pools_list,      no_query),
    ROUTE(HEAD,   "/pools",    "headPools",       READ,  REFUSED,   HAND,  NULL,                   res_pools_list,      no_query),
    ROUTE(POST,   "/pools",    "registerPool",    ADMIN, JSON,      HAND,  NULL,                   res_pools_register,  no_query),
    ROUTE(GET,    "/chain",    "getChain",        READ,  REFUSED,   HAND,  NULL,                   res_chain_get,       no_query),
    ROUTE(HEAD,   "/chain",    "headChain",       READ,  REFUSED,   HAND,  NULL,                   res_chain_get,       no_query),
    ROUTE(PUT,    "/chain",    "replaceChain",    ADMIN, COLLECTED, HAND,  NULL,                   res_chain_replace,   no_query),
    ROUTE(POST,   "/chain",    "applyChain",      ADMIN, COLLECTED, HAND,  NULL,                   res_chain_apply,     no_query),
    ROUTE(GET,    "/",         "getService",      OPEN,  REFUSED,   HAND,  res_service_peek,       NULL,                no_query),
    ROUTE(HEAD,   "/",         "headService",     OPEN,  REFUSED,   HAND,  res_service_peek,       NULL,                no_query),
    ROUTE(GET,    "/readyz",   "getReadyz",       OPEN,  REFUSED,   HAND,  res_readyz_peek,        NULL,                no_query),
    ROUTE(HEAD,   "/readyz",   "headReadyz",      OPEN,  REFUSED,   HAND,  res_readyz_peek,        NULL,                no_query),
    ROUTE(GET,    OPENAPI,     "getOpenapi",      OPEN,  REFUSED,   HAND,  res_openapi_peek,       NULL,                no_query),
    ROUTE(HEAD,   OPENAPI,     "headOpenapi",     OPEN,  REFUSED,   HAND,  res_openapi_peek,       NULL,                no_query),
    ROUTE(GET,    "/livez",    "getLivez",        OPEN,  REFUSED,   HAND,  res_livez_peek,         NULL,                no_query),
    ROUTE(HEAD,   "/livez",    "headLivez",       OPEN,  REFUSED,   HAND,  res_livez_peek,         NULL,                no_query),
    /* Answered from this table, see request.c. */
    ROUTE(OPTIONS, ENTRY,         "optionsEntry",      OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, ENTRY_BY_ID,   "optionsEntryById",  OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, ENTRIES,       "optionsEntries",    OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, PROXY_TO,      "optionsProxyTo",    OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, POOL,          "optionsPool",       OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, COMPACT,       "optionsCompaction", OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, SCRUB,         "optionsScrub",      OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, "/pools",      "optionsPools",      OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, "/chain",      "optionsChain",      OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, "/",           "optionsService",    OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, "/readyz",     "optionsReadyz",     OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, OPENAPI,       "optionsOpenapi",    OPEN, REFUSED, HAND, NULL, NULL, no_query),
    ROUTE(OPTIONS, "/livez",      "optionsLivez",      OPEN, REFUSED, HAND, NULL, NULL, no_query),
};
/* clang-format on */

const struct route *routes_table(size_t *ret_count) {
    *ret_count = ARRAY_COUNT(table);
    return table;
}

const char *routes_method_name(enum http_method method) {
    static const char *const names[] = {
        [METHOD_GET] = "GET",     [METHOD_HEAD] = "HEAD",     [METHOD_PUT] = "PUT",
        [METHOD_POST] = "POST",   [METHOD_DELETE] = "DELETE", [METHOD_OPTIONS] = "OPTIONS",
        [METHOD_OTHER] = "other",
    };
    return names[method];
}

/* Whether the pattern's segment that begins at `name` is this text, which may hold a slash that was sent as %2F. */
static bool is_literally(const char *name, const struct target_text *segment) {
    size_t at = 0;
    while (at < segment->bytes && name[at] && name[at] != '/' && name[at] == segment->text[at]) {
        at++;
    }
    return at == segment->bytes && (!name[at] || name[at] == '/');
}

/* A {name} takes one segment that is not empty: a trailing slash is no route. */
static bool matches(const char *pattern, const struct target *target) {
    unsigned i = 0;
    while (*pattern) {
        const char *name = pattern + 1; /* behind the slash */
        if (i == target->segment_count) {
            return false;
        }
        const struct target_text *segment = &target->segment[i];
        bool is_any = *name == '{';
        if (is_any ? !segment->bytes : !is_literally(name, segment)) {
            return false;
        }
        i++;
        pattern = is_any ? strchr(name, '}') + 1 : name + segment->bytes;
    }
    return i == target->segment_count;
}

/* Methods that HTTP knows and nothing here serves: 405, not 501. */
static bool is_known_elsewhere(enum http_method method, const char *method_text) {
    return method != METHOD_OTHER || strcmp(method_text, "PATCH") == 0 || strcmp(method_text, "TRACE") == 0 ||
           strcmp(method_text, "CONNECT") == 0;
}

/* Every method of the path, once each: the table has no pair twice. */
static enum err list_methods(struct op *op, const struct target *target, struct buf *ret_allow) {
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        if (matches(table[i].pattern, target) && buf_printf(ret_allow, "%s%s", ret_allow->size ? ", " : "",
                                                            routes_method_name(table[i].method)) != OK) {
            return op_no_memory(op);
        }
    }
    return OK;
}

enum err routes_find(struct op *op, enum http_method method, const char *method_text,
                     const struct target *target, const struct route **ret_route, struct buf *ret_allow) {
    const struct route *route = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(table) && !route; i++) {
        route = table[i].method == method && matches(table[i].pattern, target) ? &table[i] : NULL;
    }
    if (route && method != METHOD_OPTIONS) {
        *ret_route = route;
        return OK;
    }
    enum err err = list_methods(op, target, ret_allow);
    if (err) {
        return err;
    }
    if (route) {
        *ret_route = route;
        return OK;
    }
    if (!ret_allow->size) {
        return op_fail(op, REASON_ROUTE_NOT_FOUND, "nothing is served under this path");
    }
    if (!is_known_elsewhere(method, method_text)) {
        return op_fail(op, REASON_METHOD_UNKNOWN, "the method is not known here");
    }
    return op_fail(op, REASON_METHOD_NOT_ALLOWED, "allowed here: %s", ret_allow->data);
}
