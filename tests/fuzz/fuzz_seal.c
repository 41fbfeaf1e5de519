/* fuzz_seal.c - secrets at rest. The input up to its first NUL is a secret: sealed and opened, it is itself. The rest is what somebody
 * changed of the sealed bytes (XOR: what was sealed before with this key must not be met by learning): it opens only if it is
 * untouched. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/state_seal.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/fuzz_seal_XXXXXX";
static struct sealer sealer;

static void clean(void) {
    sealer_fini(&sealer);
    MUST(unlinkat(sealer.dir_fd, "state.key", 0) == 0);
    close(sealer.dir_fd);
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    MUST(mkdtemp(folder));
    sealer_init(&sealer, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct op op;
    op_init(&op, 0, 0);
    struct buf buf;
    buf_init(&buf, 4096);
    MUST(sealer.dir_fd >= 0 && seal_text(&sealer, &op, "makes the key", &buf) == OK);
    buf_fini(&buf);
    atexit(clean);
    return 0;
}

static void check_refused(const void *bytes, size_t count) {
    struct op op;
    op_init(&op, 0, 0);
    char *text = NULL;
    MUST(seal_open_text(&sealer, &op, bytes, count, &text) == ERR_CORRUPT && !text);
    MUST(op.fault.reason == REASON_CORRUPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
    size_t bytes = end ? (size_t)(end - data) : size;
    char *secret = strndup((const char *)data, bytes);
    MUST(secret);
    struct op op;
    op_init(&op, 0, 0);
    struct buf sealed;
    buf_init(&sealed, SEAL_MOST_TEXT_BYTES + 256);
    if (seal_text(&sealer, &op, secret, &sealed) == OK) {
        char *opened = NULL;
        MUST(seal_open_text(&sealer, &op, sealed.data, sealed.size, &opened) == OK);
        MUST(strcmp(opened, secret) == 0);
        seal_free_text(opened);
        if (end) {
            size_t over = size - bytes - 1 < sealed.size ? size - bytes - 1 : sealed.size;
            bool differs = false;
            for (size_t i = 0; i < over; i++) {
                sealed.data[i] = (char)(sealed.data[i] ^ (char)end[1 + i]);
                differs = differs || end[1 + i];
            }
            if (differs) {
                check_refused(sealed.data, sealed.size);
            }
            check_refused(sealed.data, sealed.size - 1);
        }
    } else {
        MUST(bytes > SEAL_MOST_TEXT_BYTES);
    }
    check_refused(data, size);
    buf_fini(&sealed);
    free(secret);
    return 0;
}
