/* fuzz_percent.c - percent-decoding: what the canonical decoder accepts must encode back to the same bytes, and whatever the
 * plain decoder accepts must survive an encode and decode. */
#include "pools/base/must.h"
#include "pools/base/percent.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    char *decoded = malloc(size + 1);
    char *again = malloc(size * 3 + 1);
    MUST(decoded && again);
    size_t bytes = 0;
    struct buf encoded;
    buf_init(&encoded, size * 3 + 1);
    if (percent_decode_canonical(text, size, decoded, &bytes) == OK) {
        MUST(percent_encode(&encoded, decoded, bytes) == OK);
        MUST(encoded.size == size && (size == 0 || memcmp(encoded.data, text, size) == 0));
    }
    buf_clear(&encoded);
    if (percent_decode(text, size, decoded, &bytes) == OK) {
        MUST(bytes <= size);
        MUST(percent_encode(&encoded, decoded, bytes) == OK);
        size_t again_bytes = 0;
        MUST(percent_decode_canonical(encoded.data ? encoded.data : "", encoded.size, again, &again_bytes) ==
             OK);
        MUST(again_bytes == bytes && memcmp(again, decoded, bytes) == 0);
    }
    /* Validity does not depend on how the bytes are cut into pieces. */
    struct utf8 state = {0};
    bool valid = true;
    for (size_t i = 0; i < size && valid; i++) {
        valid = utf8_step(&state, data + i, 1);
    }
    MUST((valid && utf8_done(&state)) == utf8_valid(text, size));
    buf_fini(&encoded);
    free(again);
    free(decoded);
    return 0;
}
