/* file_path.c - see file_path.h. */
#include "pools/hdf5/file_path.h"

#include "pools/base/data_dir.h"
#include "pools/hdf5/store.h"
#include "pools/hdf5/vfd/medium.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_DANGLING_LINKS 40 /* as many as the kernel follows */

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
    return !path[0] || ends_in(path, "/") || length < 0 || length >= PATH_MAX ? fail_long(op) : OK;
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

/* How much of the path exists; ret_path has that part, resolved. One byte is taken out of the text at a time and put back. */
static size_t resolve_existing(char *path, char ret_path[PATH_MAX]) {
    for (size_t at = strlen(path); at > 0; at--) {
        char there = path[at];
        if (there != '/' && there != '\0') {
            continue;
        }
        path[at] = '\0';
        bool exists = realpath(path, ret_path) != NULL;
        path[at] = there;
        if (exists) {
            return at;
        }
    }
    if (path[0] == '/' || !getcwd(ret_path, PATH_MAX)) {
        memcpy(ret_path, "/", 2);
    }
    return 0;
}

/* Whether the first part that does not exist is a link all the same; the path then says where it leads. */
static bool follow_dangling(char path[PATH_MAX], size_t existing_bytes) {
    size_t link_bytes = existing_bytes + strspn(path + existing_bytes, "/");
    link_bytes += strcspn(path + link_bytes, "/");
    char link[PATH_MAX];
    char target[PATH_MAX];
    snprintf(link, sizeof link, "%.*s", (int)link_bytes, path);
    ssize_t target_bytes = readlink(link, target, sizeof target - 1);
    if (target_bytes <= 0) {
        return false;
    }
    target[target_bytes] = '\0';
    char rest[PATH_MAX];
    snprintf(rest, sizeof rest, "%s", path + link_bytes);
    bool is_beside = target[0] != '/' && (existing_bytes || path[0] == '/');
    int length = snprintf(link, sizeof link, "%.*s%s%s%s", is_beside ? (int)existing_bytes : 0, path,
                          is_beside ? "/" : "", target, rest);
    if (length < 0 || length >= PATH_MAX) {
        return false;
    }
    memcpy(path, link, (size_t)length + 1);
    return true;
}

/* False when the name would be too long. Changes the text. */
static bool resolve(char path[PATH_MAX], char ret_path[PATH_MAX]) {
    size_t existing_bytes = resolve_existing(path, ret_path);
    for (int links = 0; links < MOST_DANGLING_LINKS && follow_dangling(path, existing_bytes); links++) {
        existing_bytes = resolve_existing(path, ret_path);
    }
    return append_parts(ret_path, path + existing_bytes);
}

/* The rule for every path, whoever names it: no file that something else writes. path is resolved. */
static enum err check_ours(struct op *op, const char *data_dir, const char *path) {
    char text[PATH_MAX];
    char root[PATH_MAX];
    int length = snprintf(text, sizeof text, "%s", data_dir);
    if (length < 0 || length >= PATH_MAX || !resolve(text, root)) {
        return fail_long(op);
    }
    size_t root_bytes = strlen(root);
    bool is_inside = is_below(path, root);
    if (is_inside && data_dir_owns(path + root_bytes + (path[root_bytes] == '/'))) {
        return op_fail(op, REASON_INVALID_CONFIG,
                       "path must not lead to a file or folder that the daemon keeps for itself");
    }
    static const char *const beside[] = {MEDIUM_JOURNAL_SUFFIX, STORE_COMPACT_SUFFIX};
    for (size_t i = 0; i < ARRAY_COUNT(beside); i++) {
        if (ends_in(path, beside[i])) {
            return op_fail(op, REASON_INVALID_CONFIG,
                           "path must not end in %s: the daemon keeps such a file beside an HDF5 file",
                           beside[i]);
        }
    }
    return OK;
}

enum err file_path_canonical(struct op *op, const struct pool_environment *environment, const char *nickname,
                             const struct settings *settings, char ret_path[PATH_MAX]) {
    char path[PATH_MAX];
    enum err err = join(op, environment, nickname, settings, path);
    if (err) {
        return err;
    }
    return resolve(path, ret_path) ? check_ours(op, environment->data_dir, ret_path) : fail_long(op);
}

/* ---- what is opened ---- */

enum err file_path_find(struct op *op, const struct pool_environment *environment, const char *nickname,
                        struct settings *settings, char ret_path[PATH_MAX]) {
    char canonical[PATH_MAX];
    enum err err = file_path_canonical(op, environment, nickname, settings, canonical);
    if (!err) {
        err = join(op, environment, nickname, settings, ret_path);
    }
    size_t data_dir_bytes = strlen(environment->data_dir);
    if (!err && is_below(ret_path, environment->data_dir) && ret_path[data_dir_bytes]) {
        err = settings_set_text(settings, op, "path", ret_path + data_dir_bytes + 1);
    }
    if (!err && environment->from_rest) {
        return check_rest_links(op, environment->data_dir, ret_path);
    }
    if (!err) { /* what lies beside the file, and takes its place, does so where it really is */
        memcpy(ret_path, canonical, sizeof canonical);
    }
    return err;
}
