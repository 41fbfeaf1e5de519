/* data_dir.c - see data_dir.h. */
#include "pools/base/data_dir.h"

#include "pools/base/attrs.h"

#include <string.h>

static bool is_one_of(const char *name, size_t bytes, const char *const *names) {
    for (; *names; names++) {
        if (strlen(*names) == bytes && memcmp(*names, name, bytes) == 0) {
            return true;
        }
    }
    return false;
}

bool data_dir_owns(const char *path) {
    static const char *const folders[] = {DATA_DIR_SPOOL, DATA_DIR_UPLOADS, NULL};
    static const char *const files[] = {DATA_DIR_LOCK,
                                        DATA_DIR_LISTEN,
                                        DATA_DIR_LISTEN DATA_DIR_NEW_SUFFIX,
                                        DATA_DIR_KEY,
                                        DATA_DIR_KEY DATA_DIR_NEW_SUFFIX,
                                        DATA_DIR_STATE,
                                        DATA_DIR_STATE "-wal",
                                        DATA_DIR_STATE "-shm",
                                        DATA_DIR_STATE "-journal",
                                        NULL};
    /* Nothing lies below a file: whoever asks for that cannot be given it anyway. */
    size_t bytes = strcspn(path, "/");
    return !bytes || is_one_of(path, bytes, folders) || is_one_of(path, bytes, files);
}
