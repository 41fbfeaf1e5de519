/* list_xml.h - the XML answers of the S3 protocol, parsed: listings, errors, multipart, bulk delete.
 *
 * Pure; no answer is trusted: see the limits of xml_walk.h. Failures are recorded as REASON_BAD_ANSWER.
 */
#ifndef POOLS_OBJECT_STORE_LIST_XML_H
#define POOLS_OBJECT_STORE_LIST_XML_H

#include "pools/base/attrs.h"
#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIST_MOST_KEYS 1000

struct list_page {
    char **keys; /* each owned; decoded when the server said EncodingType url */
    size_t count;
    bool truncated; /* there is more after the last key */
};
void list_page_fini(struct list_page *page);

/* ListObjectsV2. ret_page is set on success only. */
enum err list_xml_page(struct op *op, const char *bytes, size_t count, struct list_page *ret_page) MUST_USE;

struct error_answer {
    char code[64];   /* "NoSuchKey"; "" when the body is no S3 error */
    char region[64]; /* where the bucket is, when told */
};
/* Never fails: a body that is no error document gives empty texts. Only letters, digits and '-' pass, so the texts are safe to show. */
void list_xml_error(const char *bytes, size_t count, struct error_answer *ret_error);

#define UPLOAD_ID_BYTES 1024
/* InitiateMultipartUploadResult. */
enum err list_xml_upload_id(struct op *op, const char *bytes, size_t count,
                            char ret_id[UPLOAD_ID_BYTES]) MUST_USE;

struct completed_answer {
    bool sure;      /* the body is a CompleteMultipartUploadResult */
    char etag[256]; /* without quotes; "" = none told */
};
/* CompleteMultipartUploadResult. Never fails: another body is not sure. */
void list_xml_completed(const char *bytes, size_t count, struct completed_answer *ret_answer);

struct delete_failure {
    char *key; /* owned; "" when the answer names none */
    struct error_answer error;
};
struct delete_answer {
    struct delete_failure *failures; /* at most LIST_MOST_KEYS; NULL when there are none */
    size_t failed;
};
void delete_answer_fini(struct delete_answer *answer);
static inline void delete_answer_fini_auto(struct delete_answer *answer) {
    delete_answer_fini(answer);
}
/* DeleteResult of a quiet request: only failures are listed. NoSuchKey is no failure. ret_answer is set on success only. */
enum err list_xml_deleted(struct op *op, const char *bytes, size_t count,
                          struct delete_answer *ret_answer) MUST_USE;

#endif
