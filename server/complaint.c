/* complaint.c - see complaint.h. */
#include "server/complaint.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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
    for (char *byte = complaint->text; *byte; byte++) {
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) {
            *byte = '?'; /* what was found may hold anything */
        }
    }
    return false;
}

bool complain_errno(struct complaint *complaint, const char *file, int errno_value) {
    char text[128];
    /* The GNU form: returns the text, which may or may not be in the buffer. */
    return complain(complaint, file, 0, "%s", strerror_r(errno_value, text, sizeof text));
}
