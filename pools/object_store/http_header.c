/* http_header.c - see http_header.h. */
#include "pools/object_store/http_header.h"

#include <strings.h>

void http_header_init(struct http_header *header, size_t most_bytes) {
    *header = (struct http_header){.status = 0};
    buf_init(&header->fields, most_bytes);
}

void http_header_fini(struct http_header *header) {
    buf_fini(&header->fields);
}

/* "HTTP/1.1 200 OK": the three digits after the first space; 0 when there are none. */
static unsigned parse_status(const char *line, size_t bytes) {
    const char *space = memchr(line, ' ', bytes);
    size_t at = space ? (size_t)(space - line) + 1 : bytes;
    unsigned status = 0;
    if (bytes - at < 3) {
        return 0;
    }
    for (size_t end = at + 3; at < end; at++) {
        if (line[at] < '0' || line[at] > '9') {
            return 0;
        }
        status = status * 10 + (unsigned)(line[at] - '0');
    }
    return status;
}

enum err http_header_add(struct http_header *header, const char *line, size_t bytes) {
    if (header->complete) {
        return OK;
    }
    while (bytes > 0 && (line[bytes - 1] == '\r' || line[bytes - 1] == '\n')) {
        bytes--;
    }
    if (bytes >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        buf_clear(&header->fields);
        header->status = parse_status(line, bytes);
        return OK;
    }
    if (bytes == 0) {
        header->complete = header->status >= 200;
        return OK;
    }
    bytes = strnlen(line, bytes); /* what follows a NUL would be taken for a field of its own */
    while (bytes > 0 && memchr(" \t\r", line[bytes - 1], 3)) {
        bytes--;
    }
    char *space = NULL;
    enum err err =
        buf_reserve(&header->fields, bytes + 1, &space); /* the whole line and its NUL, or nothing */
    if (err == OK) {
        memcpy(space, line, bytes);
        space[bytes] = '\0';
        buf_commit(&header->fields, bytes + 1);
    }
    return err;
}

const char *http_header_field(const struct http_header *header, const char *name) {
    size_t name_bytes = strlen(name);
    const char *found = NULL;
    for (size_t at = 0; at < header->fields.size;) {
        const char *line = header->fields.data + at;
        if (strncasecmp(line, name, name_bytes) == 0 && line[name_bytes] == ':') {
            found = line + name_bytes + 1;
        }
        at += strlen(line) + 1;
    }
    return found ? found + strspn(found, " \t") : NULL;
}
