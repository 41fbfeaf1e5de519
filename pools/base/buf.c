/* buf.c - see buf.h. */
#include "pools/base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *buf, size_t max_bytes) {
    *buf = (struct buf){.max_bytes = max_bytes};
}

void buf_fini(struct buf *buf) {
    free(buf->data);
    *buf = (struct buf){.max_bytes = buf->max_bytes};
}

void buf_clear(struct buf *buf) {
    buf->size = 0;
    if (buf->data) {
        buf->data[0] = '\0';
    }
}

enum err buf_reserve(struct buf *buf, size_t count, char **ret_space) {
    if (count > buf->max_bytes || buf->size > buf->max_bytes - count) {
        return ERR_TOO_LARGE;
    }
    size_t need = buf->size + count + 1;
    if (need > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity : BUF_FIRST_BYTES;
        while (capacity < need) {
            capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
        }
        char *data = realloc(buf->data, capacity);
        if (!data) {
            return ERR_NO_MEMORY;
        }
        buf->data = data;
        buf->capacity = capacity;
    }
    buf->data[buf->size] = '\0';
    *ret_space = buf->data + buf->size;
    return OK;
}

void buf_commit(struct buf *buf, size_t count) {
    buf->size += count;
    buf->data[buf->size] = '\0';
}

enum err buf_append(struct buf *buf, const void *bytes, size_t count) {
    char *space = NULL;
    enum err err = buf_reserve(buf, count, &space);
    if (err) {
        return err;
    }
    if (count) {
        memcpy(space, bytes, count);
    }
    buf_commit(buf, count);
    return OK;
}

enum err buf_append_text(struct buf *buf, const char *text) {
    return buf_append(buf, text, strlen(text));
}

/* Printed where there is room already, which mostly is enough: to count first costs more than to print. */
enum err buf_printf(struct buf *buf, const char *format, ...) {
    char *space = NULL;
    enum err err = buf_reserve(buf, 0, &space);
    if (err) {
        return err;
    }
    size_t room = buf->capacity - buf->size;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(space, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room || (size_t)length > buf->max_bytes - buf->size) {
        *space = '\0'; /* all of it or nothing */
        err = length < 0 ? ERR_INTERNAL : buf_reserve(buf, (size_t)length, &space);
        if (err) {
            return err;
        }
        va_start(arguments, format);
        vsnprintf(space, (size_t)length + 1, format, arguments);
        va_end(arguments);
    }
    buf_commit(buf, (size_t)length);
    return OK;
}

char *buf_steal(struct buf *buf) {
    char *data = buf->data;
    *buf = (struct buf){.max_bytes = buf->max_bytes};
    return data;
}
