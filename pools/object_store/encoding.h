/* encoding.h - base64, Content-MD5 and HTTP dates, as object stores want them. Pure functions. */
#ifndef POOLS_OBJECT_STORE_ENCODING_H
#define POOLS_OBJECT_STORE_ENCODING_H

#include "pools/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Appends standard base64 with padding. */
enum err base64_encode(struct buf *buf, const void *bytes, size_t count) MUST_USE;
/* Appends what the text stands for; ERR_INVALID unless it is whole groups of four with right padding. */
enum err base64_decode(struct buf *buf, const char *text, size_t count) MUST_USE;

/* The value of Content-MD5: 24 characters and the NUL. False when the library cannot compute it. */
#define CONTENT_MD5_BYTES 25
bool content_md5(const void *bytes, size_t count, char ret_text[CONTENT_MD5_BYTES]) MUST_USE;

/* An HTTP date to wall milliseconds; 0 when it is none. */
int64_t http_date_ms(const char *text);

#endif
