/* response.c - the answer as handlers build it: status, header fields, one kind of body.
 *
 * Header values live one behind the other in header_text; the array points into it and moves along when it
 * grows. What does not fit (too many fields, too long, no memory) is remembered in response->fault: request.c
 * turns it into a problem, so that no half header is ever sent.
 */
#include "api/handler.h"

#include "api/headers.h"
#include "pools/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_BYTES 768

void response_init(struct response *response) {
    response->status = 0;
    response->header_count = 0; /* the array stays as it is: this runs for every request */
    buf_init(&response->header_text, RESPONSE_HEADER_BYTES);
    response->body_kind = BODY_NONE;
    buf_init(&response->text, RESPONSE_TEXT_MOST_BYTES);
    response->entry = NULL;
    response->source = (struct body_source){0};
    response->entry_offset = 0;
    response->content_length = 0;
    response->close_after = false;
    response->reusable = false;
    fault_clear(&response->fault);
}

void response_fini(struct response *response) {
    if (response->source.close) {
        response->source.close(response->source.context);
    }
    response->source = (struct body_source){0};
    entry_unref(response->entry);
    response->entry = NULL;
    buf_fini(&response->header_text);
    buf_fini(&response->text);
}

void response_reset(struct response *response) {
    response_fini(response);
    response_init(response);
}

static void spoil(struct response *response, enum reason reason) {
    response->fault = (struct fault){.reason = reason};
    snprintf(response->fault.detail, sizeof response->fault.detail, "the header of the answer does not fit");
}

/* Room for a value and its NUL; the pointers follow when the memory moves. */
static char *reserve_value(struct response *response, size_t bytes) {
    struct buf *text = &response->header_text;
    size_t offset[RESPONSE_MOST_HEADERS] = {0};
    for (unsigned i = 0; i < response->header_count; i++) {
        offset[i] = (size_t)(response->header[i].value - text->data);
    }
    char *space = NULL;
    enum err err = OK;
    if (!text->data) {
        err = buf_reserve(text, FIRST_BYTES, &space); /* enough for most answers: nothing moves */
    }
    err = err ? err : buf_reserve(text, bytes + 1, &space);
    if (err) {
        spoil(response, err == ERR_NO_MEMORY ? REASON_NO_MEMORY : REASON_INTERNAL);
        return NULL;
    }
    for (unsigned i = 0; i < response->header_count; i++) {
        response->header[i].value = text->data + offset[i];
    }
    return space;
}

/* Room for one more field. */
static bool has_room(struct response *response) {
    if (response->header_count == RESPONSE_MOST_HEADERS) {
        spoil(response, REASON_INTERNAL);
        return false;
    }
    return true;
}

static void add(struct response *response, const char *name, const char *value, size_t bytes) {
    MUST(headers_is_field_text(value));
    buf_commit(&response->header_text, bytes + 1);
    response->header[response->header_count++] = (struct response_header){.name = name, .value = value};
}

void response_header(struct response *response, const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    MUST(length >= 0);
    char *value = has_room(response) ? reserve_value(response, (size_t)length) : NULL;
    if (!value) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(value, (size_t)length + 1, format, arguments);
    va_end(arguments);
    add(response, name, value, (size_t)length);
}

void response_header_text(struct response *response, const char *name, const char *text) {
    size_t bytes = strlen(text);
    char *value = has_room(response) ? reserve_value(response, bytes) : NULL;
    if (value) {
        memcpy(value, text, bytes + 1);
        add(response, name, value, bytes);
    }
}

void response_vary(struct response *response, const char *name) {
    for (unsigned i = 0; i < response->header_count; i++) {
        struct response_header *header = &response->header[i];
        if (strcasecmp(header->name, "Vary") != 0) {
            continue;
        }
        size_t bytes = strlen(header->value) + 2 + strlen(name);
        char *value = reserve_value(response, bytes); /* moves the old one along */
        if (value) {
            snprintf(value, bytes + 1, "%s, %s", header->value, name);
            buf_commit(&response->header_text, bytes + 1);
            header->value = value;
        }
        return;
    }
    response_header_text(response, "Vary", name);
}

const char *response_get_header(const struct response *response, const char *name) {
    for (unsigned i = 0; i < response->header_count; i++) {
        if (strcasecmp(response->header[i].name, name) == 0) {
            return response->header[i].value;
        }
    }
    return NULL;
}

/* content_length stays. */
static void drop_text(struct response *response) {
    buf_fini(&response->text);
    response->body_kind = BODY_NONE;
}

void response_drop_body_for_head(const struct request *request, struct response *response) {
    if (request->method == METHOD_HEAD && response->body_kind == BODY_TEXT) {
        drop_text(response);
    }
}

void response_not_modified(struct response *response) {
    MUST(response->body_kind == BODY_TEXT);
    response->status = 304;
    drop_text(response);
}
