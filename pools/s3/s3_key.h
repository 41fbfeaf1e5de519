/* s3_key.h - ids, object names and URL paths.
 *
 *   id            "LAILA:ENTRY"            opaque
 *   object name   "prefix/LAILA%3AENTRY"   the pool's prefix, then the id's canonical percent-encoding
 *   on the wire   "/prefix/LAILA%253AENTRY" the name encoded again, slashes kept
 *
 * Pure functions. An object name is an entry exactly when what follows the prefix is a canonical encoding of a valid id.
 */
#ifndef POOLS_S3_S3_KEY_H
#define POOLS_S3_S3_KEY_H

#include "pools/base/buf.h"
#include "pools/id.h"

#define S3_MOST_NAME_BYTES 1024
#define S3_NAME_BYTES (S3_MOST_NAME_BYTES + 1)

/* False when the name would be longer than S3 allows. */
bool s3_key_from_id(const char *prefix, const struct id *id, char ret_name[S3_NAME_BYTES]) MUST_USE;
/* False when the name is no entry's. ret_id is NUL-terminated; ids hold no NUL. */
bool s3_key_to_id(const char *prefix, const char *name, char ret_id[ID_MOST_BYTES + 1],
                  size_t *ret_bytes) MUST_USE;
/* Appends the name as a URL path: everything but unreserved characters and '/' encoded. */
enum err s3_key_to_path(struct buf *buf, const char *name) MUST_USE;

#endif
