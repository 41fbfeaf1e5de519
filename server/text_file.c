/* text_file.c - see text_file.h. */
#include "server/text_file.h"

#include "pools/base/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int text_file_read(const char *path, struct buf *ret_buf) {
    buf_init(ret_buf, TEXT_FILE_MOST_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int failure = 0;
    char piece[8192];
    for (;;) {
        ssize_t count = read(fd, piece, sizeof piece);
        if (count == 0) {
            break;
        }
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            failure = errno;
            break;
        }
        enum err err = buf_append(ret_buf, piece, (size_t)count);
        if (err) {
            failure = err == ERR_TOO_LARGE ? EFBIG : ENOMEM;
            break;
        }
    }
    close(fd);
    return failure;
}

int text_file_write(const char *path, const char *text) {
    char beside[4096];
    int length = snprintf(beside, sizeof beside, "%s" DATA_DIR_NEW_SUFFIX, path);
    if (length < 0 || (size_t)length >= sizeof beside) {
        return ENAMETOOLONG;
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return errno;
    }
    size_t bytes = strlen(text);
    ssize_t written = write(fd, text, bytes);
    int failure = written < 0 ? errno : (size_t)written < bytes ? ENOSPC : 0;
    if (close(fd) != 0 && !failure) {
        failure = errno;
    }
    if (!failure && rename(beside, path) != 0) {
        failure = errno;
    }
    if (failure) {
        unlink(beside);
    }
    return failure;
}
