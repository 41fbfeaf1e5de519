/* sigv4.h - AWS Signature Version 4 in the S3 flavour, as pure functions.
 *
 * Nothing here reads a clock, an environment or a network: the same request at the same time gives the
 * same signature, and the tests compare it with botocore's. The caller says everything that is signed,
 * the host, x-amz-date, x-amz-content-sha256 and x-amz-security-token fields included.
 *
 * S3 flavour: the path is signed as it goes on the wire, neither encoded again nor normalised.
 * (libcurl 7.88 has a signer too, but it sorts whole header lines and leaves the query unsorted.)
 */
#ifndef POOLS_OBJECT_STORE_SIGV4_H
#define POOLS_OBJECT_STORE_SIGV4_H

#include "pools/base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define SIGV4_DATE_BYTES 17 /* "20261122T093709Z" and the NUL */
#define SIGV4_MOST_PAIRS 64 /* of a query, and of a header */

struct sigv4_pair {
    const char *name;
    const char *value; /* never NULL; "" for a parameter without value */
};

struct sigv4_request {
    const char *method;
    const char *path;               /* percent-encoded, begins with '/' */
    const struct sigv4_pair *query; /* decoded: encoding and order are made here */
    size_t query_count;
    const struct sigv4_pair *fields; /* every header field to sign; names in any case */
    size_t field_count;
    const char *payload_hash; /* lower-case hex SHA-256 of the body */
};

struct sigv4_credentials {
    const char *access_key_id;
    const char *secret_access_key;
    const char *region;
    const char *service; /* "s3" */
};

/* The signing key of a day: made of the credentials alone, so that one serves all requests of that day. Four fifths of a signature's work. */
struct sigv4_key {
    char day[9]; /* "" = none yet */
    uint8_t bytes[32];
};

/* The value of x-amz-date. */
void sigv4_date(int64_t wall_ms, char ret_text[SIGV4_DATE_BYTES]);

/* Appends the query as it is signed and must be sent: strictly encoded, sorted by name then value, "name=" without value.
 * ERR_TOO_LARGE past SIGV4_MOST_PAIRS or the buffer's maximum. */
enum err sigv4_query(struct buf *buf, const struct sigv4_pair *query, size_t count) MUST_USE;

/* Appends the canonical request, then (when ret_signed_names is not NULL) appends "host;x-amz-date;..." there. */
enum err sigv4_canonical_request(struct buf *buf, const struct sigv4_request *request,
                                 struct buf *ret_signed_names) MUST_USE;

/* Appends the value of the Authorization field for a request whose x-amz-date is `date`. `key` is that of an earlier call with these
 * credentials, or empty; afterwards it is that of the date's day. */
enum err sigv4_authorization(struct buf *buf, const struct sigv4_credentials *credentials, const char *date,
                             const struct sigv4_request *request, struct sigv4_key *key) MUST_USE;

#endif
