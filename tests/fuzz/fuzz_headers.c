/* fuzz_headers.c - request header fields: whatever is refused is refused with a reason, a digest that is taken is the one that
 * would be sent back, and the members of a dictionary lie one behind the other inside of it. */
#include "api/dictionary.h"
#include "api/headers.h"
#include "api/range.h"
#include "pools/base/must.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return 0;
}

static void check_members(const char *value) {
    const char *position = value;
    const char *end = value;
    struct dictionary_member member;
    while (dictionary_next(&position, &member) == DICTIONARY_MEMBER) {
        MUST(member.key >= end && member.key_bytes > 0);
        end = member.value ? member.value + member.value_bytes : member.key + member.key_bytes;
        MUST(end <= position && position <= value + strlen(value));
    }
}

static void check_digest(const char *value) {
    struct op op;
    op_init(&op, 0, 0);
    bool has_sha256 = false;
    uint8_t sha256[SHA256_BYTES];
    enum err err = headers_digest(&op, "Repr-Digest", value, &has_sha256, sha256);
    MUST(err == (op.fault.reason == REASON_NONE ? OK : ERR_INVALID));
    if (!err && has_sha256) {
        char text[DIGEST_FIELD_BYTES];
        headers_format_digest(sha256, text);
        MUST(strstr(value, text) != NULL);
    }
}

static void check_condition(const char *value) {
    struct op op;
    op_init(&op, 0, 0);
    struct condition condition;
    if (headers_condition(&op, NULL, value, &condition) == OK) {
        for (unsigned i = 0; i < condition.count; i++) {
            MUST(headers_condition_names(&condition, condition.tag[i]));
        }
    } else {
        MUST(op.fault.reason == REASON_INVALID_HEADER);
    }
}

/* Whatever is asked for, a part lies within the entry. */
static void check_range(const char *value) {
    static const uint64_t sizes[] = {0, 1, 1000, UINT64_MAX - 1};
    struct op op;
    op_init(&op, 0, 0);
    struct range_ask ask;
    if (range_parse(&op, value, &ask) != OK || !ask.is_part) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(sizes); i++) {
        struct range_part part;
        if (range_place(&op, &ask, sizes[i], &part) == OK) {
            MUST(part.bytes > 0 && part.offset < sizes[i] && part.bytes <= sizes[i] - part.offset);
        } else {
            MUST(op.fault.reason == REASON_RANGE);
        }
    }
}

/* Nothing is read out of a field that does not stand in it. */
static void check_words(const char *value) {
    struct cache_directives directives;
    headers_cache_control(value, &directives);
    MUST(!directives.only_if_cached || strcasestr(value, "only-if-cached"));
    MUST(!directives.no_store || strcasestr(value, "no-store"));
    MUST(!directives.no_cache || strcasestr(value, "no-cache"));
    MUST(!headers_prefers_json(value) || strchr(value, '/') || strchr(value, '*'));
    MUST(!headers_is_media(value, "application/json") || strcasestr(value, "application/json"));
    bool is_text = headers_is_field_text(value);
    for (const char *at = value; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        MUST(!is_text || (byte >= ' ' && byte != 0x7f) || byte == '\t');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *value = malloc(size + 1);
    MUST(value);
    memcpy(value, data, size);
    value[size] = '\0';
    check_members(value);
    check_digest(value);
    check_condition(value);
    check_range(value);
    check_words(value);
    free(value);
    return 0;
}
