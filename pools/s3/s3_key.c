/* s3_key.c - see s3_key.h. Pure; any thread. */
#include "pools/s3/s3_key.h"

#include "pools/base/percent.h"

bool s3_key_from_id(const char *prefix, const struct id *id, char ret_name[S3_NAME_BYTES]) {
    AUTO(buf_fini) struct buf name;
    buf_init(&name, S3_MOST_NAME_BYTES);
    if (buf_append_text(&name, prefix) != OK || percent_encode(&name, id->text, id->bytes) != OK) {
        return false;
    }
    memcpy(ret_name, name.data, name.size + 1);
    return true;
}

bool s3_key_to_id(const char *prefix, const char *name, char ret_id[ID_MOST_BYTES + 1], size_t *ret_bytes) {
    size_t prefix_bytes = strlen(prefix);
    size_t name_bytes = strlen(name);
    if (name_bytes <= prefix_bytes || name_bytes > S3_MOST_NAME_BYTES ||
        memcmp(name, prefix, prefix_bytes) != 0) {
        return false;
    }
    char id[S3_NAME_BYTES];
    size_t bytes = 0;
    if (percent_decode_canonical(name + prefix_bytes, name_bytes - prefix_bytes, id, &bytes) != OK ||
        memchr(id, '\0', bytes) || !utf8_valid(id, bytes)) {
        return false;
    }
    memcpy(ret_id, id, bytes + 1);
    *ret_bytes = bytes;
    return true;
}

enum err s3_key_to_path(struct buf *buf, const char *name) {
    for (;;) {
        size_t bytes = strcspn(name, "/");
        enum err err = percent_encode(buf, name, bytes);
        if (err != OK || name[bytes] == '\0') {
            return err;
        }
        err = buf_append(buf, "/", 1);
        if (err != OK) {
            return err;
        }
        name += bytes + 1;
    }
}
