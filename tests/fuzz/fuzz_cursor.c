/* fuzz_cursor.c - the cursor of an s3 listing as a client sends it back: what is taken is written again as it came, byte for byte, and
 * stays within the listing. (The other kinds' cursors are hashes; fuzz_request has them.) */
#include "pools/base/must.h"
#include "pools/s3/s3_cursor.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const unders[] = {"", "folder/", "folder/LAILA%3A"};
    char *text = strndup((const char *)data, size);
    MUST(text);
    for (size_t i = 0; i < ARRAY_COUNT(unders); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct s3_cursor cursor;
        if (s3_cursor_read(&op, text, unders[i], &cursor) != OK) {
            MUST(op.fault.reason == REASON_INVALID_QUERY);
            continue;
        }
        MUST(strncmp(cursor.after, unders[i], strlen(unders[i])) == 0);
        char *again = NULL;
        MUST(s3_cursor_write(&op, &cursor, &again) == OK && strcmp(again, text) == 0);
        free(again);
    }
    free(text);
    return 0;
}
