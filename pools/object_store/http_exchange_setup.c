/* http_exchange_setup.c - what libcurl is told about a request, and what it calls. See http_exchange_parts.h. */
#include "pools/object_store/http_exchange_parts.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <stdio.h>

#define UPLOAD_BUFFER_BYTES (256 * 1024L)
#define DOWNLOAD_BUFFER_BYTES (128 * 1024L)

static struct http_exchange *checked(void *context) {
    struct http_exchange *exchange = context;
    MUST(exchange->magic == HTTP_EXCHANGE_MAGIC);
    return exchange;
}

/* ---- callbacks ---- */

static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
    struct http_exchange *exchange = checked(context);
    enum err err = http_header_add(&exchange->header, bytes, size * count);
    if (err == OK) {
        return size * count;
    }
    exchange->callback_err =
        err == ERR_NO_MEMORY ? op_no_memory(exchange->op)
                             : op_fail(exchange->op, REASON_BAD_ANSWER, "the answer's header is too large");
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    struct http_exchange *exchange = checked(context);
    size_t total = size * count;
    exchange->progress_ns = clock_now_ns();
    if (exchange->surplus_size > 0) {
        exchange->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    size_t fits = exchange->target ? exchange->target_cap - exchange->target_size : 0;
    if (fits > total) {
        fits = total;
    }
    if (total - fits > sizeof exchange->surplus) {
        return 0;
    }
    if (fits > 0) {
        memcpy(exchange->target + exchange->target_size, bytes, fits);
        exchange->target_size += fits;
    }
    exchange->moved_bytes += total;
    memcpy(exchange->surplus, bytes + fits, total - fits);
    exchange->surplus_at = 0;
    exchange->surplus_size = total - fits;
    return total;
}

static size_t on_upload(char *bytes, size_t size, size_t count, void *context) {
    struct http_exchange *exchange = checked(context);
    exchange->progress_ns = clock_now_ns();
    uint64_t left = exchange->body->size_bytes - exchange->sent_bytes;
    size_t cap = size * count;
    if (cap > left) {
        cap = (size_t)left;
    }
    if (cap == 0) {
        return 0;
    }
    size_t got = 0;
    enum err err =
        exchange->body->read(exchange->body->context, exchange->op, exchange->sent_bytes, bytes, cap, &got);
    if (err != OK || got == 0) {
        exchange->callback_err =
            err != OK ? err : op_fail(exchange->op, REASON_INTERNAL, "the body to send ended early");
        return CURL_READFUNC_ABORT;
    }
    op_advance(exchange->op);
    exchange->moved_bytes += got;
    exchange->sent_bytes += got;
    return got;
}

static int on_seek(void *context, curl_off_t offset, int origin) {
    struct http_exchange *exchange = checked(context);
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->body->size_bytes) {
        return CURL_SEEKFUNC_FAIL;
    }
    exchange->sent_bytes = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* A connection is there and the request goes out now. */
static int on_sending(void *context, char *to, char *from, int to_port, int from_port) {
    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    checked(context)->sends++;
    return CURL_PREREQFUNC_OK;
}

/* ---- what it is told ---- */

static bool set_options(struct http_exchange *exchange, const struct http_request *request) {
    CURL *easy = exchange->line->easy;
    const struct http_limits *limits = http_client_limits(exchange->client);
    curl_easy_reset(easy); /* keeps the connection */
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, request->url);
#define SET(option, value)                                                                                   \
    if (code == CURLE_OK) {                                                                                  \
        code = curl_easy_setopt(easy, option, value);                                                        \
    }
    SET(CURLOPT_PATH_AS_IS, 1L)
    SET(CURLOPT_PROTOCOLS_STR, "http,https")
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1)
    SET(CURLOPT_NOSIGNAL, 1L)
    SET(CURLOPT_PROXY, "") /* also switches the environment's proxies off */
    SET(CURLOPT_TCP_KEEPALIVE, 1L)
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(limits->connect_ns / NS_PER_MS))
    SET(CURLOPT_BUFFERSIZE, DOWNLOAD_BUFFER_BYTES)
    SET(CURLOPT_PREREQFUNCTION, on_sending)
    SET(CURLOPT_PREREQDATA, exchange)
    SET(CURLOPT_HTTPHEADER, exchange->fields)
    SET(CURLOPT_HEADERFUNCTION, on_header)
    SET(CURLOPT_HEADERDATA, exchange)
    SET(CURLOPT_WRITEFUNCTION, on_body)
    SET(CURLOPT_WRITEDATA, exchange)
    if (strcmp(request->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L)
    } else if (request->body) {
        SET(CURLOPT_UPLOAD, 1L)
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body->size_bytes)
        SET(CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BUFFER_BYTES)
        SET(CURLOPT_READFUNCTION, on_upload)
        SET(CURLOPT_READDATA, exchange)
        SET(CURLOPT_SEEKFUNCTION, on_seek)
        SET(CURLOPT_SEEKDATA, exchange)
    }
    SET(CURLOPT_CUSTOMREQUEST, request->method)
#undef SET
    return code == CURLE_OK;
}

static bool make_fields(struct http_exchange *exchange, const struct http_request *request) {
    MUST(request->field_count <= HTTP_MOST_FIELDS);
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        for (const char *at = field->value; *at != '\0'; at++) {
            MUST((unsigned char)*at >= 0x20 && *at != 0x7f);
        }
        AUTO(buf_fini) struct buf line;
        buf_init(&line, HTTP_MOST_HEADER_BYTES);
        /* "name;" is libcurl's way to send a field without value. */
        enum err err = field->value[0] != '\0' ? buf_printf(&line, "%s: %s", field->name, field->value)
                                               : buf_printf(&line, "%s;", field->name);
        struct curl_slist *longer = err == OK ? curl_slist_append(exchange->fields, line.data) : NULL;
        if (!longer) {
            return false;
        }
        exchange->fields = longer;
    }
    return true;
}

bool http_exchange_set_up(struct http_exchange *exchange, const struct http_request *request) {
    return make_fields(exchange, request) && set_options(exchange, request);
}
