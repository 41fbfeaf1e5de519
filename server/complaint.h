/* complaint.h - what is wrong with a configuration: one sentence that names the file, the line, the key and what was expected. */
#ifndef SERVER_COMPLAINT_H
#define SERVER_COMPLAINT_H

#include "pools/base/attrs.h"

#include <stdbool.h>

struct complaint {
    char text[1024];
};

/* One line, whatever is repeated in it: "FILE:LINE: ..." (line 0: "FILE: ..."; file NULL: only the sentence). Returns false, so that `return complain(...)` reads
 * well. */
bool complain(struct complaint *complaint, const char *file, unsigned line, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* "FILE: No such file or directory" */
bool complain_errno(struct complaint *complaint, const char *file, int errno_value);

#endif
