/* http_line.h - what http_client.c (who has which line) and http_exchange.c (what happens on one) share. */
#ifndef POOLS_OBJECT_STORE_HTTP_LINE_H
#define POOLS_OBJECT_STORE_HTTP_LINE_H

#include "pools/object_store/http_client.h"

#include <curl/curl.h>

struct http_line {
    struct http_line *next; /* in the client's idle list */
    CURL *easy;
    CURLM *multi; /* holds the kept connection; `easy` is in it only during an exchange */
};

const struct http_limits *http_client_limits(const struct http_client *client);
/* Waits for a free line within the op and the first-byte limit: ERR_BUSY, ERR_CANCELLED, ERR_TIMEOUT, ERR_NO_MEMORY recorded. */
enum err http_client_take(struct http_client *client, struct op *op, struct http_line **ret_line) MUST_USE;
void http_client_give(struct http_client *client, struct http_line *take_line);
/* Ends the line instead: the next transfer makes a new one. NULL = the right to a line that was never made. */
void http_client_drop(struct http_client *client, struct http_line *take_line);

#endif
