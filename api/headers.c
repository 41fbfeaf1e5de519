/* headers.c - see headers.h. Every parser walks its value once, left to right. */
#include "api/headers.h"

#include "api/dictionary.h"

#include <string.h>
#include <strings.h>

static const char *skip_space(const char *text) {
    return text + strspn(text, " \t");
}

/* ---- entity tags ---- */

static bool is_tag_byte(unsigned char byte) {
    return byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
}

/* One tag with its quotes from *position on; false when there is none. */
static bool scan_tag(const char **position, bool *ret_weak, const char **ret_tag, size_t *ret_bytes) {
    const char *text = *position;
    *ret_weak = strncmp(text, "W/", 2) == 0;
    if (*ret_weak) {
        text += 2;
    }
    if (*text != '"') {
        return false;
    }
    const char *end = text + 1;
    while (is_tag_byte((unsigned char)*end)) {
        end++;
    }
    if (*end != '"') {
        return false;
    }
    *ret_tag = text;
    *ret_bytes = (size_t)(end + 1 - text);
    *position = end + 1;
    return true;
}

static enum err add_tag(struct op *op, const char *field, struct condition *condition, const char *tag,
                        size_t bytes) {
    if (bytes >= ETAG_BYTES) {
        return OK; /* longer than any tag of ours: it names nothing */
    }
    if (condition->count == CONDITION_MOST_TAGS) {
        return op_fail(op, REASON_INVALID_HEADER, "%s: more than %d entity tags", field, CONDITION_MOST_TAGS);
    }
    memcpy(condition->tag[condition->count], tag, bytes);
    condition->tag[condition->count][bytes] = '\0';
    condition->count++;
    return OK;
}

static enum err parse_tags(struct op *op, const char *field, const char *value, struct condition *condition) {
    bool skips_weak = condition->kind == CONDITION_MATCH;
    unsigned seen = 0;
    for (const char *text = skip_space(value); *text; text = skip_space(text)) {
        if (*text == ',') {
            text++;
            continue;
        }
        bool weak = false;
        const char *tag = NULL;
        size_t bytes = 0;
        if (!scan_tag(&text, &weak, &tag, &bytes)) {
            return op_fail(op, REASON_INVALID_HEADER, "%s: expected \"*\" or quoted entity tags", field);
        }
        text = skip_space(text);
        if (*text && *text != ',') {
            return op_fail(op, REASON_INVALID_HEADER, "%s: expected a comma between entity tags", field);
        }
        seen++;
        enum err err = weak && skips_weak ? OK : add_tag(op, field, condition, tag, bytes);
        if (err) {
            return err;
        }
    }
    return seen ? OK : op_fail(op, REASON_INVALID_HEADER, "%s: no entity tag", field);
}

static bool is_star(const char *value) {
    value = skip_space(value);
    return *value == '*' && !*skip_space(value + 1);
}

enum err headers_condition(struct op *op, const char *if_match, const char *if_none_match,
                           struct condition *ret_condition) {
    ret_condition->kind = CONDITION_NONE;
    ret_condition->count = 0;
    if (if_match && if_none_match) {
        return op_fail(op, REASON_INVALID_HEADER, "If-Match and If-None-Match do not go together");
    }
    if (if_match) {
        ret_condition->kind = is_star(if_match) ? CONDITION_PRESENT : CONDITION_MATCH;
        return ret_condition->kind == CONDITION_PRESENT ? OK
                                                        : parse_tags(op, "If-Match", if_match, ret_condition);
    }
    if (if_none_match) {
        ret_condition->kind = is_star(if_none_match) ? CONDITION_ABSENT : CONDITION_NONE_MATCH;
        return ret_condition->kind == CONDITION_ABSENT
                   ? OK
                   : parse_tags(op, "If-None-Match", if_none_match, ret_condition);
    }
    return OK;
}

bool headers_condition_names(const struct condition *condition, const char *etag) {
    for (unsigned i = 0; i < condition->count; i++) {
        if (strcmp(condition->tag[i], etag) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- media types ---- */

bool headers_is_media(const char *content_type, const char *media) {
    if (!content_type) {
        return false;
    }
    content_type = skip_space(content_type);
    size_t bytes = strcspn(content_type, "; \t,");
    return bytes == strlen(media) && strncasecmp(content_type, media, bytes) == 0;
}

/* The quality of one Accept member in thousandths; 1000 without a q. */
static unsigned member_quality(const char *member, size_t bytes) {
    for (size_t i = 0; i + 2 < bytes; i++) {
        bool is_q = member[i] == ';' || member[i] == ' ' || member[i] == '\t';
        if (!is_q || (member[i + 1] != 'q' && member[i + 1] != 'Q') || member[i + 2] != '=') {
            continue;
        }
        unsigned quality = 0;
        unsigned scale = 1000;
        bool in_fraction = false;
        for (i += 3; i < bytes && scale; i++) {
            if (member[i] == '.' && !in_fraction) {
                in_fraction = true;
            } else if (member[i] >= '0' && member[i] <= '9') {
                quality += (unsigned)(member[i] - '0') * scale;
                scale /= 10;
            } else {
                break;
            }
        }
        return quality > 1000 ? 1000 : quality;
    }
    return 1000;
}

bool headers_prefers_json(const char *accept) {
    static const char *const ranges[2][2] = {{"application/json", "application/*"}, {"text/plain", "text/*"}};
    enum { JSON, PLAIN };
    unsigned quality[2] = {0, 0};
    unsigned precision[2] = {0, 0}; /* the most specific range counts: 1 any, 2 type, 3 exact */
    while (accept && *accept) {
        accept += strspn(accept, " \t,");
        size_t bytes = strcspn(accept, ",");
        for (int form = JSON; form <= PLAIN; form++) {
            unsigned fit = headers_is_media(accept, ranges[form][0])   ? 3
                           : headers_is_media(accept, ranges[form][1]) ? 2
                           : headers_is_media(accept, "*/*")           ? 1
                                                                       : 0;
            if (fit > precision[form]) {
                precision[form] = fit;
                quality[form] = member_quality(accept, bytes);
            }
        }
        accept += bytes;
    }
    return quality[JSON] > quality[PLAIN];
}

/* ---- Cache-Control ---- */

void headers_cache_control(const char *value, struct cache_directives *ret_directives) {
    *ret_directives = (struct cache_directives){0};
    while (value && *value) {
        value += strspn(value, " \t,");
        size_t bytes = strcspn(value, " \t,=");
        if (bytes == 14 && strncasecmp(value, "only-if-cached", bytes) == 0) {
            ret_directives->only_if_cached = true;
        } else if (bytes == 8 && strncasecmp(value, "no-store", bytes) == 0) {
            ret_directives->no_store = true;
        } else if (bytes == 8 && strncasecmp(value, "no-cache", bytes) == 0) {
            ret_directives->no_cache = true;
        }
        value += strcspn(value, ",");
    }
}

/* ---- digests ---- */

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 32 bytes are 43 digits and one pad. */
#define SHA256_BASE64_BYTES 44

static bool decode_sha256(const char *text, uint8_t ret_sha256[SHA256_BYTES]) {
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t used = 0;
    for (size_t i = 0; i < SHA256_BASE64_BYTES - 1; i++) {
        const char *digit = text[i] ? strchr(base64_digits, text[i]) : NULL;
        if (!digit) {
            return false;
        }
        bits = (bits << 6) | (uint32_t)(digit - base64_digits);
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            ret_sha256[used++] = (uint8_t)(bits >> bit_count);
        }
    }
    return text[SHA256_BASE64_BYTES - 1] == '=' && (bits & 3) == 0;
}

static enum err take_sha256(struct op *op, const char *field, const struct dictionary_member *member,
                            uint8_t ret_sha256[SHA256_BYTES]) {
    bool is_well_formed = member->value_bytes == SHA256_BASE64_BYTES + 2 && member->value[0] == ':' &&
                          decode_sha256(member->value + 1, ret_sha256);
    return is_well_formed
               ? OK
               : op_fail(op, REASON_INVALID_HEADER, "%s: expected sha-256=:<32 bytes in base64>:", field);
}

enum err headers_digest(struct op *op, const char *field, const char *value, bool *ret_has_sha256,
                        uint8_t ret_sha256[SHA256_BYTES]) {
    static const char name[] = "sha-256";
    *ret_has_sha256 = false;
    struct dictionary_member member;
    struct dictionary_member last = {0}; /* only the last of several is judged */
    enum dictionary_step step = DICTIONARY_END;
    while (value && (step = dictionary_next(&value, &member)) == DICTIONARY_MEMBER) {
        if (member.key_bytes == sizeof name - 1 && memcmp(member.key, name, member.key_bytes) == 0) {
            last = member;
        }
    }
    if (step != DICTIONARY_END) {
        return op_fail(op, REASON_INVALID_HEADER, "%s: expected algorithm=:<base64>:, ... (RFC 9530)", field);
    }
    if (!last.key) {
        return OK;
    }
    enum err err = take_sha256(op, field, &last, ret_sha256);
    *ret_has_sha256 = !err;
    return err;
}

void headers_format_digest(const uint8_t sha256[SHA256_BYTES], char ret_text[DIGEST_FIELD_BYTES]) {
    char *next = ret_text;
    memcpy(next, "sha-256=:", 9);
    next += 9;
    for (size_t i = 0; i < SHA256_BYTES; i += 3) {
        uint32_t bits = (uint32_t)sha256[i] << 16;
        bits |= i + 1 < SHA256_BYTES ? (uint32_t)sha256[i + 1] << 8 : 0;
        bits |= i + 2 < SHA256_BYTES ? (uint32_t)sha256[i + 2] : 0;
        *next++ = base64_digits[bits >> 18];
        *next++ = base64_digits[(bits >> 12) & 63];
        *next++ = base64_digits[(bits >> 6) & 63];
        *next++ = base64_digits[bits & 63];
    }
    next[-1] = '='; /* 32 bytes leave one digit over */
    memcpy(next, ":", 2);
}

bool headers_is_field_text(const char *text) {
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
            return false;
        }
    }
    return true;
}
