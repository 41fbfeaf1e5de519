/* screen.c - see screen.h. One check per function, in the order in which they are worth telling. */
#include "server/screen.h"

#include "api/target.h"
#include "pools/base/eight.h"
#include "pools/base/token.h"

#include <string.h>
#include <strings.h>

const char *const SCREEN_ANY_HOST[] = {NULL};

/* Fields that may come once; every other field that comes twice is a list (RFC 9110, 5.3). */
static const char *const single_fields[] = {
    "authorization",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "expect",
    "from",
    "host",
    "content-length",
    "if-modified-since",
    "if-range",
    "if-unmodified-since",
    "idempotency-key",
    "location",
    "max-forwards",
    "proxy-authorization",
    "range",
    "referer",
    "traceparent",
    "transfer-encoding",
    "user-agent",
};

size_t screen_answer_room(size_t head_bytes, unsigned field_count) {
    size_t used = head_bytes + (size_t)field_count * SCREEN_FIELD_BYTES;
    return used < SCREEN_MEMORY_BYTES ? SCREEN_MEMORY_BYTES - used : 0;
}

/* Control characters, and what is beyond ASCII, which is none. */
static uint64_t is_suspect(uint64_t eight) {
    return eight_below(eight, 0x20) | eight_from(eight, 0x7f);
}

static bool has_control(const char *text, size_t bytes) {
    uint64_t suspect = 0;
    for (size_t at = 0; at + EIGHT <= bytes; at += EIGHT) {
        suspect |= is_suspect(eight_load(text + at));
    }
    suspect |= is_suspect(eight_tail(text, bytes));
    bool has = false;
    for (size_t at = 0; suspect && at < bytes; at++) {
        unsigned char byte = (unsigned char)text[at];
        has |= (byte < 0x20 && byte != '\t') || byte == 0x7f;
    }
    return has;
}

static enum err check_fields(struct op *op, const struct screen_head *head) {
    if (head->headers->overflow) {
        return op_fail(op, REASON_HEADERS_TOO_LARGE, "more than %d header fields", HEADERS_MOST);
    }
    if (head->head_bytes > SCREEN_MOST_HEAD_BYTES) {
        return op_fail(op, REASON_HEADERS_TOO_LARGE, "the header block is larger than %d bytes",
                       SCREEN_MOST_HEAD_BYTES);
    }
    if (screen_answer_room(head->head_bytes, head->headers->count) < SCREEN_ANSWER_BYTES) {
        return op_fail(op, REASON_HEADERS_TOO_LARGE, "%u header fields may have %u bytes together",
                       head->headers->count,
                       SCREEN_MEMORY_BYTES - SCREEN_ANSWER_BYTES - head->headers->count * SCREEN_FIELD_BYTES);
    }
    for (unsigned i = 0; i < head->headers->count; i++) {
        const struct header_field *field = &head->headers->field[i];
        bool is_token = field->name_bytes > 0;
        for (size_t at = 0; at < field->name_bytes; at++) {
            is_token = is_token && token_has_byte((unsigned char)field->name[at]);
        }
        if (!is_token) {
            return op_fail(op, REASON_INVALID_HEADER, "a header name is not a token");
        }
        if (has_control(field->value, field->value_bytes)) {
            return op_fail(op, REASON_INVALID_HEADER, "a header value holds a control character");
        }
    }
    if (head->has_hidden_bytes) {
        return op_fail(op, REASON_INVALID_HEADER, "the header block holds a NUL or a folded line");
    }
    return OK;
}

static enum err check_single(struct op *op, const struct headers *headers) {
    if (!headers_has_twins(headers)) {
        return OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(single_fields); i++) {
        if (headers_count(headers, single_fields[i]) > 1) {
            return op_fail(op, REASON_INVALID_HEADER, "the field %s came more than once", single_fields[i]);
        }
    }
    return OK;
}

static bool text_is(const char *text, size_t bytes, const char *word) {
    return bytes == strlen(word) && strncasecmp(text, word, bytes) == 0;
}

/* The host without its port; false when it is not well-formed. */
static bool split_host(const char *host, size_t bytes, size_t *ret_name_bytes) {
    size_t name_bytes = bytes;
    if (bytes && host[0] == '[') {
        const char *close = memchr(host, ']', bytes);
        if (!close) {
            return false;
        }
        name_bytes = (size_t)(close - host) + 1;
    } else {
        const char *colon = memchr(host, ':', bytes);
        name_bytes = colon ? (size_t)(colon - host) : bytes;
    }
    if (name_bytes < bytes && host[name_bytes] != ':') {
        return false;
    }
    for (size_t i = name_bytes + 1; i < bytes; i++) {
        if (host[i] < '0' || host[i] > '9') {
            return false;
        }
    }
    for (size_t i = 0; i < name_bytes; i++) {
        if (!token_has_byte((unsigned char)host[i]) && !strchr("[]:(),;=", host[i])) {
            return false;
        }
    }
    *ret_name_bytes = name_bytes;
    return name_bytes > 0;
}

/* Digits and dots only: an address, which no foreign name server can hand out as a name of its own. */
static bool looks_like_ipv4(const char *name, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (name[i] != '.' && (name[i] < '0' || name[i] > '9')) {
            return false;
        }
    }
    return true;
}

static bool host_is_unspoofable(const char *name, size_t bytes) {
    static const char localhost[] = ".localhost";
    size_t tail = sizeof localhost - 1;
    return name[0] == '[' || !memchr(name, '.', bytes) || looks_like_ipv4(name, bytes) ||
           (bytes > tail && strncasecmp(name + bytes - tail, localhost, tail) == 0);
}

/* Whether the service answers to a well-formed host whose name without the port has name_bytes. */
static bool answers_to(const char *host, size_t host_bytes, size_t name_bytes, const char *const *hosts) {
    if (!hosts) {
        return host_is_unspoofable(host, name_bytes);
    }
    for (; *hosts; hosts++) {
        if (text_is(host, name_bytes, *hosts) || text_is(host, host_bytes, *hosts)) {
            return true;
        }
    }
    return false;
}

bool screen_host_allowed(const char *host, size_t host_bytes, const char *const *hosts) {
    size_t name_bytes = 0;
    return split_host(host, host_bytes, &name_bytes) &&
           (hosts == SCREEN_ANY_HOST || answers_to(host, host_bytes, name_bytes, hosts));
}

/* The authority of an absolute-form target (target_parse takes no other scheme); NULL = another form. */
static const char *find_authority(const struct screen_head *head, size_t *ret_bytes) {
    static const char scheme[] = "http://";
    size_t scheme_bytes = sizeof scheme - 1;
    if (head->target_bytes < scheme_bytes || head->target[0] == '/' ||
        strncasecmp(head->target, scheme, scheme_bytes) != 0) {
        return NULL;
    }
    *ret_bytes = strcspn(head->target + scheme_bytes, "/?");
    return head->target + scheme_bytes;
}

static enum err check_name(struct op *op, const struct screen_head *head, const char *what, const char *host,
                           size_t host_bytes, bool is_judged) {
    size_t name_bytes = 0;
    if (!split_host(host, host_bytes, &name_bytes)) {
        return op_fail(op, REASON_INVALID_HEADER, "%s is malformed", what);
    }
    if (is_judged && head->hosts != SCREEN_ANY_HOST &&
        !answers_to(host, host_bytes, name_bytes, head->hosts)) {
        return op_fail(op, REASON_INVALID_HEADER,
                       "%s names no host this service answers to (setting allowed_hosts)", what);
    }
    return OK;
}

/* An absolute-form target says itself which host is meant, and Host does not count (RFC 9112, 3.2.2); it must be well-formed all the
 * same. */
static enum err check_host(struct op *op, const struct screen_head *head, bool is_http_1_0) {
    const struct header_field *host = headers_find(head->headers, "host");
    size_t authority_bytes = 0;
    const char *authority = find_authority(head, &authority_bytes);
    if (!host && !is_http_1_0) {
        return op_fail(op, REASON_INVALID_HEADER, "an HTTP/1.1 request needs a Host field");
    }
    enum err err =
        host ? check_name(op, head, "the Host field", host->value, host->value_bytes, !authority) : OK;
    return err || !authority ? err
                             : check_name(op, head, "the request target", authority, authority_bytes, true);
}

/* Digits only, no sign, no list, no overflow. */
static bool parse_length(const struct header_field *field, uint64_t *ret_length) {
    uint64_t length = 0;
    for (size_t i = 0; i < field->value_bytes; i++) {
        char digit = field->value[i];
        if (digit < '0' || digit > '9' || length > (UINT64_MAX - 9) / 10) {
            return false;
        }
        length = length * 10 + (uint64_t)(digit - '0');
    }
    *ret_length = length;
    return field->value_bytes > 0;
}

static enum err check_framing(struct op *op, const struct headers *headers, struct screened *screened) {
    const struct header_field *length = headers_find(headers, "content-length");
    const struct header_field *coding = headers_find(headers, "transfer-encoding");
    if (coding && length) {
        return op_fail(op, REASON_INVALID_HEADER, "Content-Length came with Transfer-Encoding");
    }
    if (coding) {
        if (screened->is_http_1_0) {
            return op_fail(op, REASON_INVALID_HEADER, "HTTP/1.0 has no Transfer-Encoding");
        }
        if (!text_is(coding->value, coding->value_bytes, "chunked")) {
            return op_fail(op, REASON_TRANSFER_CODING, "the only transfer coding understood is chunked");
        }
        screened->has_body = true;
        screened->body_bytes = UINT64_MAX;
    }
    if (length) {
        if (!parse_length(length, &screened->body_bytes) || screened->body_bytes >= INT64_MAX) {
            return op_fail(op, REASON_INVALID_HEADER, "Content-Length is not a number");
        }
        screened->has_body = screened->body_bytes > 0;
    }
    return OK;
}

/* Whoever expects something else must not be left to believe that it was met (RFC 9110, 10.1.1). */
static enum err check_expect(struct op *op, const struct headers *headers, struct screened *screened) {
    const struct header_field *expect = headers_find(headers, "expect");
    if (!expect || !expect->value_bytes) {
        return OK;
    }
    if (!text_is(expect->value, expect->value_bytes, "100-continue")) {
        return op_fail(op, REASON_EXPECTATION_FAILED, "the only expectation understood is 100-continue");
    }
    screened->expects_continue = screened->has_body && !screened->is_http_1_0;
    return OK;
}

enum err screen_request(struct op *op, const struct screen_head *head, struct screened *ret_screened) {
    struct screened screened = {.is_http_1_0 = strcmp(head->version, "HTTP/1.0") == 0,
                                .answer_room_bytes =
                                    screen_answer_room(head->head_bytes, head->headers->count)};
    enum err err = check_fields(op, head);
    if (!err) {
        err = check_single(op, head->headers);
    }
    if (!err) {
        err = check_framing(op, head->headers, &screened);
    }
    if (!err) {
        err = check_host(op, head, screened.is_http_1_0);
    }
    if (!err) {
        err = check_expect(op, head->headers, &screened);
    }
    if (!err) {
        *ret_screened = screened;
    }
    return err;
}
