/* object_message.h - what the messages of an object's header say: types and spaces, of bodies and of attributes, and our attributes
 * (attributes.h). From bytes that anybody may have made: none is read past its end, and what is not quite as we write it is false.
 *
 * Part of object_header.c. Threads: any; no state.
 */
#ifndef POOLS_HDF5_OBJECT_MESSAGE_H
#define POOLS_HDF5_OBJECT_MESSAGE_H

#include "pools/entry.h"
#include "pools/hdf5/attribute_names.h"

/* ---- bytes, never past their end ---- */
struct bytes {
    const uint8_t *at;
    size_t left;
    bool failed; /* something was asked for that is not there */
};

static inline const uint8_t *take(struct bytes *bytes, size_t count) {
    static const uint8_t nothing[8];
    if (count > bytes->left) {
        bytes->failed = true;
        bytes->left = 0;
        return nothing;
    }
    const uint8_t *taken = bytes->at;
    bytes->at += count;
    bytes->left -= count;
    return taken;
}

/* Little-endian, up to 8 bytes. */
static inline uint64_t take_number(struct bytes *bytes, size_t count) {
    const uint8_t *at = take(bytes, count);
    uint64_t number = 0;
    for (size_t i = count; i > 0; i--) {
        number = number << 8 | at[i - 1];
    }
    return number;
}

static inline struct bytes take_part(struct bytes *bytes, size_t count) {
    struct bytes part = {.at = take(bytes, count), .left = count};
    if (bytes->failed) {
        part = (struct bytes){.failed = true};
    }
    return part;
}

/* ---- messages ---- */
enum type_class { CLASS_INTEGER = 0, CLASS_STRING = 3 };

/* Of a body or of an attribute. */
struct shape {
    enum type_class type;
    bool scalar;
    bool is_int64; /* signed, little-endian, all its bits */
    char padding;
    uint64_t points;
    uint64_t element_bytes;
};

bool message_read_space(struct bytes bytes, struct shape *ret_shape) MUST_USE;
bool message_read_type(struct bytes bytes, struct shape *ret_shape) MUST_USE;
/* One of ours goes into meta, and its bit (1 << enum attribute) into *known; once each. One of others is true, too. */
bool message_read_attribute(struct bytes bytes, unsigned *known, struct meta *meta) MUST_USE;

#endif
