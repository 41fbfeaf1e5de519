/* token.h - the bytes of an HTTP token (RFC 9110, 5.6.2): field names, directives, media types.
 *
 * A bit for each byte: names are looked at byte by byte in every request.
 */
#ifndef POOLS_BASE_TOKEN_H
#define POOLS_BASE_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKEN_BIT(byte) (UINT64_C(1) << ((byte) % 64))
#define TOKEN_BITS(count, first) (((UINT64_C(1) << (count)) - 1) << ((first) % 64))

static inline bool token_has_byte(unsigned char byte) {
    static const uint64_t bytes[4] = {
        TOKEN_BIT('!') | TOKEN_BIT('#') | TOKEN_BIT('$') | TOKEN_BIT('%') | TOKEN_BIT('&') | TOKEN_BIT('\'') |
            TOKEN_BIT('*') | TOKEN_BIT('+') | TOKEN_BIT('-') | TOKEN_BIT('.') | TOKEN_BITS(10, '0'),
        TOKEN_BITS(26, 'A') | TOKEN_BITS(26, 'a') | TOKEN_BIT('^') | TOKEN_BIT('_') | TOKEN_BIT('`') |
            TOKEN_BIT('|') | TOKEN_BIT('~'),
    };
    return bytes[byte / 64] & TOKEN_BIT(byte);
}

/* How many bytes of the text, from its beginning, are a token; 0 = it does not begin with one. */
static inline size_t token_span(const char *text) {
    size_t count = 0;
    while (token_has_byte((unsigned char)text[count])) { /* the final NUL is none */
        count++;
    }
    return count;
}

#endif
