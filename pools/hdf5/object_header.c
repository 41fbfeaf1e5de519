/* object_header.c - see object_header.h, and the HDF5 file format specification, version 3, section IV.A.1.b: the numbers are its. What its
 * messages say is object_message.c's. */
#include "pools/hdf5/object_header.h"

#include "pools/hdf5/lookup3.h"
#include "pools/hdf5/object_message.h"

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

/* ---- the header ---- */
struct block {
    uint64_t offset, bytes;
};

struct header {
    object_header_source_fn *source;
    void *context;
    bool has_order; /* messages bear a number */
    bool has_space, has_type, has_layout;
    unsigned has_known; /* of our attributes */
    unsigned block_count;
    struct block blocks[BLOCKS_MOST]; /* continuations */
    struct shape shape;
    struct block body;
    struct meta *meta;
    uint8_t space[BLOCK_MOST_BYTES];
};

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
        return !again && message_read_space(bytes, &header->shape);
    case TYPE:
        again = header->has_type;
        header->has_type = true;
        return !again && message_read_type(bytes, &header->shape);
    case LAYOUT:
        again = header->has_layout;
        header->has_layout = true;
        return !again && read_layout(header, bytes);
    case ATTRIBUTE:
        return message_read_attribute(bytes, &header->has_known, header->meta);
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
    if (!(header->has_known & 1u << ATTRIBUTE_CREATED)) {
        meta->created_ms = meta->stored_ms;
    }
    if (!(header->has_known & 1u << ATTRIBUTE_TYPE)) {
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
