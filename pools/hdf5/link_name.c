/* link_name.c - see link_name.h. */
#include "pools/hdf5/link_name.h"

#include "pools/base/must.h"
#include "pools/base/percent.h"

#include <string.h>

static const char DOT_NAME[] = "%2E";

void link_name_of(const struct id *id, char ret_name[LINK_NAME_BYTES]) {
    if (id->bytes == 1 && id->text[0] == '.') {
        memcpy(ret_name, DOT_NAME, sizeof DOT_NAME);
        return;
    }
    static const char hex[] = "0123456789ABCDEF";
    size_t at = 0;
    MUST(id->bytes <= ID_MOST_BYTES);
    for (size_t i = 0; i < id->bytes; i++) {
        unsigned char c = (unsigned char)id->text[i];
        bool kept = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '.' || c == '_' || c == '~';
        if (kept) {
            ret_name[at++] = (char)c;
        } else {
            ret_name[at++] = '%';
            ret_name[at++] = hex[c >> 4];
            ret_name[at++] = hex[c & 15];
        }
    }
    ret_name[at] = '\0';
}

bool link_name_to_id(const char *name, char *ret_text, size_t *ret_bytes, bool *ret_canonical) {
    if (strcmp(name, DOT_NAME) == 0) {
        memcpy(ret_text, ".", 2);
        *ret_bytes = 1;
        *ret_canonical = true;
        return true;
    }
    size_t length = strlen(name);
    if (length > 0 && length < LINK_NAME_BYTES) {
        char text[LINK_NAME_BYTES];
        size_t bytes = 0;
        if (percent_decode_canonical(name, length, text, &bytes) == OK && bytes <= ID_MOST_BYTES &&
            !memchr(text, '\0', bytes) && utf8_valid(text, bytes)) {
            memcpy(ret_text, text, bytes);
            ret_text[bytes] = '\0';
            *ret_bytes = bytes;
            *ret_canonical = true;
            return true;
        }
    }
    if (length == 0 || length > ID_MOST_BYTES || !utf8_valid(name, length)) {
        return false;
    }
    memcpy(ret_text, name, length + 1);
    *ret_bytes = length;
    *ret_canonical = false;
    return true;
}
