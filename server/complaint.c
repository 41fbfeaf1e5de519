/* complaint.c - see complaint.h. */
#include "server/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How many bytes the UTF-8 character that begins here has; 0 = it is none, or what is left of one that was cut. */
static size_t character_bytes(const char *text) {
    unsigned char first = (unsigned char)*text;
    size_t bytes = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 0;
    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) {
            return 0; /* the end of the text as well */
        }
    }
    return bytes;
}

/* What was found may hold anything: the message stays one line of text. */
static void make_plain(char *text) {
    while (*text) {
        size_t bytes = character_bytes(text);
        if (!bytes || (unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
        text += bytes ? bytes : 1;
    }
}

bool complain(struct complaint *complaint, const char *file, unsigned line, const char *format, ...) {
    int used = 0;
    if (file && line) {
        used = snprintf(complaint->text, sizeof complaint->text, "%s:%u: ", file, line);
    } else if (file) {
        used = snprintf(complaint->text, sizeof complaint->text, "%s: ", file);
    }
    size_t at = used > 0 && (size_t)used < sizeof complaint->text ? (size_t)used : 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint->text + at, sizeof complaint->text - at, format, arguments);
    va_end(arguments);
    make_plain(complaint->text);
    return false;
}

bool complain_errno(struct complaint *complaint, const char *file, int errno_value) {
    char text[128];
    /* The GNU form: returns the text, which may or may not be in the buffer. */
    return complain(complaint, file, 0, "%s", strerror_r(errno_value, text, sizeof text));
}
