/* target.c - see target.h. One pass over the raw bytes, one piece of memory that holds every decoded text.
 *
 * Pure: no state, any thread. Fuzzed by tests/fuzz.
 */
#include "api/target.h"

#include "pools/base/eight.h"
#include "pools/base/percent.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* /pools/{nick}/entries/{id}: what stands there is an id, and a bad one has its own problem type. */
#define ID_SEGMENT 3

/* Where decoded text goes: behind what was decoded so far. Decoding never lengthens, so the raw size plus
 * one NUL per text is room enough. */
struct decoder {
    struct op *op;
    char *next;
    /* no escape and nothing beyond ASCII in the whole target: every text stands for itself */
    bool is_literal;
    const char *raw; /* the part (path or query) that is decoded; a literal one is copied as a whole, */
    char *copy;      /* to here, and cut up */
};

/* Control characters, blanks, '#', '%', DEL and what is beyond ASCII, with a few that are as good as any and rarely sent. */
static uint64_t is_special(uint64_t eight) {
    return eight_below(eight, '&') | eight_from(eight, 0x7f);
}

/* Whether the target may be parsed at all, and whether it must be decoded: most need not be, and are looked through quickly. */
static bool look_through(const char *raw, size_t bytes, bool *ret_is_literal) {
    uint64_t special = 0;
    for (size_t at = 0; at + EIGHT <= bytes; at += EIGHT) {
        special |= is_special(eight_load(raw + at));
    }
    special |= is_special(eight_tail(raw, bytes));
    bool is_sound = true;
    bool is_literal = true;
    for (size_t i = 0; special && i < bytes; i++) {
        uint8_t byte = (uint8_t)raw[i];
        is_sound = is_sound && byte > 0x20 && byte != 0x7f && byte != '#';
        is_literal = is_literal && byte < 0x80 && byte != '%';
    }
    *ret_is_literal = is_literal;
    return is_sound;
}

static void begin_part(struct decoder *decoder, const char *raw, const char *end) {
    decoder->raw = raw;
    decoder->copy = decoder->next;
    if (decoder->is_literal) {
        memcpy(decoder->copy, raw, (size_t)(end - raw));
        decoder->next += end - raw + 1;
    }
}

static enum err decode_escapes(struct decoder *decoder, enum reason reason, const char *what, const char *raw,
                               size_t bytes, struct target_text *ret_text) {
    size_t decoded = bytes;
    if (percent_decode(raw, bytes, decoder->next, &decoded) != OK) {
        return op_fail(decoder->op, reason, "the %s has a malformed percent-encoding", what);
    }
    if (!utf8_valid(decoder->next, decoded)) {
        return op_fail(decoder->op, reason, "the %s is not valid UTF-8", what);
    }
    *ret_text = (struct target_text){.text = decoder->next, .bytes = decoded};
    decoder->next += decoded + 1;
    return OK;
}

/* The text that stands at `raw` in the part, with a delimiter or the part's end behind it. */
static inline enum err decode(struct decoder *decoder, enum reason reason, const char *what, const char *raw,
                              size_t bytes, struct target_text *ret_text) {
    if (!decoder->is_literal) {
        return decode_escapes(decoder, reason, what, raw, bytes, ret_text);
    }
    char *text = decoder->copy + (raw - decoder->raw);
    text[bytes] = '\0';
    *ret_text = (struct target_text){.text = text, .bytes = bytes};
    return OK;
}

static enum err parse_path(struct decoder *decoder, const char *path, const char *end,
                           struct target *target) {
    begin_part(decoder, path, end);
    while (path < end) {
        const char *segment = path + 1; /* behind the slash */
        const char *slash = memchr(segment, '/', (size_t)(end - segment));
        const char *segment_end = slash ? slash : end;
        if (target->segment_count == TARGET_MOST_SEGMENTS) {
            return op_fail(decoder->op, REASON_ROUTE_NOT_FOUND,
                           "no resource is that deep; a slash inside an id is written %%2F");
        }
        enum reason reason = target->segment_count == ID_SEGMENT ? REASON_INVALID_ID : REASON_INVALID_REQUEST;
        enum err err = decode(decoder, reason, reason == REASON_INVALID_ID ? "id" : "path", segment,
                              (size_t)(segment_end - segment), &target->segment[target->segment_count]);
        if (err) {
            return err;
        }
        target->segment_count++;
        path = segment_end;
    }
    return OK;
}

static enum err parse_parameter(struct decoder *decoder, const char *raw, const char *end,
                                struct target *target) {
    if (target->parameter_count == TARGET_MOST_PARAMETERS) {
        return op_fail(decoder->op, REASON_INVALID_QUERY, "the query has more than %d parameters",
                       TARGET_MOST_PARAMETERS);
    }
    struct target_parameter *parameter = &target->parameter[target->parameter_count];
    const char *equals = memchr(raw, '=', (size_t)(end - raw));
    const char *name_end = equals ? equals : end;
    enum err err =
        decode(decoder, REASON_INVALID_QUERY, "query", raw, (size_t)(name_end - raw), &parameter->name);
    if (err) {
        return err;
    }
    bool is_id = parameter->name.bytes == 2 && memcmp(parameter->name.text, "id", 2) == 0;
    const char *value = equals ? equals + 1 : end;
    err = decode(decoder, is_id ? REASON_INVALID_ID : REASON_INVALID_QUERY, is_id ? "id" : "query", value,
                 (size_t)(end - value), &parameter->value);
    if (err) {
        return err;
    }
    parameter->has_value = equals != NULL;
    for (unsigned i = 0; i < target->parameter_count; i++) {
        if (target->parameter[i].name.bytes == parameter->name.bytes &&
            memcmp(target->parameter[i].name.text, parameter->name.text, parameter->name.bytes) == 0) {
            return op_fail(decoder->op, REASON_INVALID_QUERY, "a query parameter is there twice");
        }
    }
    target->parameter_count++;
    return OK;
}

static enum err parse_query(struct decoder *decoder, const char *query, const char *end,
                            struct target *target) {
    begin_part(decoder, query, end);
    bool goes_on = query < end;
    while (goes_on) { /* behind the last '&' there is a parameter too, an empty one as between two */
        const char *ampersand = memchr(query, '&', (size_t)(end - query));
        const char *parameter_end = ampersand ? ampersand : end;
        enum err err = parse_parameter(decoder, query, parameter_end, target);
        if (err) {
            return err;
        }
        goes_on = ampersand != NULL;
        query = goes_on ? ampersand + 1 : end;
    }
    return OK;
}

/* RFC 9112 3.2.2: a server takes the absolute form too; the authority is judged in server/screen.c, and a path left out is "/". Returns where
 * path and query begin. */
static const char *skip_authority(const char *raw, const char *end) {
    static const char scheme[] = "http://";
    size_t scheme_bytes = sizeof scheme - 1;
    if ((size_t)(end - raw) < scheme_bytes || *raw == '/' || strncasecmp(raw, scheme, scheme_bytes) != 0) {
        return raw;
    }
    raw += scheme_bytes;
    while (raw < end && *raw != '/' && *raw != '?') {
        raw++;
    }
    return raw;
}

enum err target_parse(struct op *op, const char *raw, size_t bytes, struct target *ret_target) {
    target_init(ret_target);
    if (bytes > TARGET_MOST_BYTES) {
        return op_fail(op, REASON_URI_TOO_LONG, "the request target has more than %d bytes",
                       TARGET_MOST_BYTES);
    }
    bool is_literal = false;
    if (!look_through(raw, bytes, &is_literal)) {
        return op_fail(op, REASON_INVALID_REQUEST,
                       "the request target has a byte that must be percent-encoded");
    }
    const char *end = raw + bytes;
    const char *path = skip_authority(raw, end);
    bool is_absolute = path != raw;
    if (!is_absolute && (path == end || *path != '/')) {
        return op_fail(op, REASON_INVALID_REQUEST, "the request target does not begin with a slash");
    }
    const char *question = memchr(path, '?', (size_t)(end - path));
    const char *path_end = question ? question : end;
    if (path == path_end) {
        path = "/";
        path_end = path + 1;
    }

    size_t most_texts = TARGET_MOST_SEGMENTS + 2 * (TARGET_MOST_PARAMETERS + 1);
    struct decoder decoder = {.op = op, .next = ret_target->room, .is_literal = is_literal};
    if (bytes + most_texts > sizeof ret_target->room) {
        ret_target->memory = malloc(bytes + most_texts);
        if (!ret_target->memory) {
            return op_no_memory(op);
        }
        decoder.next = ret_target->memory;
    }
    enum err err = parse_path(&decoder, path, path_end, ret_target);
    if (!err && question) {
        err = parse_query(&decoder, question + 1, end, ret_target);
    }
    if (err) {
        target_fini(ret_target);
    }
    return err;
}

void target_init(struct target *target) {
    target->segment_count = 0;
    target->parameter_count = 0;
    target->memory = NULL;
}

void target_fini(struct target *target) {
    free(target->memory);
    target_init(target);
}

const struct target_text *target_query(const struct target *target, const char *name) {
    size_t bytes = strlen(name);
    for (unsigned i = 0; i < target->parameter_count; i++) {
        const struct target_parameter *parameter = &target->parameter[i];
        if (parameter->name.bytes == bytes && memcmp(parameter->name.text, name, bytes) == 0) {
            return &parameter->value;
        }
    }
    return NULL;
}
