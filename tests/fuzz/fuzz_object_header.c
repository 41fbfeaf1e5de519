/* fuzz_object_header.c - the object headers of a file that anybody may have made. The input is the file, the header is at its beginning.
 *
 * The checksum is always right here (the linker's --wrap), or no changed input would come further than that. What is taken for
 * a usual header gives a place that is one, and metadata that is bounded and terminated. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/hdf5/lookup3.h"
#include "pools/hdf5/object_header.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

uint32_t __wrap_lookup3(const void *bytes, size_t count);

/* It lies behind what it is the checksum of. */
uint32_t __wrap_lookup3(const void *bytes, size_t count) {
    const uint8_t *at = (const uint8_t *)bytes + count;
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

struct image {
    const uint8_t *data;
    size_t size;
};

static size_t read_image(void *context, uint64_t offset, void *ret_bytes, size_t count) {
    const struct image *image = context;
    if (offset >= image->size) {
        return 0;
    }
    size_t left = image->size - (size_t)offset;
    size_t got = count < left ? count : left;
    memcpy(ret_bytes, image->data + offset, got);
    return got;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct image image = {.data = data, .size = size};
    struct object_header header;
    if (!object_header_read(read_image, &image, 0, &header)) {
        return 0;
    }
    const struct placement *placement = &header.placement;
    MUST(placement->kind == VERSION_TEXT || placement->kind == VERSION_BYTES);
    MUST(placement->kind == VERSION_BYTES || placement->length > 0);
    MUST(placement->length || !placement->offset);
    MUST(placement->offset + placement->length >= placement->offset);
    const struct meta *meta = &header.meta;
    MUST(memchr(meta->content_type, '\0', sizeof meta->content_type));
    MUST(memchr(meta->content_encoding, '\0', sizeof meta->content_encoding));
    MUST(memchr(meta->validator, '\0', sizeof meta->validator));
    MUST(meta->hold == HOLD_OWNED || meta->hold == HOLD_CACHED);
    MUST(!meta->extension ||
         (meta->extension->size > 0 && meta->extension->size <= META_EXTENSION_MOST_BYTES));
    meta_fini(&header.meta);
    return 0;
}
