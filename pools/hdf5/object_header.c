/* object_header.c - see object_header.h, and the HDF5 file format specification, version 3, section IV.A.1.b: the numbers are its. */
#include "pools/hdf5/object_header.h"

#include "pools/base/hex.h"
#include "pools/hdf5/lookup3.h"

#include <stdio.h>

/* Our headers have some 256 bytes; with metadata of the largest size allowed, 3 KiB. */
#define FIRST_READ_BYTES 512u
#define BLOCK_MOST_BYTES 8192u
#define BLOCKS_MOST 4u
#define MAGIC_BYTES 4u
#define CHECKSUM_BYTES 4u
#define UNDEFINED UINT64_MAX

enum message {
    NIL = 0,
    SPACE = 1,
    TYPE = 3,
    OLD_FILL = 4,
    FILL = 5,
    LAYOUT = 8,
    ATTRIBUTE = 12,
    CONTINUATION = 16,
    ATTRIBUTES = 21
};
enum type_class { CLASS_INTEGER = 0, CLASS_STRING = 3 };

/* ---- bytes, never past their end ---- */
struct bytes {
    const uint8_t *at;
    size_t left;
    bool failed; /* something was asked for that is not there */
};

static const uint8_t *take(struct bytes *bytes, size_t count) {
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
static uint64_t take_number(struct bytes *bytes, size_t count) {
    const uint8_t *at = take(bytes, count);
    uint64_t number = 0;
    for (size_t i = count; i > 0; i--) {
        number = number << 8 | at[i - 1];
    }
    return number;
}

static struct bytes take_part(struct bytes *bytes, size_t count) {
    struct bytes part = {.at = take(bytes, count), .left = count};
    if (bytes->failed) {
        part = (struct bytes){.failed = true};
    }
    return part;
}

/* ---- types and spaces, of bodies and of attributes ---- */
struct shape {
    enum type_class type;
    bool scalar;
    bool is_int64; /* signed, little-endian, all its bits */
    char padding;
    uint64_t points;
    uint64_t element_bytes;
};

static bool read_space(struct bytes bytes, struct shape *shape) {
    uint64_t version = take_number(&bytes, 1);
    uint64_t rank = take_number(&bytes, 1);
    uint64_t flags = take_number(&bytes, 1);
    uint64_t kind = take_number(&bytes, 1); /* 0 scalar, 1 simple, 2 nothing at all */
    shape->scalar = kind == 0;
    shape->points = 1;
    if (version != 2 || flags > 1 || kind > 1 || rank != kind) {
        return false;
    }
    if (kind == 1) {
        shape->points = take_number(&bytes, 8);
        uint64_t most = flags ? take_number(&bytes, 8) : shape->points;
        if (most != shape->points) {
            return false;
        }
    }
    return !bytes.failed;
}

static bool read_type(struct bytes bytes, struct shape *shape) {
    uint64_t head = take_number(&bytes, 1);
    uint64_t version = head >> 4;
    uint64_t bits = take_number(&bytes, 3);
    shape->type = (enum type_class)(head & 15);
    shape->element_bytes = take_number(&bytes, 4);
    if (bytes.failed || version < 1 || version > 3 || !shape->element_bytes) {
        return false;
    }
    if (shape->type == CLASS_STRING) {
        uint64_t padding = bits & 15;
        shape->padding = padding == 2 ? ' ' : '\0';
        return padding <= 2 && bits >> 4 <= 1; /* ASCII or UTF-8 */
    }
    uint64_t first_bit = take_number(&bytes, 2);
    uint64_t precision = take_number(&bytes, 2);
    shape->is_int64 = shape->element_bytes == 8 && bits == 8 && first_bit == 0 && precision == 64;
    return shape->type == CLASS_INTEGER && !bytes.failed;
}

/* ---- our attributes (attributes.h) ---- */
enum known { SHA256, STORED, CREATED, HOLD, CONTENT_TYPE, ENCODING, VALIDATOR, EXTENSION, KNOWN_COUNT };

static const char *const known_names[KNOWN_COUNT] = {
    "lailad_sha256",       "lailad_stored_ms",        "lailad_created_ms", "lailad_hold",
    "lailad_content_type", "lailad_content_encoding", "lailad_validator",  "lailad_extension",
};

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
static bool read_known(enum known known, const struct value *value, struct meta *meta) {
    switch (known) {
    case SHA256:
        return read_sha256(value, meta);
    case STORED:
        return read_time(value, &meta->stored_ms);
    case CREATED:
        return read_time(value, &meta->created_ms);
    case HOLD:
        return read_hold(value, meta);
    case CONTENT_TYPE:
        return read_text(value, meta->content_type, sizeof meta->content_type);
    case ENCODING:
        return read_text(value, meta->content_encoding, sizeof meta->content_encoding);
    case VALIDATOR:
        return read_text(value, meta->validator, sizeof meta->validator);
    case EXTENSION:
        return read_extension(value, meta);
    case KNOWN_COUNT:
        break;
    }
    return false;
}

/* ---- the header ---- */
struct block {
    uint64_t offset, bytes;
};

struct header {
    object_header_source_fn *source;
    void *context;
    bool has_order; /* messages bear a number */
    bool has_space, has_type, has_layout;
    unsigned has_known; /* a bit for each of our attributes */
    unsigned block_count;
    struct block blocks[BLOCKS_MOST]; /* continuations */
    struct shape shape;
    struct block body;
    struct meta *meta;
    uint8_t space[BLOCK_MOST_BYTES];
};

static bool read_attribute(struct header *header, struct bytes bytes) {
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
    unsigned known = 0;
    while (known < KNOWN_COUNT && strcmp((const char *)name.at, known_names[known]) != 0) {
        known++;
    }
    if (known == KNOWN_COUNT) {
        return true; /* somebody else's */
    }
    struct value value = {.count = bytes.left};
    if (flags || header->has_known & 1u << known || !read_type(type, &value.shape) ||
        !read_space(space, &value.shape) || value.shape.points > value.count / value.shape.element_bytes) {
        return false;
    }
    header->has_known |= 1u << known;
    value.count = (size_t)(value.shape.points * value.shape.element_bytes);
    value.at = take(&bytes, value.count);
    return read_known((enum known)known, &value, header->meta);
}

/* Attributes in a heap of their own, because they are many or large? */
static bool read_attribute_info(struct bytes bytes) {
    uint64_t version = take_number(&bytes, 1);
    uint64_t flags = take_number(&bytes, 1);
    if (flags & 1) {
        (void)take_number(&bytes, 2);
    }
    uint64_t heap = take_number(&bytes, 8);
    return !bytes.failed && version == 0 && heap == UNDEFINED;
}

static bool read_layout(struct header *header, struct bytes bytes) {
    uint64_t version = take_number(&bytes, 1);
    uint64_t kind = take_number(&bytes, 1); /* 1 = in one piece */
    header->body.offset = take_number(&bytes, 8);
    header->body.bytes = take_number(&bytes, 8);
    return !bytes.failed && (version == 3 || version == 4) && kind == 1;
}

static bool read_continuation(struct header *header, struct bytes bytes) {
    struct block block = {.offset = take_number(&bytes, 8)};
    block.bytes = take_number(&bytes, 8);
    if (bytes.failed || header->block_count == BLOCKS_MOST || block.bytes < MAGIC_BYTES + CHECKSUM_BYTES ||
        block.bytes > BLOCK_MOST_BYTES) {
        return false;
    }
    header->blocks[header->block_count++] = block;
    return true;
}

/* Each at most once, but for attributes and continuations. */
static bool read_message(struct header *header, uint64_t type, struct bytes bytes) {
    bool again = false;
    switch (type) {
    case NIL:
    case OLD_FILL:
    case FILL:
        return true;
    case SPACE:
        again = header->has_space;
        header->has_space = true;
        return !again && read_space(bytes, &header->shape);
    case TYPE:
        again = header->has_type;
        header->has_type = true;
        return !again && read_type(bytes, &header->shape);
    case LAYOUT:
        again = header->has_layout;
        header->has_layout = true;
        return !again && read_layout(header, bytes);
    case ATTRIBUTE:
        return read_attribute(header, bytes);
    case CONTINUATION:
        return read_continuation(header, bytes);
    case ATTRIBUTES:
        return read_attribute_info(bytes);
    default:
        return false;
    }
}

static bool read_messages(struct header *header, struct bytes bytes) {
    const size_t head_bytes = header->has_order ? 6 : 4;
    const uint64_t harmless =
        1 | 4 | 64; /* constant, never shared, shareable: none is shared here, none unknown */
    while (bytes.left >= head_bytes) {
        uint64_t type = take_number(&bytes, 1);
        size_t count = (size_t)take_number(&bytes, 2);
        uint64_t flags = take_number(&bytes, 1);
        (void)take(&bytes, head_bytes - 4);
        struct bytes message = take_part(&bytes, count);
        if (message.failed || flags & ~harmless || !read_message(header, type, message)) {
            return false;
        }
    }
    return true;
}

/* The checksum behind `count` bytes is right. */
static bool is_intact(const uint8_t *bytes, size_t count) {
    struct bytes sum = {.at = bytes + count, .left = CHECKSUM_BYTES};
    return take_number(&sum, CHECKSUM_BYTES) == lookup3(bytes, count);
}

static bool read_first(struct header *header, uint64_t address) {
    size_t got = header->source(header->context, address, header->space, FIRST_READ_BYTES);
    struct bytes bytes = {.at = header->space, .left = got};
    bool magic = memcmp(take(&bytes, MAGIC_BYTES), "OHDR", MAGIC_BYTES) == 0;
    uint64_t version = take_number(&bytes, 1);
    uint64_t flags = take_number(&bytes, 1);
    if (bytes.failed || !magic || version != 2 || flags & ~UINT64_C(0x3f)) {
        return false;
    }
    header->has_order = flags & 4;
    (void)take(&bytes, (flags & 32 ? 16 : 0) + (flags & 16 ? 4 : 0)); /* times, numbers of attributes */
    uint64_t count = take_number(&bytes, (size_t)1 << (flags & 3));
    size_t head = (size_t)(bytes.at - header->space);
    if (bytes.failed || count > BLOCK_MOST_BYTES - CHECKSUM_BYTES - head) {
        return false;
    }
    size_t whole = head + (size_t)count + CHECKSUM_BYTES;
    if (whole > got && header->source(header->context, address, header->space, whole) < whole) {
        return false;
    }
    return is_intact(header->space, whole - CHECKSUM_BYTES) &&
           read_messages(header, (struct bytes){.at = header->space + head, .left = (size_t)count});
}

static bool read_block(struct header *header, const struct block *block) {
    size_t count = (size_t)block->bytes;
    return header->source(header->context, block->offset, header->space, count) == count &&
           memcmp(header->space, "OCHK", MAGIC_BYTES) == 0 &&
           is_intact(header->space, count - CHECKSUM_BYTES) &&
           read_messages(header, (struct bytes){.at = header->space + MAGIC_BYTES,
                                                .left = count - MAGIC_BYTES - CHECKSUM_BYTES});
}

/* What the whole amounts to. */
static bool place(const struct header *header, uint64_t address, struct object_header *ret_header) {
    const struct shape *shape = &header->shape;
    bool text = shape->type == CLASS_STRING;
    if (!header->has_space || !header->has_type || !header->has_layout || (text && !shape->scalar) ||
        shape->points > UINT64_MAX / 2 / shape->element_bytes) {
        return false;
    }
    uint64_t length = shape->points * shape->element_bytes;
    if (header->body.bytes != length || (length && header->body.offset > UINT64_MAX / 2)) {
        return false;
    }
    ret_header->padding = shape->padding;
    ret_header->placement = (struct placement){.kind = text ? VERSION_TEXT : VERSION_BYTES,
                                               .address = address,
                                               .offset = length ? header->body.offset : 0,
                                               .length = length};
    struct meta *meta = &ret_header->meta;
    if (!(header->has_known & 1u << CREATED)) {
        meta->created_ms = meta->stored_ms;
    }
    if (!(header->has_known & 1u << CONTENT_TYPE)) {
        const char *type = version_default_type(ret_header->placement.kind);
        snprintf(meta->content_type, sizeof meta->content_type, "%s", type);
    }
    return true;
}

bool object_header_read(object_header_source_fn *source, void *context, uint64_t address,
                        struct object_header *ret_header) {
    struct header header; /* its large space stays as it is */
    memset(&header, 0, offsetof(struct header, space));
    header.source = source;
    header.context = context;
    header.meta = &ret_header->meta;
    meta_init(&ret_header->meta);
    bool usual = read_first(&header, address);
    for (unsigned i = 0; usual && i < header.block_count; i++) {
        usual = read_block(&header, &header.blocks[i]);
    }
    usual = usual && place(&header, address, ret_header);
    if (!usual) {
        meta_fini(&ret_header->meta);
    }
    return usual;
}
