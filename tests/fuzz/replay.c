/* replay.c - runs a fuzz target over every file of its corpus, without a fuzzer: the regression half of fuzzing.
 *
 * Prints one line in the form of the check library, so that the test runner counts it: a corpus file is a check.
 * A target that finds something wrong aborts; the file's name stands on the line before.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MOST_BYTES (1 << 20)

static int replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return -1;
    }
    uint8_t *data = malloc(INPUT_MOST_BYTES);
    if (!data) {
        fclose(file);
        return -1;
    }
    size_t size = fread(data, 1, INPUT_MOST_BYTES, file);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    /* An exact copy, so that the sanitizer sees a read past the end. */
    uint8_t *exact = malloc(size ? size : 1);
    if (exact) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(data);
    return exact ? 0 : -1;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    LLVMFuzzerInitialize(&argc, &argv);
    DIR *folder = opendir(argv[1]);
    if (!folder) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    unsigned files = 0;
    unsigned failures = 0;
    for (struct dirent *item = readdir(folder); item; item = readdir(folder)) {
        if (item->d_name[0] == '.') {
            continue;
        }
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], item->d_name);
        files++;
        failures += replay_file(path) != 0;
    }
    closedir(folder);
    printf("%u%%: Checks: %u, Failures: %u, Errors: 0\n", files && !failures ? 100U : 0U, files, failures);
    return files && !failures ? 0 : 1;
}
