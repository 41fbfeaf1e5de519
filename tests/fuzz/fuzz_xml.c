/* fuzz_xml.c - what an S3 server may send as a body: listings, errors, multipart, bulk delete. Nothing of it is trusted: numbers are
 * bounded, texts fit and are fit to be shown, and a refusal says that the answer is unusable. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/object_store/list_xml.h"
#include "pools/s3/s3_errors.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

static void check_error(const struct error_answer *error) {
    MUST(strnlen(error->code, sizeof error->code) < sizeof error->code &&
         strspn(error->code, PLAIN) == strlen(error->code));
    MUST(strnlen(error->region, sizeof error->region) < sizeof error->region &&
         strspn(error->region, PLAIN) == strlen(error->region));
    static const unsigned statuses[] = {200, 301, 400, 403, 404, 409, 412, 429, 500, 501, 503, 599};
    for (size_t i = 0; i < ARRAY_COUNT(statuses); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct s3_refusal refusal = {.status = statuses[i], .code = error->code, .region = error->region};
        enum retry_cause cause;
        enum err err = s3_errors_record(&op, &refusal, &cause);
        MUST(err && err == reason_kind(op.fault.reason));
    }
}

static void expect_refused(const struct op *op, enum err err) {
    MUST(err == reason_kind(op->fault.reason));
    MUST(op->fault.reason == REASON_BAD_ANSWER || op->fault.reason == REASON_NO_MEMORY);
}

static void check_page(const char *text, size_t size) {
    struct op op;
    op_init(&op, 0, 0);
    struct list_page page;
    enum err err = list_xml_page(&op, text, size, &page);
    if (err) {
        expect_refused(&op, err);
        return;
    }
    MUST(page.count <= LIST_MOST_KEYS);
    for (size_t i = 0; i < page.count; i++) {
        MUST(page.keys[i] && strlen(page.keys[i]) <= size);
    }
    list_page_fini(&page);
}

static void check_upload(const char *text, size_t size) {
    struct op op;
    op_init(&op, 0, 0);
    char id[UPLOAD_ID_BYTES];
    enum err err = list_xml_upload_id(&op, text, size, id);
    if (err) {
        expect_refused(&op, err);
    } else {
        MUST(id[0] && memchr(id, '\0', sizeof id));
    }
    struct completed_answer completed;
    list_xml_completed(text, size, &completed);
    MUST(memchr(completed.etag, '\0', sizeof completed.etag));
}

static void check_deleted(const char *text, size_t size) {
    struct op op;
    op_init(&op, 0, 0);
    struct delete_answer answer;
    enum err err = list_xml_deleted(&op, text, size, &answer);
    if (err) {
        expect_refused(&op, err);
        return;
    }
    MUST(answer.failed <= LIST_MOST_KEYS);
    for (size_t i = 0; i < answer.failed; i++) {
        MUST(answer.failures[i].key && strcmp(answer.failures[i].error.code, "NoSuchKey") != 0);
        check_error(&answer.failures[i].error);
    }
    delete_answer_fini(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    struct error_answer error;
    list_xml_error(text, size, &error);
    check_error(&error);
    check_page(text, size);
    check_upload(text, size);
    check_deleted(text, size);
    return 0;
}
