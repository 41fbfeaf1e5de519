/* log.h - the one logger: a line to standard error per event.
 *
 * pools/ and api/ return failures and do not log them; background work (fills, loads, jobs) logs at
 * its own top. One JSON object or one text line per event, written with one write(2).
 * The level and the format are the logger's only state (listed in server/main.c).
 */
#ifndef POOLS_BASE_LOG_H
#define POOLS_BASE_LOG_H

#include "pools/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Before any thread starts. */
void log_setup(enum log_level level, bool json);
bool log_enabled(enum log_level level);
/* component is a static word: "fill", "hdf5", "listener". Control bytes in the text are escaped. */
void log_line(enum log_level level, const char *component, const char *format, ...) PRINTF_LIKE(3, 4);
/* Writes bytes that already are one finished line (the access log). */
void log_raw(const char *line, size_t line_bytes);

#endif
