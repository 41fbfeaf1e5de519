/* fuzz_config.c - the configuration and the secrets file, as text: a form feed divides the first from the second. Whatever is
 * refused is refused in a sentence that names the file, and what is accepted has alpha and a chain that can be read again. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/chain/expr.h"
#include "pools/registry.h"
#include "server/config.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_BYTES 32
#define FOLDER "/proc/self/fd/"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

/* A file that exists in memory only; its descriptor, and the path under which config_load opens it. */
static int make_file(const uint8_t *text, size_t bytes, char ret_path[PATH_BYTES]) {
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    MUST(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes);
    snprintf(ret_path, PATH_BYTES, FOLDER "%d", fd);
    return fd;
}

static void check_config(const struct config *config) {
    bool has_alpha = false;
    for (size_t i = 0; i < config->pool_count; i++) {
        MUST(config->pools[i].settings && nickname_valid(config->pools[i].nickname));
        has_alpha = has_alpha || strcmp(config->pools[i].nickname, POOL_ALPHA) == 0;
    }
    MUST(has_alpha);
    struct op op;
    op_init(&op, 0, 0);
    struct expr_links links = {0};
    MUST(expr_parse(&op, config->chain_text, strlen(config->chain_text), &links) == OK);
    expr_links_fini(&links);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *divide = size ? memchr(data, '\f', size) : NULL;
    size_t config_bytes = divide ? (size_t)(divide - data) : size;
    char config_path[PATH_BYTES];
    char secrets_path[PATH_BYTES];
    int config_fd = make_file(data, config_bytes, config_path);
    int secrets_fd = divide ? make_file(divide + 1, size - config_bytes - 1, secrets_path) : -1;

    struct args args = {.config = config_path, .secrets = divide ? secrets_path : NULL};
    struct complaint complaint = {{0}};
    struct config *config = config_load(&args, &complaint);
    if (config) {
        check_config(config);
    } else {
        MUST(strncmp(complaint.text, FOLDER, sizeof FOLDER - 1) == 0);
    }
    config_free(config);
    close(config_fd);
    if (divide) {
        close(secrets_fd);
    }
    return 0;
}
