/* fuzz_attributes.c - the metadata of an entry in a file that somebody else wrote: attributes with our names and any type, size and
 * content. An attribute a line of the input: the first byte chooses the name, the second the type, the rest is its value. What does not
 * have our shape is ignored; what is taken is bounded and terminated. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/hdf5/attributes.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    "lailad_sha256",    "lailad_stored_ms",    "lailad_created_ms",
    "lailad_hold",      "lailad_content_type", "lailad_content_encoding",
    "lailad_validator", "lailad_extension",    "lailad_unheard_of",
    "compression",
};

static hid_t file;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    MUST(access >= 0 && H5Pset_fapl_core(access, 1 << 16, 0) >= 0);
    file = H5Fcreate("fuzz_attributes", H5F_ACC_TRUNC, H5P_DEFAULT, access);
    MUST(file >= 0);
    H5Pclose(access);
    return 0;
}

/* The attribute's type and space for a value of so many bytes; the type is invalid when there is none such. */
static hid_t make_type(unsigned choice, size_t bytes, hid_t *ret_space) {
    hsize_t count = bytes;
    *ret_space = H5Screate(H5S_SCALAR);
    switch (choice % 8) {
    case 0:
    case 1: {
        hid_t type = H5Tcopy(H5T_C_S1);
        if (H5Tset_size(type, bytes) < 0 ||
            H5Tset_strpad(type, choice % 8 ? H5T_STR_SPACEPAD : H5T_STR_NULLPAD) < 0) {
            H5Tclose(type);
            return H5I_INVALID_HID;
        }
        return type;
    }
    case 2:
        return bytes >= 8 ? H5Tcopy(H5T_NATIVE_INT64) : H5I_INVALID_HID;
    case 3:
        return bytes >= 4 ? H5Tcopy(H5T_STD_U32BE) : H5I_INVALID_HID;
    case 4:
        return bytes >= 8 ? H5Tcopy(H5T_NATIVE_DOUBLE) : H5I_INVALID_HID;
    case 5:
        H5Sclose(*ret_space);
        *ret_space = bytes ? H5Screate_simple(1, &count, NULL) : H5Screate(H5S_NULL);
        return H5Tcopy(H5T_STD_U8LE);
    case 6:
        return bytes ? H5Tarray_create2(H5T_STD_I8LE, 1, &count) : H5I_INVALID_HID;
    default:
        return bytes ? H5Tcreate(H5T_OPAQUE, bytes) : H5I_INVALID_HID;
    }
}

static void add(hid_t dataset, const uint8_t *line, size_t bytes) {
    if (bytes < 2) {
        return;
    }
    const char *name = names[line[0] % ARRAY_COUNT(names)];
    if (H5Aexists(dataset, name) > 0) {
        return;
    }
    hid_t space = H5I_INVALID_HID;
    hid_t type = make_type(line[1], bytes - 2, &space);
    if (type >= 0 && space >= 0) {
        hid_t attribute = H5Acreate2(dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        if (attribute >= 0) {
            MUST(bytes == 2 || H5Awrite(attribute, type, line + 2) >= 0);
            H5Aclose(attribute);
        }
        H5Tclose(type);
    }
    H5Sclose(space);
}

static void check(hid_t dataset) {
    struct op op;
    op_init(&op, 0, 0);
    struct meta meta;
    meta_init(&meta);
    MUST(attributes_read(dataset, &op, &meta) == OK);
    MUST(memchr(meta.content_type, '\0', sizeof meta.content_type));
    MUST(memchr(meta.content_encoding, '\0', sizeof meta.content_encoding));
    MUST(memchr(meta.validator, '\0', sizeof meta.validator));
    MUST(meta.hold == HOLD_OWNED || meta.hold == HOLD_CACHED);
    MUST(!meta.extension || (meta.extension->size > 0 && meta.extension->size <= META_EXTENSION_MOST_BYTES));
    char etag[ETAG_BYTES];
    meta_etag(&meta, etag);
    MUST(memchr(etag, '\0', sizeof etag));
    meta_fini(&meta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) {
        return 0;
    }
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t dataset = H5Dcreate_anon(file, H5T_STD_U8LE, space, H5P_DEFAULT, H5P_DEFAULT);
    MUST(dataset >= 0);
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t bytes = end ? (size_t)(end - data) - at : size - at;
        add(dataset, data + at, bytes);
        at += bytes + 1;
    }
    check(dataset);
    H5Dclose(dataset);
    H5Sclose(space);
    return 0;
}
