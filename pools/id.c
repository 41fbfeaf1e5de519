/* id.c - see id.h. */
#include "pools/id.h"

#include "pools/base/hash.h"
#include "pools/base/percent.h"

#include <string.h>

struct id id_trusted(const char *text, size_t bytes) {
    return (struct id){.text = text, .bytes = bytes, .hash = hash_bytes(text, bytes)};
}

enum err id_from_bytes(struct op *op, const char *text, size_t bytes, struct id *ret_id) {
    if (!bytes) {
        return op_fail(op, REASON_INVALID_ID, "the id is empty");
    }
    if (bytes > ID_MOST_BYTES) {
        return op_fail(op, REASON_INVALID_ID, "the id is %zu bytes long, at most %d are allowed", bytes,
                       ID_MOST_BYTES);
    }
    if (memchr(text, '\0', bytes)) {
        return op_fail(op, REASON_INVALID_ID, "the id contains U+0000");
    }
    if (!utf8_valid(text, bytes)) {
        return op_fail(op, REASON_INVALID_ID, "the id is not valid UTF-8");
    }
    *ret_id = id_trusted(text, bytes);
    return OK;
}

bool id_equal(const struct id *a, const struct id *b) {
    return a->hash == b->hash && a->bytes == b->bytes && memcmp(a->text, b->text, a->bytes) == 0;
}

bool nickname_valid(const char *text) {
    size_t length = 0;
    for (; text[length]; length++) {
        char c = text[length];
        bool letter_or_digit = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool mark = c == '_' || c == '.' || c == '-';
        if (length >= NICKNAME_BYTES - 1 || !(letter_or_digit || (mark && length))) {
            return false;
        }
    }
    return length > 0;
}
