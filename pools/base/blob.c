/* blob.c - see blob.h. */
#include "pools/base/blob.h"

#include "pools/base/must.h"

#include <stdlib.h>
#include <string.h>

struct blob *blob_new(size_t size) {
    if (size > SIZE_MAX - sizeof(struct blob)) {
        return NULL;
    }
    struct blob *blob = malloc(sizeof *blob + size);
    if (!blob) {
        return NULL;
    }
    atomic_init(&blob->refs, 1);
    blob->size = size;
    return blob;
}

struct blob *blob_copy(const void *bytes, size_t size) {
    struct blob *blob = blob_new(size);
    if (blob && size) {
        memcpy(blob->data, bytes, size);
    }
    return blob;
}

struct blob *blob_ref(struct blob *blob) {
    unsigned before = atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    return blob;
}

void blob_unref(struct blob *blob) {
    if (!blob) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel);
    MUST(before > 0);
    if (before == 1) {
        free(blob);
    }
}
