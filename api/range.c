/* range.c - see range.h. One walk over the value. */
#include "api/range.h"

#include "pools/condition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char unit[] = "bytes=";

static const char *skip_space(const char *text) {
    return text + strspn(text, " \t");
}

/* Digits; a number beyond 64 bits is as good as the largest: no entry reaches it. False when there are none. */
static bool scan_number(const char **position, uint64_t *ret_number) {
    const char *text = *position;
    uint64_t number = 0;
    bool overflow = false;
    for (; *text >= '0' && *text <= '9'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        overflow = overflow || number > (UINT64_MAX - digit) / 10;
        number = overflow ? UINT64_MAX : number * 10 + digit;
    }
    bool any = text != *position;
    *position = text;
    *ret_number = number;
    return any;
}

/* One range: "first-last", "first-" or "-count". */
static bool scan_range(const char **position, struct range_ask *ask) {
    const char *text = *position;
    ask->is_part = true;
    ask->is_suffix = !scan_number(&text, &ask->first);
    if (*text != '-') {
        return false;
    }
    text++;
    bool has_last = scan_number(&text, &ask->last);
    if (!has_last) {
        ask->last = UINT64_MAX;
    }
    *position = text;
    return ask->is_suffix ? has_last : ask->last >= ask->first;
}

enum err range_parse(struct op *op, const char *value, struct range_ask *ret_ask) {
    *ret_ask = (struct range_ask){0};
    if (!value) {
        return OK;
    }
    size_t unit_bytes = strcspn(value, "=");
    if (!value[unit_bytes] || !unit_bytes) {
        return op_fail(op, REASON_INVALID_HEADER, "Range: expected bytes=first-last");
    }
    if (unit_bytes != sizeof unit - 2 || strncasecmp(value, unit, unit_bytes) != 0) {
        return OK; /* another unit: the whole */
    }
    unsigned count = 0;
    const char *text = skip_space(value + unit_bytes + 1);
    for (;;) {
        if (!scan_range(&text, ret_ask)) {
            return op_fail(op, REASON_INVALID_HEADER, "Range: expected bytes=first-last");
        }
        count++;
        text = skip_space(text);
        if (*text != ',') {
            break;
        }
        text = skip_space(text + 1);
    }
    if (*text) {
        return op_fail(op, REASON_INVALID_HEADER, "Range: expected bytes=first-last");
    }
    ret_ask->is_part = count == 1;
    return OK;
}

enum err range_place(struct op *op, const struct range_ask *ask, uint64_t size_bytes,
                     struct range_part *ret_part) {
    uint64_t first = ask->first;
    uint64_t end = size_bytes; /* one behind the last */
    if (ask->is_suffix) {
        first = ask->last < size_bytes ? size_bytes - ask->last : 0;
    } else if (ask->last < size_bytes) {
        end = ask->last + 1;
    }
    if (first >= end) {
        return op_fail(op, REASON_RANGE, "the entry has %" PRIu64 " bytes; none of them is in the range",
                       size_bytes);
    }
    *ret_part = (struct range_part){.offset = first, .bytes = end - first};
    return OK;
}

bool range_is_current(const char *if_range, const struct meta *meta) {
    return !if_range || (if_range[0] == '"' && condition_tag_matches(meta, if_range));
}

void range_format(const struct range_part *part, uint64_t size_bytes, char ret_text[RANGE_FIELD_BYTES]) {
    snprintf(ret_text, RANGE_FIELD_BYTES, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, part->offset,
             part->offset + part->bytes - 1, size_bytes);
}

void range_format_unsatisfied(uint64_t size_bytes, char ret_text[RANGE_FIELD_BYTES]) {
    snprintf(ret_text, RANGE_FIELD_BYTES, "bytes */%" PRIu64, size_bytes);
}
