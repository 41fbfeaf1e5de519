/* target.h - the request target: raw path and query to segments and parameters, each decoded exactly once.
 *
 * Pure and fuzzed. Works on the raw bytes of the request line: the HTTP library's own unescaping never sees them. A '+' is a
 * plus. Dot segments are data, never resolved. An empty segment counts ("/pools/a/entries/" has an empty last segment).
 * Bad escapes and invalid UTF-8 are ERR_INVALID. design.md 13.10.
 */
#ifndef API_TARGET_H
#define API_TARGET_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>

#define TARGET_MOST_SEGMENTS 8
#define TARGET_MOST_PARAMETERS 8
#define TARGET_MOST_BYTES 16384
#define TARGET_ROOM_BYTES 256

struct target_text {
    const char *text; /* decoded, NUL-terminated, in the target's own memory */
    size_t bytes;     /* may differ from strlen when %00 was sent: the user of the segment must look */
};
struct target_parameter {
    struct target_text name;
    struct target_text value;
    bool has_value;
};
/* Never copied nor moved: the texts of most targets stand in its own room. */
struct target {
    unsigned segment_count;
    unsigned parameter_count;
    char *memory; /* owned; of a target that does not fit into the room */
    struct target_text segment[TARGET_MOST_SEGMENTS];
    struct target_parameter parameter[TARGET_MOST_PARAMETERS];
    char room[TARGET_ROOM_BYTES];
};

/* Without segments and parameters. */
void target_init(struct target *target);
/* On failure ret_target is as after target_init. More segments than the table has is ERR_NOT_FOUND (no route is that deep). */
enum err target_parse(struct op *op, const char *raw, size_t bytes, struct target *ret_target) MUST_USE;
void target_fini(struct target *target);
/* The parameter's value, or NULL when it is not there ("" when it has none). */
const struct target_text *target_query(const struct target *target, const char *name);

#endif
