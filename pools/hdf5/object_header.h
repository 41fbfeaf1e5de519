/* object_header.h - what an entry's object header says, read without the library: its place and its metadata in about a microsecond
 * instead of forty.
 *
 * It understands the headers that we write, and those of others that look the same: version 2 with its checksum, one body in one
 * piece, our attributes in the header itself. Everything else is *unusual*, and the library is asked: so a wrong answer is no choice
 * it has. The bytes come from a file that anybody may have made: no count and no size in them is believed.
 *
 * What it needs: addresses and lengths of 8 bytes and no user block (h5_file.h, plain), and bytes in the file that are those
 * which the library would read.
 *
 * Threads: any; no state. Blocks as long as the reading of the file does. Read next: dataset.h, which decides whom to ask.
 */
#ifndef POOLS_HDF5_OBJECT_HEADER_H
#define POOLS_HDF5_OBJECT_HEADER_H

#include "pools/hdf5/version.h"

/* Up to `count` bytes at the offset; returns how many there were: fewer at the end of the file, none when reading failed. */
typedef size_t object_header_source_fn(void *context, uint64_t offset, void *ret_bytes, size_t count);

struct object_header {
    struct placement placement; /* VERSION_TEXT or VERSION_BYTES */
    char padding;               /* what a text is filled up with: NUL or a space */
    struct meta meta;           /* of the attributes, the default type where they name none */
};

/* False = unusual: nothing was set. Afterwards the caller ends ret_header->meta with meta_fini. */
bool object_header_read(object_header_source_fn *source, void *context, uint64_t address,
                        struct object_header *ret_header) MUST_USE;

#endif
