/* fuzz_journal.c - the file that remembers an upload in parts over a crash: whatever lies there, a record that is taken names an object and
 * an upload of this very store, and nothing else is. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/s3/s3_journal.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE "http://store/bucket"

static char folder[] = "/tmp/fuzz_journal_XXXXXX";
static char path[64];

static void clean(void) {
    char *slash;
    unlink(path);
    while ((slash = strrchr(path, '/')) && slash != path + 4) {
        *slash = '\0';
        rmdir(path);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    MUST(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/uploads", folder);
    MUST(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/uploads/s3", folder);
    MUST(mkdir(path, 0700) == 0);
    snprintf(path, sizeof path, "%s/uploads/s3/upload-abcdef", folder);
    atexit(clean);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
    struct s3_journal *journal = s3_journal_open(folder, "s3", STORE);
    MUST(journal);
    struct s3_ticket ticket;
    char record[S3_RECORD_BYTES];
    const char *name = NULL;
    const char *upload = NULL;
    if (s3_journal_take_leftover(journal, &ticket, record, &name, &upload)) {
        MUST(size > sizeof STORE && memcmp(data, STORE "\n", sizeof STORE) == 0);
        MUST(name >= record && name < upload && upload < record + sizeof record);
        MUST(!strchr(name, '\n') && !strchr(upload, '\n'));
        MUST(upload + strlen(upload) < record + sizeof record);
        MUST(!s3_journal_take_leftover(journal, &ticket, record, &name, &upload));
    }
    s3_journal_close(journal);
    return 0;
}
