/* object_message.c - see object_message.h, and the HDF5 file format specification, version 3, section IV.A.2: the numbers are its. */
#include "pools/hdf5/object_message.h"

#include "pools/base/hex.h"

#include <string.h>

const char *const attribute_names[ATTRIBUTE_COUNT] = {
    [ATTRIBUTE_SHA256] = "lailad_sha256",       [ATTRIBUTE_STORED] = "lailad_stored_ms",
    [ATTRIBUTE_CREATED] = "lailad_created_ms",  [ATTRIBUTE_HOLD] = "lailad_hold",
    [ATTRIBUTE_TYPE] = "lailad_content_type",   [ATTRIBUTE_ENCODING] = "lailad_content_encoding",
    [ATTRIBUTE_VALIDATOR] = "lailad_validator", [ATTRIBUTE_EXTENSION] = "lailad_extension",
};

/* ---- types and spaces ---- */
bool message_read_space(struct bytes bytes, struct shape *ret_shape) {
    uint64_t version = take_number(&bytes, 1);
    uint64_t rank = take_number(&bytes, 1);
    uint64_t flags = take_number(&bytes, 1);
    uint64_t kind = take_number(&bytes, 1); /* 0 scalar, 1 simple, 2 nothing at all */
    ret_shape->scalar = kind == 0;
    ret_shape->points = 1;
    if (version != 2 || flags > 1 || kind > 1 || rank != kind) {
        return false;
    }
    if (kind == 1) {
        ret_shape->points = take_number(&bytes, 8);
        uint64_t most = flags ? take_number(&bytes, 8) : ret_shape->points;
        if (most != ret_shape->points) {
            return false;
        }
    }
    return !bytes.failed;
}

bool message_read_type(struct bytes bytes, struct shape *ret_shape) {
    uint64_t head = take_number(&bytes, 1);
    uint64_t version = head >> 4;
    uint64_t bits = take_number(&bytes, 3);
    ret_shape->type = (enum type_class)(head & 15);
    ret_shape->element_bytes = take_number(&bytes, 4);
    if (bytes.failed || version < 1 || version > 3 || !ret_shape->element_bytes) {
        return false;
    }
    if (ret_shape->type == CLASS_STRING) {
        uint64_t padding = bits & 15;
        ret_shape->padding = padding == 2 ? ' ' : '\0';
        return padding <= 2 && bits >> 4 <= 1; /* ASCII or UTF-8 */
    }
    uint64_t first_bit = take_number(&bytes, 2);
    uint64_t precision = take_number(&bytes, 2);
    ret_shape->is_int64 = ret_shape->element_bytes == 8 && bits == 8 && first_bit == 0 && precision == 64;
    return ret_shape->type == CLASS_INTEGER && !bytes.failed;
}

/* ---- our attributes (attributes.h) ---- */
struct value {
    struct shape shape;
    const uint8_t *at;
    size_t count;
};

static bool read_text(const struct value *value, char *ret_text, size_t cap) {
    if (value->shape.type != CLASS_STRING || !value->shape.scalar || value->count >= cap) {
        return false;
    }
    memcpy(ret_text, value->at, value->count);
    ret_text[value->count] = '\0';
    return true;
}

static bool read_time(const struct value *value, int64_t *ret_wall_ms) {
    struct bytes bytes = {.at = value->at, .left = value->count};
    *ret_wall_ms = (int64_t)take_number(&bytes, 8);
    return value->shape.scalar && value->shape.is_int64;
}

static bool read_sha256(const struct value *value, struct meta *meta) {
    char text[SHA256_HEX_BYTES];
    meta->has_sha256 = read_text(value, text, sizeof text) && strlen(text) == SHA256_HEX_BYTES - 1 &&
                       hex_read_bytes(text, SHA256_BYTES, meta->sha256);
    return meta->has_sha256;
}

static bool read_hold(const struct value *value, struct meta *meta) {
    char text[sizeof "cached"];
    meta->hold = HOLD_CACHED;
    return read_text(value, text, sizeof text) && strcmp(text, "cached") == 0;
}

static bool read_extension(const struct value *value, struct meta *meta) {
    if (value->shape.type != CLASS_INTEGER || value->shape.element_bytes != 1 || !value->count ||
        value->count > META_EXTENSION_MOST_BYTES) {
        return false;
    }
    meta->extension = blob_copy(value->at, value->count);
    return meta->extension != NULL;
}

/* False where the library might find something else. */
static bool read_ours(enum attribute which, const struct value *value, struct meta *meta) {
    switch (which) {
    case ATTRIBUTE_SHA256:
        return read_sha256(value, meta);
    case ATTRIBUTE_STORED:
        return read_time(value, &meta->stored_ms);
    case ATTRIBUTE_CREATED:
        return read_time(value, &meta->created_ms);
    case ATTRIBUTE_HOLD:
        return read_hold(value, meta);
    case ATTRIBUTE_TYPE:
        return read_text(value, meta->content_type, sizeof meta->content_type);
    case ATTRIBUTE_ENCODING:
        return read_text(value, meta->content_encoding, sizeof meta->content_encoding);
    case ATTRIBUTE_VALIDATOR:
        return read_text(value, meta->validator, sizeof meta->validator);
    case ATTRIBUTE_EXTENSION:
        return read_extension(value, meta);
    case ATTRIBUTE_COUNT:
        break;
    }
    return false;
}

bool message_read_attribute(struct bytes bytes, unsigned *known, struct meta *meta) {
    uint64_t version = take_number(&bytes, 1);
    uint64_t flags = take_number(&bytes, 1);
    size_t name_bytes = (size_t)take_number(&bytes, 2);
    size_t type_bytes = (size_t)take_number(&bytes, 2);
    size_t space_bytes = (size_t)take_number(&bytes, 2);
    (void)take_number(&bytes, 1); /* the name's character set */
    struct bytes name = take_part(&bytes, name_bytes);
    struct bytes type = take_part(&bytes, type_bytes);
    struct bytes space = take_part(&bytes, space_bytes);
    if (bytes.failed || version != 3 || !name_bytes || name.at[name_bytes - 1]) {
        return false;
    }
    unsigned which = 0;
    while (which < ATTRIBUTE_COUNT && strcmp((const char *)name.at, attribute_names[which]) != 0) {
        which++;
    }
    if (which == ATTRIBUTE_COUNT) {
        return true; /* somebody else's */
    }
    struct value value = {.count = bytes.left};
    if (flags || *known & 1u << which || !message_read_type(type, &value.shape) ||
        !message_read_space(space, &value.shape) ||
        value.shape.points > value.count / value.shape.element_bytes) {
        return false;
    }
    *known |= 1u << which;
    value.count = (size_t)(value.shape.points * value.shape.element_bytes);
    value.at = take(&bytes, value.count);
    return read_ours((enum attribute)which, &value, meta);
}
