/* log.c - see log.h. A line is built on the stack and leaves with one write(2), so that lines of several
 * threads never mix. A log that cannot be written is dropped: there is nowhere left to report it. */
#include "pools/base/log.h"

#include "pools/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LOG_TEXT_BYTES 1024
#define LOG_LINE_BYTES (LOG_TEXT_BYTES * 6 + 256)

static enum log_level log_level = LOG_INFO;
static bool log_json = false;

void log_setup(enum log_level level, bool json) {
    log_level = level;
    log_json = json;
}

bool log_enabled(enum log_level level) {
    return level <= log_level;
}

void log_raw(const char *line, size_t line_bytes) {
    ssize_t written = write(STDERR_FILENO, line, line_bytes);
    (void)written;
}

/* Escapes for both forms: what is legal inside a JSON string reads well in a text line too. */
static size_t escape(const char *text, char *ret_line, size_t room) {
    size_t used = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at && used + 7 < room; at++) {
        if (*at == '"' || *at == '\\') {
            ret_line[used++] = '\\';
            ret_line[used++] = (char)*at;
        } else if (*at < 0x20 || *at == 0x7f) {
            used += (size_t)snprintf(ret_line + used, room - used, "\\u%04x", (unsigned)*at);
        } else {
            ret_line[used++] = (char)*at;
        }
    }
    return used;
}

void log_line(enum log_level level, const char *component, const char *format, ...) {
    static const char *const words[] = {"error", "warning", "info", "debug"};
    if (!log_enabled(level)) {
        return;
    }
    char text[LOG_TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);

    char when[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), when);
    char line[LOG_LINE_BYTES];
    int head = log_json ? snprintf(line, sizeof line,
                                   "{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"text\":\"", when,
                                   words[level], component)
                        : snprintf(line, sizeof line, "%s %s %s: ", when, words[level], component);
    size_t used = (size_t)head;
    used += escape(text, line + used, sizeof line - used - 4);
    if (log_json) {
        line[used++] = '"';
        line[used++] = '}';
    }
    line[used++] = '\n';
    log_raw(line, used);
}
