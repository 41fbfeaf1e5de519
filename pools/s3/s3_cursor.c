/* s3_cursor.c - see s3_cursor.h. */
#include "pools/s3/s3_cursor.h"

#include "pools/base/percent.h"

#include <stdlib.h>
#include <string.h>

#define MOST_DIGITS 18 /* of the count: fits into 64 bits, whatever they are */

/* Digits as a number is written: no sign, no leading zero. */
static size_t count_digits(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits <= MOST_DIGITS && (text[0] != '0' || digits == 1) ? digits : 0;
}

enum err s3_cursor_read(struct op *op, const char *text, const char *under, struct s3_cursor *ret_cursor) {
    size_t digits = count_digits(text);
    const char *encoded = digits && text[digits] == '.' ? text + digits + 1 : NULL;
    size_t encoded_bytes = encoded ? strlen(encoded) : 0;
    char *name = encoded && encoded_bytes <= 3 * S3_MOST_NAME_BYTES ? malloc(encoded_bytes + 1) : NULL;
    size_t bytes = 0;
    bool fits = name && percent_decode_canonical(encoded, encoded_bytes, name, &bytes) == OK && bytes > 0 &&
                bytes < sizeof ret_cursor->after && !memchr(name, '\0', bytes) &&
                strncmp(name, under, strlen(under)) == 0;
    if (fits) {
        memcpy(ret_cursor->after, name, bytes);
        ret_cursor->after[bytes] = '\0';
        ret_cursor->foreign = strtoull(text, NULL, 10);
    }
    free(name);
    return fits ? OK : op_fail(op, REASON_INVALID_QUERY, "the cursor is not one this listing gave");
}

enum err s3_cursor_write(struct op *op, const struct s3_cursor *cursor, char **ret_text) {
    AUTO(buf_fini) struct buf text;
    buf_init(&text, 3 * S3_MOST_NAME_BYTES + 32);
    if (buf_printf(&text, "%llu.", (unsigned long long)cursor->foreign) != OK ||
        percent_encode(&text, cursor->after, strlen(cursor->after)) != OK) {
        return op_no_memory(op);
    }
    *ret_text = buf_steal(&text);
    return OK;
}
