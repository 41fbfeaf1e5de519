/* exchange_head.c - a request's head and trailers as the HTTP library hands them over, past the screen. See exchange_parts.h.
 *
 * What the library hides (0.9.75: NULs, folded lines) shows in where the pieces stand in its buffer. Poll threads only; the refusals
 * themselves are in screen.c.
 */
#include "server/exchange_parts.h"

static enum MHD_Result collect_field(void *list, enum MHD_ValueKind kind, const char *name, size_t name_bytes,
                                     const char *value, size_t value_bytes) {
    (void)kind;
    headers_add(list, name, name_bytes, value ? value : "", value ? value_bytes : 0);
    return MHD_YES;
}

#if MHD_VERSION < 0x01000000
/* Whether `next` stands right behind the line that ends at `end`: one or two bytes for the line end, zeroed by the library. */
static bool follows(const char *end, const char *next) {
    uintptr_t gap = (uintptr_t)next - (uintptr_t)end;
    return gap == 1 || gap == 2;
}

/* 0.9.75 takes a NUL for the end of a value and joins folded lines elsewhere in memory. Either shows as a gap between
 * neighbours in its buffer. */
static bool has_hidden_bytes(const struct headers *headers, const char *method, const char *version,
                             size_t head_bytes) {
    const char *end = version + strlen(version);
    for (unsigned i = 0; i < headers->count; i++) {
        const struct header_field *field = &headers->field[i];
        if (!follows(end, field->name)) {
            return true;
        }
        const char *at = field->name + field->name_bytes + 1;
        while (at < field->value && (*at == ' ' || *at == '\t')) {
            at++;
        }
        if (at != field->value) {
            return true;
        }
        end = field->value + strlen(field->value); /* with the blanks that headers_add cut off */
    }
    uintptr_t left = (uintptr_t)method + head_bytes - (uintptr_t)end;
    return left < 2 || left > 4;
}

/* The version stands behind the target's NUL unless the target has one of its own. */
static bool target_has_nul(const struct exchange *exchange, const char *version) {
    return (uintptr_t)version != exchange->target_place + exchange->target_bytes + 1;
}
#else
/* From 1.0 on the library refuses these itself. */
static bool has_hidden_bytes(const struct headers *headers, const char *method, const char *version,
                             size_t head_bytes) {
    (void)headers;
    (void)method;
    (void)version;
    (void)head_bytes;
    return false;
}

static bool target_has_nul(const struct exchange *exchange, const char *version) {
    (void)exchange;
    (void)version;
    return false;
}
#endif

static enum http_method method_of(const char *text) {
    static const struct {
        const char *text;
        enum http_method method;
    } known[] = {
        {"GET", METHOD_GET},   {"HEAD", METHOD_HEAD},     {"PUT", METHOD_PUT},
        {"POST", METHOD_POST}, {"DELETE", METHOD_DELETE}, {"OPTIONS", METHOD_OPTIONS},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (strcmp(known[i].text, text) == 0) {
            return known[i].method;
        }
    }
    return METHOD_OTHER;
}

static void take_method(struct exchange *exchange, const char *method) {
    size_t bytes = strnlen(method, sizeof exchange->method - 1);
    memcpy(exchange->method, method, bytes);
    exchange->method[bytes] = '\0';
    exchange->request.method = method_of(method);
    exchange->request.method_text = exchange->method;
}

enum err exchange_take_head(struct exchange *exchange, const char *method, const char *version) {
    take_method(exchange, method);
    struct headers *headers = &exchange->headers;
    struct op *op = &exchange->request.op;
    headers_fini(headers);
    headers_fini(&exchange->trailers);
    MHD_get_connection_values_n(exchange->connection, MHD_HEADER_KIND, collect_field, headers);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(exchange->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    size_t head_bytes = info ? info->header_size : 0;
    if (target_has_nul(exchange, version)) {
        return op_fail(op, REASON_INVALID_REQUEST, "the request target holds a NUL");
    }
    struct screen_head head = {
        .version = version,
        .target = exchange->target,
        .target_bytes = exchange->target_bytes,
        .has_hidden_bytes = !headers->overflow && has_hidden_bytes(headers, method, version, head_bytes),
        .head_bytes = head_bytes,
        .headers = headers,
        .hosts = exchange->set->config.hosts,
    };
    enum err err = screen_request(op, &head, &exchange->screened);
    if (!err && (headers->untidy || headers_has_twins(headers)) && !headers_own(headers)) {
        err = op_no_memory(op);
    }
    return err;
}

void exchange_take_trailers(struct exchange *exchange) {
    MHD_get_connection_values_n(exchange->connection, MHD_FOOTER_KIND, collect_field, &exchange->trailers);
    if (!headers_own(&exchange->trailers)) {
        headers_fini(&exchange->trailers); /* a trailer is an offer */
    }
}
