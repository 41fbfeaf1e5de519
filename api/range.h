/* range.h - which part of an entry a GET asks for: Range and If-Range (RFC 9110, 13.1.5 and 14; design.md 13.15).
 *
 * One range of bytes is served. Several ranges, or another unit, are the whole entry: a server may ignore the field. What is no
 * Range field at all is refused, because its sender would take the whole for the part. Pure, any thread, fuzzed.
 */
#ifndef API_RANGE_H
#define API_RANGE_H

#include "pools/base/op.h"
#include "pools/entry.h"

#include <stdbool.h>
#include <stdint.h>

/* As asked: bytes first to last, both included, or the last `last` bytes. */
struct range_ask {
    bool is_part; /* false: the whole */
    bool is_suffix;
    uint64_t first;
    uint64_t last; /* UINT64_MAX = to the end */
};

/* As it lies in an entry of known size; bytes > 0. */
struct range_part {
    uint64_t offset;
    uint64_t bytes;
};

/* value NULL = the field was not sent. ERR_INVALID (REASON_INVALID_HEADER). */
enum err range_parse(struct op *op, const char *value, struct range_ask *ret_ask) MUST_USE;
/* ERR_RANGE (REASON_RANGE) when no byte of the entry is asked for. */
enum err range_place(struct op *op, const struct range_ask *ask, uint64_t size_bytes,
                     struct range_part *ret_part) MUST_USE;
/* Whether If-Range lets the part be served: not sent, or a strong tag that names the entry. A date cannot be compared: no entry has a
 * Last-Modified. */
bool range_is_current(const char *if_range, const struct meta *meta);

/* Content-Range of a 206, and of a 416. */
#define RANGE_FIELD_BYTES 72
void range_format(const struct range_part *part, uint64_t size_bytes, char ret_text[RANGE_FIELD_BYTES]);
void range_format_unsatisfied(uint64_t size_bytes, char ret_text[RANGE_FIELD_BYTES]);

#endif
