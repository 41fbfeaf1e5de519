/* access_log.c - see access_log.h. */
#include "server/access_log.h"

#include "pools/base/buf.h"
#include "pools/base/clock.h"
#include "pools/base/log.h"

#include <string.h>

#define LINE_MOST_BYTES 8192
#define TARGET_MOST_LOGGED_BYTES 1024

/* A JSON string of at most `most` bytes of the text; bytes that are not ASCII are escaped one by one as if they were Latin-1, because
 * a raw target may be no UTF-8. */
static enum err append_string(struct buf *line, const char *text, size_t most) {
    enum err err = buf_append(line, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)text; !err && *at && most; at++, most--) {
        if (*at == '"' || *at == '\\') {
            err = buf_printf(line, "\\%c", *at);
        } else if (*at < 0x20 || *at >= 0x7f) {
            err = buf_printf(line, "\\u%04x", (unsigned)*at);
        } else {
            err = buf_append(line, at, 1);
        }
    }
    return err ? err : buf_append(line, "\"", 1);
}

static enum err append_member(struct buf *line, const char *name, const char *text) {
    enum err err = buf_printf(line, ",\"%s\":", name);
    return err ? err : append_string(line, text, TARGET_MOST_LOGGED_BYTES);
}

static enum err append_fault(struct buf *line, const struct fault *fault) {
    enum err err = append_member(line, "problem", reason_slug(fault->reason));
    if (!err && fault->pool[0]) {
        err = append_member(line, "pool", fault->pool);
    }
    return err ? err : append_member(line, "detail", fault->detail);
}

static enum err format(struct buf *line, const struct access_record *record) {
    char when[CLOCK_TEXT_BYTES];
    clock_format(clock_wall_ms(), when);
    uint64_t took_ns = clock_now_ns() - record->started_ns;
    enum err err =
        buf_printf(line, "{\"time\":\"%s\",\"level\":\"info\",\"component\":\"access\",\"request\":%llu",
                   when, (unsigned long long)record->request_id);
    err = err ? err : append_member(line, "client", record->client);
    err = err ? err : append_member(line, "method", record->method);
    err = err ? err : append_member(line, "target", record->target);
    if (!err && record->operation[0]) {
        err = append_member(line, "operation", record->operation);
    }
    err = err ? err
              : buf_printf(line, ",\"status\":%u,\"bytes\":%llu,\"ms\":%.3f,\"complete\":%s", record->status,
                           (unsigned long long)record->sent_bytes, (double)took_ns / (double)NS_PER_MS,
                           record->complete ? "true" : "false");
    if (!err && record->fault) {
        err = append_fault(line, record->fault);
    }
    return err ? err : buf_append(line, "}\n", 2);
}

void access_log_write(const struct access_record *record) {
    AUTO(buf_fini) struct buf line;
    buf_init(&line, LINE_MOST_BYTES * 6);
    if (format(&line, record) == OK) { /* else there is no memory for a line: the request itself went on */
        log_raw(line.data, line.size);
    }
}
