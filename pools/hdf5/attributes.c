/* attributes.c - see attributes.h. */
#include "pools/hdf5/attributes.h"

#include "pools/base/hex.h"
#include "pools/hdf5/attribute_names.h"

#include <stdio.h>

static enum err write_one(hid_t dataset, struct op *op, const char *name, hid_t type, hid_t space,
                          const void *value) {
    AUTO(h5_close)
    hid_t attribute = type < 0 || space < 0
                          ? H5I_INVALID_HID
                          : H5Acreate2(dataset, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    return attribute < 0 || H5Awrite(attribute, type, value) < 0 ? h5_fail(op, "write an attribute") : OK;
}

static enum err write_text(const struct h5_forms *forms, hid_t dataset, struct op *op, const char *name,
                           const char *text) {
    if (!text[0]) {
        return OK;
    }
    return write_one(dataset, op, name, h5_forms_text(forms, strlen(text)), forms->scalar, text);
}

static enum err write_time(const struct h5_forms *forms, hid_t dataset, struct op *op, const char *name,
                           int64_t wall_ms) {
    return write_one(dataset, op, name, H5T_NATIVE_INT64, forms->scalar, &wall_ms);
}

enum err attributes_write(const struct h5_forms *forms, hid_t dataset, struct op *op, const struct meta *meta,
                          const char *default_type) {
    enum err err = OK;
    if (meta->has_sha256) {
        char hex[SHA256_HEX_BYTES];
        digest_hex(meta->sha256, hex);
        err = write_one(dataset, op, attribute_names[ATTRIBUTE_SHA256], forms->digest, forms->scalar, hex);
    }
    if (!err) {
        err = write_time(forms, dataset, op, attribute_names[ATTRIBUTE_STORED], meta->stored_ms);
    }
    if (!err && meta->created_ms != meta->stored_ms) {
        err = write_time(forms, dataset, op, attribute_names[ATTRIBUTE_CREATED], meta->created_ms);
    }
    if (!err && meta->hold == HOLD_CACHED) {
        err = write_text(forms, dataset, op, attribute_names[ATTRIBUTE_HOLD], "cached");
    }
    if (!err && strcmp(meta->content_type, default_type) != 0) {
        err = write_text(forms, dataset, op, attribute_names[ATTRIBUTE_TYPE], meta->content_type);
    }
    if (!err) {
        err = write_text(forms, dataset, op, attribute_names[ATTRIBUTE_ENCODING], meta->content_encoding);
    }
    if (!err) {
        err = write_text(forms, dataset, op, attribute_names[ATTRIBUTE_VALIDATOR], meta->validator);
    }
    if (!err && meta->extension && meta->extension->size) {
        err = write_one(dataset, op, attribute_names[ATTRIBUTE_EXTENSION], H5T_STD_U8LE,
                        h5_forms_line(forms, meta->extension->size), meta->extension->data);
    }
    return err;
}

enum err attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                 const uint8_t sha256[SHA256_BYTES]) {
    htri_t exists = H5Aexists(dataset, attribute_names[ATTRIBUTE_SHA256]);
    if (exists < 0 || (exists && H5Adelete(dataset, attribute_names[ATTRIBUTE_SHA256]) < 0)) {
        return h5_fail(op, "replace an attribute");
    }
    char hex[SHA256_HEX_BYTES];
    digest_hex(sha256, hex);
    return write_one(dataset, op, attribute_names[ATTRIBUTE_SHA256], forms->digest, forms->scalar, hex);
}

/* A scalar fixed-length string that fits, with its NUL; false when it is anything else. */
static bool read_text(hid_t attribute, char *ret_text, size_t cap) {
    AUTO(h5_close) hid_t type = H5Aget_type(attribute);
    AUTO(h5_close) hid_t space = H5Aget_space(attribute);
    if (type < 0 || space < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 ||
        H5Sget_simple_extent_npoints(space) != 1) {
        return false;
    }
    size_t bytes = H5Tget_size(type);
    if (bytes == 0 || bytes >= cap) {
        return false;
    }
    char text[META_TYPE_BYTES];
    if (bytes >= sizeof text || H5Aread(attribute, type, text) < 0) {
        return false;
    }
    memcpy(ret_text, text, bytes);
    ret_text[bytes] = '\0';
    return true;
}

static void read_time(hid_t attribute, int64_t *ret_wall_ms) {
    AUTO(h5_close) hid_t space = H5Aget_space(attribute);
    int64_t value = 0;
    if (space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
        H5Aread(attribute, H5T_NATIVE_INT64, &value) >= 0) {
        *ret_wall_ms = value;
    }
}

static void read_sha256(hid_t attribute, struct meta *meta) {
    char hex[SHA256_HEX_BYTES];
    if (!read_text(attribute, hex, sizeof hex) || strlen(hex) != SHA256_HEX_BYTES - 1) {
        return;
    }
    uint8_t sha256[SHA256_BYTES];
    if (!hex_read_bytes(hex, SHA256_BYTES, sha256)) {
        return;
    }
    memcpy(meta->sha256, sha256, sizeof sha256);
    meta->has_sha256 = true;
}

static void read_extension(hid_t attribute, struct meta *meta) {
    AUTO(h5_close) hid_t space = H5Aget_space(attribute);
    hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (count <= 0 || count > META_EXTENSION_MOST_BYTES) {
        return;
    }
    AUTO(blob_unref) struct blob *extension = blob_new((size_t)count);
    if (extension && H5Aread(attribute, H5T_NATIVE_UINT8, extension->data) >= 0) {
        blob_unref(meta->extension);
        meta->extension = STEAL(extension);
    }
}

static herr_t read_one(hid_t dataset, const char *name, const H5A_info_t *info, void *context) {
    (void)info;
    struct meta *meta = context;
    static const char prefix[] = "lailad_";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) {
        return 0;
    }
    AUTO(h5_close) hid_t attribute = H5Aopen(dataset, name, H5P_DEFAULT);
    char text[META_TYPE_BYTES];
    if (attribute < 0) {
        return -1;
    }
    if (strcmp(name, attribute_names[ATTRIBUTE_SHA256]) == 0) {
        read_sha256(attribute, meta);
    } else if (strcmp(name, attribute_names[ATTRIBUTE_STORED]) == 0) {
        read_time(attribute, &meta->stored_ms);
    } else if (strcmp(name, attribute_names[ATTRIBUTE_CREATED]) == 0) {
        read_time(attribute, &meta->created_ms);
    } else if (strcmp(name, attribute_names[ATTRIBUTE_HOLD]) == 0) {
        if (read_text(attribute, text, sizeof text) && strcmp(text, "cached") == 0) {
            meta->hold = HOLD_CACHED;
        }
    } else if (strcmp(name, attribute_names[ATTRIBUTE_TYPE]) == 0) {
        (void)read_text(attribute, meta->content_type, sizeof meta->content_type);
    } else if (strcmp(name, attribute_names[ATTRIBUTE_ENCODING]) == 0) {
        (void)read_text(attribute, meta->content_encoding, sizeof meta->content_encoding);
    } else if (strcmp(name, attribute_names[ATTRIBUTE_VALIDATOR]) == 0) {
        (void)read_text(attribute, meta->validator, sizeof meta->validator);
    } else if (strcmp(name, attribute_names[ATTRIBUTE_EXTENSION]) == 0) {
        read_extension(attribute, meta);
    }
    return 0;
}

enum err attributes_read(hid_t dataset, struct op *op, struct meta *ret_meta) {
    hsize_t at = 0;
    ret_meta->created_ms = INT64_MIN;
    herr_t result = H5Aiterate2(dataset, H5_INDEX_NAME, H5_ITER_NATIVE, &at, read_one, ret_meta);
    if (ret_meta->created_ms == INT64_MIN) {
        ret_meta->created_ms = ret_meta->stored_ms;
    }
    return result < 0 ? h5_fail(op, "read the attributes of an entry") : OK;
}
