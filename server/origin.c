/* origin.c - see origin.h. */
#include "server/origin.h"

#include <string.h>

#define ORIGIN_MOST_BYTES 128

static bool is_host_byte(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || strchr("-._[]", byte);
}

bool origin_is_valid(const char *text) {
    const char *scheme_end = strstr(text, "://");
    if (!scheme_end || strlen(text) > ORIGIN_MOST_BYTES || *text < 'a' || *text > 'z') {
        return false;
    }
    size_t scheme_bytes = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
    const char *host = scheme_end + 3;
    const char *at = host;
    bool in_brackets = false;
    while (*at && (is_host_byte(*at) || (in_brackets && *at == ':'))) {
        in_brackets = (in_brackets || *at == '[') && *at != ']';
        at++;
    }
    if (text + scheme_bytes != scheme_end || at == host || in_brackets) {
        return false;
    }
    size_t digits = *at == ':' ? strspn(at + 1, "0123456789") : 0;
    return *at == ':' ? digits > 0 && digits <= 5 && !at[1 + digits] : !*at;
}
