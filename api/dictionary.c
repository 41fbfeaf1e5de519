/* dictionary.c - see dictionary.h. Each scanner moves *at behind what it is named after, or is false when that is not there. */
#include "api/dictionary.h"

#include "pools/base/token.h"

#include <stdbool.h>
#include <string.h>

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool scan_byte(const char **at, char byte) {
    if (**at != byte) {
        return false;
    }
    ++*at;
    return true;
}

/* The longest run of these bytes; false when there is none. */
static bool scan_run(const char **at, const char *bytes) {
    size_t count = strspn(*at, bytes);
    *at += count;
    return count > 0;
}

static bool scan_key(const char **at) {
    if (**at != '*' && (**at < 'a' || **at > 'z')) {
        return false;
    }
    return scan_run(at, LOWER DIGITS "_-.*");
}

/* At most 15 digits, or 12 with at most 3 behind the point. */
static bool scan_number(const char **at) {
    (void)scan_byte(at, '-');
    const char *begin = *at;
    if (!scan_run(at, DIGITS)) {
        return false;
    }
    ptrdiff_t whole = *at - begin;
    if (!scan_byte(at, '.')) {
        return whole <= 15;
    }
    begin = *at;
    return scan_run(at, DIGITS) && whole <= 12 && *at - begin <= 3;
}

static bool scan_string(const char **at) {
    ++*at;
    while (!scan_byte(at, '"')) {
        if (scan_byte(at, '\\') && **at != '"' && **at != '\\') {
            return false;
        }
        if (**at < 0x20 || **at > 0x7e) {
            return false;
        }
        ++*at;
    }
    return true;
}

static bool scan_bytes(const char **at) {
    ++*at;
    (void)scan_run(at, UPPER LOWER DIGITS "+/=");
    return scan_byte(at, ':');
}

static bool scan_boolean(const char **at) {
    ++*at;
    return scan_byte(at, '0') || scan_byte(at, '1');
}

/* RFC 9651's token: an HTTP token that may also hold ':' and '/', and begins with a letter or "*". */
static bool scan_token(const char **at) {
    if (!**at || !strchr(UPPER LOWER "*", **at)) {
        return false;
    }
    while (token_has_byte((unsigned char)**at) || **at == ':' || **at == '/') {
        ++*at;
    }
    return true;
}

static bool scan_item(const char **at) {
    switch (**at) {
    case '"':
        return scan_string(at);
    case ':':
        return scan_bytes(at);
    case '?':
        return scan_boolean(at);
    case '-':
        return scan_number(at);
    default:
        break;
    }
    if (**at && strchr(DIGITS, **at)) {
        return scan_number(at);
    }
    return scan_token(at);
}

static bool scan_parameters(const char **at) {
    while (scan_byte(at, ';')) {
        (void)scan_run(at, " ");
        if (!scan_key(at) || (scan_byte(at, '=') && !scan_item(at))) {
            return false;
        }
    }
    return true;
}

static bool scan_inner_list(const char **at) {
    ++*at;
    for (;;) {
        (void)scan_run(at, " ");
        if (scan_byte(at, ')')) {
            return true;
        }
        if (!scan_item(at) || !scan_parameters(at) || (**at != ' ' && **at != ')')) {
            return false;
        }
    }
}

static bool scan_member(const char **at, struct dictionary_member *ret_member) {
    *ret_member = (struct dictionary_member){.key = *at};
    if (!scan_key(at)) {
        return false;
    }
    ret_member->key_bytes = (size_t)(*at - ret_member->key);
    if (scan_byte(at, '=')) {
        ret_member->value = *at;
        if (!(**at == '(' ? scan_inner_list(at) : scan_item(at))) {
            return false;
        }
        ret_member->value_bytes = (size_t)(*at - ret_member->value);
    }
    return scan_parameters(at);
}

enum dictionary_step dictionary_next(const char **position, struct dictionary_member *ret_member) {
    const char *at = *position;
    (void)scan_run(&at, " \t");
    if (!*at) {
        return DICTIONARY_END;
    }
    if (!scan_member(&at, ret_member)) {
        return DICTIONARY_MALFORMED;
    }
    (void)scan_run(&at, " \t");
    if (scan_byte(&at, ',')) {
        (void)scan_run(&at, " \t");
        if (!*at) {
            return DICTIONARY_MALFORMED; /* a comma with nothing behind */
        }
    } else if (*at) {
        return DICTIONARY_MALFORMED;
    }
    *position = at;
    return DICTIONARY_MEMBER;
}
