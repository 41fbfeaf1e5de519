/* s3_cursor.h - where a listing goes on: "<foreign>.<name>".
 *
 * How many keys that are no entries the pass has met, and the last object name seen, canonically encoded. Pure; fuzzed: a cursor comes
 * back from a client.
 */
#ifndef POOLS_S3_S3_CURSOR_H
#define POOLS_S3_S3_CURSOR_H

#include "pools/base/op.h"
#include "pools/s3/s3_key.h"

struct s3_cursor {
    char after[S3_NAME_BYTES]; /* the last name seen; "" = from the start */
    uint64_t foreign;
};

/* under: what the names of this listing begin with. ERR_INVALID (REASON_INVALID_QUERY) unless s3_cursor_write could have given it. */
enum err s3_cursor_read(struct op *op, const char *text, const char *under,
                        struct s3_cursor *ret_cursor) MUST_USE;
/* The text is the caller's (free). */
enum err s3_cursor_write(struct op *op, const struct s3_cursor *cursor, char **ret_text) MUST_USE;

#endif
