/* fuzz_id.c - ids, and the names that stores give them. A valid id survives the way to an object's name, to a link's name and to a
 * URL; a name that a store lists is an entry only if that way leads back to it. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/base/percent.h"
#include "pools/hdf5/link_name.h"
#include "pools/s3/s3_key.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define PREFIX "folder/"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

static void check_object_name(const struct id *id) {
    char name[S3_NAME_BYTES];
    char back[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    if (s3_key_from_id(PREFIX, id, name)) {
        MUST(s3_key_to_id(PREFIX, name, back, &bytes));
        MUST(bytes == id->bytes && memcmp(back, id->text, bytes) == 0);
    } else {
        MUST(id->bytes * 3 + strlen(PREFIX) > S3_MOST_NAME_BYTES);
    }
}

static void check_link_name(const struct id *id) {
    char name[LINK_NAME_BYTES];
    char back[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    bool canonical = false;
    link_name_of(id, name);
    MUST(strcmp(name, ".") != 0 && !strchr(name, '/'));
    MUST(link_name_to_id(name, back, &bytes, &canonical) && canonical);
    MUST(bytes == id->bytes && memcmp(back, id->text, bytes) == 0);
}

static void check_foreign_names(struct op *op, const char *name) {
    char text[ID_MOST_BYTES + 1];
    size_t bytes = 0;
    struct id id;
    if (s3_key_to_id(PREFIX, name, text, &bytes)) {
        char again[S3_NAME_BYTES];
        MUST(id_from_bytes(op, text, bytes, &id) == OK);
        MUST(s3_key_from_id(PREFIX, &id, again) && strcmp(again, name) == 0);
    }
    bool canonical = false;
    if (strcmp(name, ".") != 0 && /* no link can have that name */
        link_name_to_id(name, text, &bytes, &canonical)) {
        char again[LINK_NAME_BYTES];
        MUST(text[bytes] == '\0' && id_from_bytes(op, text, bytes, &id) == OK);
        link_name_of(&id, again);
        MUST(canonical == (strcmp(again, name) == 0));
    }
    struct buf path;
    buf_init(&path, strlen(name) * 3 + 1);
    MUST(s3_key_to_path(&path, name) == OK);
    for (size_t i = 0; i < path.size; i++) {
        MUST((unsigned char)path.data[i] > ' ' && (unsigned char)path.data[i] < 0x7f && path.data[i] != '?' &&
             path.data[i] != '#');
    }
    buf_fini(&path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct op op;
    op_init(&op, 0, 0);
    char *text = malloc(size + 1);
    MUST(text);
    memcpy(text, data, size);
    text[size] = '\0';

    struct id id;
    if (id_from_bytes(&op, text, size, &id) == OK) {
        MUST(size > 0 && size <= ID_MOST_BYTES && strlen(text) == size && utf8_valid(text, size));
        check_object_name(&id);
        check_link_name(&id);
    } else {
        MUST(op.fault.reason == REASON_INVALID_ID && op.fault.detail[0]);
    }
    MUST(!nickname_valid(text) || (size < NICKNAME_BYTES && !strpbrk(text, "/% <>\"")) ||
         strlen(text) < size);
    check_foreign_names(&op, text);
    free(text);
    return 0;
}
