/* text_file.h - a whole small file in memory. */
#ifndef SERVER_TEXT_FILE_H
#define SERVER_TEXT_FILE_H

#include "pools/base/buf.h"

#define TEXT_FILE_MOST_BYTES ((size_t)1 << 20)

/* 0, or the errno (EFBIG past the limit). The buf is initialised here and the caller's to fini in either case. */
int text_file_read(const char *path, struct buf *ret_buf);
/* Writes beside it and renames, mode 0644. 0 or the errno. */
int text_file_write(const char *path, const char *text);

#endif
