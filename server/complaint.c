/* complaint.c - see complaint.h. */
#include "server/complaint.h"

#include <stdarg.h>
#include <stdio.h>

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
    return false;
}
