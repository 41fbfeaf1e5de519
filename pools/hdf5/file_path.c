/* file_path.c - see file_path.h. */
#include "pools/hdf5/file_path.h"

#include "pools/hdf5/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the text ---- */

/* ".." is such a part, and so is what other programs hide. */
static bool has_dotted_part(const char *path) {
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (*part == '.') {
            return true;
        }
    }
    return false;
}

static bool ends_in(const char *text, const char *end) {
    size_t bytes = strlen(text);
    size_t end_bytes = strlen(end);
    return bytes >= end_bytes && strcmp(text + bytes - end_bytes, end) == 0;
}

/* The daemon's own files inside the data directory (its keys, its database, its lock) are not named like an HDF5 file. */
static enum err check_rest_text(struct op *op, const char *path) {
    if (path[0] == '/' || has_dotted_part(path)) {
        return op_fail(
            op, REASON_INVALID_CONFIG,
            "path must stay below the data directory: no leading \"/\", no part that begins with \".\"");
    }
    if (!ends_in(path, ".h5") && !ends_in(path, ".hdf5")) {
        return op_fail(op, REASON_INVALID_CONFIG, "path must end in .h5 or .hdf5");
    }
    return OK;
}

static enum err fail_long(struct op *op) {
    return op_fail(op, REASON_INVALID_CONFIG, "path must be a file name of at most %d bytes", PATH_MAX - 1);
}

/* The data directory and what the options say, or <nickname>.h5. */
static enum err join(struct op *op, const struct pool_environment *environment, const char *nickname,
                     const struct settings *settings, char ret_path[PATH_MAX]) {
    const char *path = settings_text(settings, "path");
    char standard[NICKNAME_BYTES + sizeof ".h5"];
    snprintf(standard, sizeof standard, "%s.h5", nickname);
    path = path ? path : standard;
    enum err err = environment->from_rest ? check_rest_text(op, path) : OK;
    if (err) {
        return err;
    }
    int length = path[0] == '/' ? snprintf(ret_path, PATH_MAX, "%s", path)
                                : snprintf(ret_path, PATH_MAX, "%s/%s", environment->data_dir, path);
    if (!path[0] || length < 0 || length >= PATH_MAX) {
        return fail_long(op);
    }
    if (ends_in(path, STORE_COMPACT_SUFFIX)) {
        return op_fail(op, REASON_INVALID_CONFIG, "path must not end in " STORE_COMPACT_SUFFIX);
    }
    return OK;
}

/* ---- the disk ---- */

/* Whether the path is the folder, or below it. */
static bool is_below(const char *path, const char *folder) {
    size_t bytes = strlen(folder);
    return strncmp(path, folder, bytes) == 0 && (path[bytes] == '/' || path[bytes] == '\0');
}

/* Replaces the path by the resolved one. A folder that is not there is not opened either: opening tells. */
static enum err check_rest_links(struct op *op, const char *data_dir, char path[PATH_MAX]) {
    char root[PATH_MAX];
    char folder[PATH_MAX];
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode)) {
        return op_fail(op, REASON_INVALID_CONFIG, "path must not be a symbolic link");
    }
    char *name = strrchr(path, '/');
    *name++ = '\0';
    bool found = realpath(data_dir, root) && realpath(path, folder);
    int error = errno;
    name[-1] = '/';
    if (!found) {
        return error == ENOENT || error == ENOTDIR
                   ? op_fail(op, REASON_POOL_FAILED, "the file or its directory does not exist")
                   : op_fail(op, REASON_POOL_FAILED, "the file's directory cannot be opened");
    }
    if (!is_below(folder, root)) {
        return op_fail(op, REASON_INVALID_CONFIG,
                       "path must stay below the data directory: a symbolic link on it leads out");
    }
    char resolved[PATH_MAX];
    int length = snprintf(resolved, sizeof resolved, "%s/%s", folder, name);
    if (length < 0 || length >= PATH_MAX) {
        return fail_long(op);
    }
    memcpy(path, resolved, (size_t)length + 1);
    return OK;
}

enum err file_path_find(struct op *op, const struct pool_environment *environment, const char *nickname,
                        struct settings *settings, char ret_path[PATH_MAX]) {
    enum err err = join(op, environment, nickname, settings, ret_path);
    size_t data_dir_bytes = strlen(environment->data_dir);
    if (!err && is_below(ret_path, environment->data_dir) && ret_path[data_dir_bytes]) {
        err = settings_set_text(settings, op, "path", ret_path + data_dir_bytes + 1);
    }
    return err || !environment->from_rest ? err : check_rest_links(op, environment->data_dir, ret_path);
}

/* ---- one name for one file ---- */

/* Adds the parts of `rest` to the path, which is absolute and has no links. */
static bool append_parts(char path[PATH_MAX], const char *rest) {
    while (*rest) {
        size_t bytes = strcspn(rest, "/");
        size_t used = strlen(path);
        if (bytes == 2 && strncmp(rest, "..", 2) == 0) {
            char *last = strrchr(path, '/');
            *(last == path ? last + 1 : last) = '\0';
        } else if (bytes && !(bytes == 1 && rest[0] == '.')) {
            int length =
                snprintf(path + used, PATH_MAX - used, "%s%.*s", used > 1 ? "/" : "", (int)bytes, rest);
            if (length < 0 || (size_t)length >= PATH_MAX - used) {
                return false;
            }
        }
        rest += bytes + (rest[bytes] == '/');
    }
    return true;
}

enum err file_path_canonical(struct op *op, const struct pool_environment *environment, const char *nickname,
                             const struct settings *settings, char ret_path[PATH_MAX]) {
    char path[PATH_MAX];
    enum err err = join(op, environment, nickname, settings, path);
    if (err) {
        return err;
    }
    /* The longest part that exists; one byte is taken out of the text at a time and put back. */
    size_t bytes = strlen(path);
    for (size_t at = bytes; at > 0; at--) {
        char there = path[at];
        if (there != '/' && there != '\0') {
            continue;
        }
        path[at] = '\0';
        bool exists = realpath(path, ret_path) != NULL;
        path[at] = there;
        if (exists) {
            return append_parts(ret_path, path + at) ? OK : fail_long(op);
        }
    }
    if (path[0] == '/' || !getcwd(ret_path, PATH_MAX)) {
        memcpy(ret_path, "/", 2);
    }
    return append_parts(ret_path, path) ? OK : fail_long(op);
}
