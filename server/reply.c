/* reply.c - see reply.h. */
#include "server/reply.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_BLOCK_BYTES (256u * 1024)

static void release_blob(void *blob) {
    blob_unref(blob);
}

/* Of an answer whose length is told and whose body is not sent (HEAD, 304): never called. */
static ssize_t no_body(void *context, uint64_t position, char *buffer, size_t most) {
    (void)context;
    (void)position;
    (void)buffer;
    (void)most;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *empty_reply(void) {
    static char nothing[1];
    return MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Response *text_reply(struct response *response) {
    size_t bytes = response->text.size;
    char *text = buf_steal(&response->text);
    if (!bytes) {
        free(text);
        return empty_reply();
    }
    struct MHD_Response *reply = MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
    if (!reply) {
        free(text);
    }
    return reply;
}

static struct MHD_Response *entry_reply(const struct response *response) {
    struct blob *body = response->entry->body;
    if (!body->size) {
        return empty_reply();
    }
    MUST(response->entry_offset + response->content_length <= body->size);
    struct MHD_Response *reply = MHD_create_response_from_buffer_with_free_callback_cls(
        (size_t)response->content_length, body->data + response->entry_offset, release_blob, blob_ref(body));
    if (!reply) {
        blob_unref(body);
    }
    return reply;
}

static struct MHD_Response *source_reply(const struct response *response,
                                         const struct reply_options *options) {
    uint64_t length = response->content_length;
    if (!length) {
        return empty_reply();
    }
    if (options->mapped) {
        struct MHD_IoVec piece = {.iov_base = options->mapped, .iov_len = (size_t)length};
        return MHD_create_response_from_iovec(&piece, 1, NULL, NULL); /* which only hands it to the kernel */
    }
    size_t block = length < SOURCE_BLOCK_BYTES ? (size_t)length : SOURCE_BLOCK_BYTES;
    return MHD_create_response_from_callback(length == SIZE_UNKNOWN ? MHD_SIZE_UNKNOWN : length, block,
                                             options->reader, options->reader_context, NULL);
}

/* A response of the right length that has no body: made empty it would say Content-Length 0 (0.9.75). */
static struct MHD_Response *length_reply(uint64_t length) {
    if (!length) {
        return empty_reply();
    }
    struct MHD_Response *reply = MHD_create_response_from_callback(
        length == SIZE_UNKNOWN ? MHD_SIZE_UNKNOWN : length, 1, no_body, NULL, NULL);
    if (reply && length == SIZE_UNKNOWN) {
        /* Else the library sends the last chunk of a body that a 304 cannot have. */
        (void)MHD_set_response_options(reply, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
    return reply;
}

static struct MHD_Response *reply_body(struct response *response, const struct reply_options *options) {
    bool sends_body = !options->is_head && response->status != 204 && response->status != 304;
    switch (response->body_kind) {
    case BODY_NONE:
        return sends_body ? empty_reply() : length_reply(response->content_length);
    case BODY_TEXT:
        return text_reply(response);
    case BODY_ENTRY:
        return entry_reply(response);
    case BODY_SOURCE:
        return sends_body ? source_reply(response, options) : length_reply(response->content_length);
    }
    return NULL;
}

/* What the library adds: status line, Date, framing, Connection; and the pieces of its buffers that it does not give back. */
#define LIBRARY_HEADER_BYTES 1280

/* What a client can do without. */
static bool is_hint(const char *name) {
    return strcmp(name, "Location") == 0 || strcmp(name, "Link") == 0 || strcmp(name, "Cache-Status") == 0 ||
           strcmp(name, "Access-Control-Expose-Headers") == 0;
}

static bool all_fits(const struct response *response, size_t room_bytes) {
    size_t bytes = LIBRARY_HEADER_BYTES;
    for (unsigned i = 0; i < response->header_count; i++) {
        bytes += strlen(response->header[i].name) + strlen(response->header[i].value) + 4;
    }
    return !room_bytes || bytes <= room_bytes;
}

struct MHD_Response *reply_new(struct response *response, const struct reply_options *options) {
    struct MHD_Response *reply = reply_body(response, options);
    if (!reply) {
        return NULL;
    }
    bool complete = true;
    bool with_hints = all_fits(response, options->room_bytes);
    for (unsigned i = 0; i < response->header_count; i++) {
        const struct response_header *header = &response->header[i];
        if (with_hints || !is_hint(header->name)) {
            complete = complete && MHD_add_response_header(reply, header->name, header->value) == MHD_YES;
        }
    }
    if (options->close_after || response->close_after) {
        complete = complete && MHD_add_response_header(reply, "Connection", "close") == MHD_YES;
    }
    if (!complete) {
        MHD_destroy_response(reply);
        return NULL;
    }
    return reply;
}

/* ---- kept replies ---- */

struct kept_reply {
    struct entry_note note;
    struct MHD_Response *reply;
};

static void free_kept(void *note) {
    struct kept_reply *kept = CONTAINER_OF(note, struct kept_reply, note);
    MHD_destroy_response(kept->reply);
    free(kept);
}

bool reply_is_kept(const struct entry *entry) {
    return atomic_load_explicit(&entry->note, memory_order_acquire) != NULL;
}

struct MHD_Response *reply_kept(const struct entry *entry) {
    struct entry_note *note = atomic_load_explicit(&entry->note, memory_order_acquire);
    return note ? CONTAINER_OF(note, struct kept_reply, note)->reply : NULL;
}

/* The library counts a response's references but lets only itself add one: the caller's is given to the note, and queueing
 * takes its own. */
void reply_keep(struct entry *entry, struct MHD_Response *take_reply) {
    struct kept_reply *kept = malloc(sizeof *kept);
    if (!kept) {
        MHD_destroy_response(take_reply);
        return;
    }
    *kept = (struct kept_reply){.note.free_note = free_kept, .reply = take_reply};
    if (!entry_set_note(entry, &kept->note)) {
        free_kept(&kept->note);
    }
}

/* ---- the answer as bytes ---- */

enum err reply_format(const struct response *response, struct buf *buf) {
    bool has_text = response->body_kind == BODY_TEXT;
    char date[CLOCK_HTTP_BYTES];
    clock_format_http(clock_wall_ms(), date);
    enum err err = buf_printf(
        buf, "HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\nContent-Length: %zu\r\n", response->status,
        MHD_get_reason_phrase_for(response->status), date, has_text ? response->text.size : 0);
    for (unsigned i = 0; !err && i < response->header_count; i++) {
        err = buf_printf(buf, "%s: %s\r\n", response->header[i].name, response->header[i].value);
    }
    if (!err) {
        err = buf_append_text(buf, "\r\n");
    }
    if (!err && has_text) {
        err = buf_append(buf, response->text.data, response->text.size);
    }
    return err;
}
