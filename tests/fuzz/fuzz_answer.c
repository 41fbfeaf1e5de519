/* fuzz_answer.c - the header of a store's answer, line by line, and the values that are read out of it: whatever a line holds, a
 * field's value is one of the lines and bounded; base64 that is taken encodes back to itself. */
#include "pools/base/hex.h"
#include "pools/base/must.h"
#include "pools/object_store/encoding.h"
#include "pools/object_store/http_header.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define MOST_BYTES 2048

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return 0;
}

static void check_values(const char *value) {
    struct buf bytes;
    struct buf again;
    buf_init(&bytes, MOST_BYTES);
    buf_init(&again, MOST_BYTES * 2);
    if (base64_decode(&bytes, value, strlen(value)) == OK) {
        MUST(base64_encode(&again, bytes.data ? bytes.data : "", bytes.size) == OK);
        /* The last group may carry bits that stand for nothing; all before it is fixed. */
        MUST(again.size == strlen(value));
        MUST(again.size < 4 || memcmp(again.data, value, again.size - 4) == 0);
    }
    MUST(http_date_ms(value) >= 0 || value[0]);
    buf_fini(&bytes);
    buf_fini(&again);
}

static void check_fields(const struct http_header *header) {
    static const char *const names[] = {"ETag",          "Content-Length",       "Content-Range",
                                        "Last-Modified", "x-amz-meta-lailad-x0", "a"};
    MUST(header->fields.size <= MOST_BYTES && header->status <= 999);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        const char *value = http_header_field(header, names[i]);
        if (!value) {
            continue;
        }
        MUST(value >= header->fields.data &&
             value + strlen(value) < header->fields.data + header->fields.size);
        size_t bytes = strlen(value);
        MUST(bytes == 0 || (!strchr(" \t", value[0]) && !strchr(" \t\r\n", value[bytes - 1])));
        check_values(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct http_header header;
    http_header_init(&header, MOST_BYTES);
    enum err err = OK;
    for (size_t at = 0; at < size && err == OK;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t bytes = end ? (size_t)(end - data) + 1 - at : size - at;
        bool was_complete = header.complete;
        unsigned status = header.status;
        err = http_header_add(&header, (const char *)data + at, bytes);
        MUST(err == OK || err == ERR_TOO_LARGE);
        MUST(!was_complete || (header.complete && header.status == status)); /* trailers change nothing */
        at += bytes;
    }
    MUST(!header.complete || header.status >= 200);
    check_fields(&header);
    http_header_fini(&header);
    return 0;
}
