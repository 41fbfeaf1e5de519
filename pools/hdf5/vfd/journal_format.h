/* journal_format.h - where the numbers stand in the journal's header and records; journal.c writes what journal_reader.c reads. */
#ifndef POOLS_HDF5_VFD_JOURNAL_FORMAT_H
#define POOLS_HDF5_VFD_JOURNAL_FORMAT_H

#include "pools/hdf5/vfd/journal.h"

#include <sodium.h>

#define JOURNAL_MAGIC "lailad-j"
#define JOURNAL_RECORD_MAGIC "lailad-r"
#define JOURNAL_MAGIC_BYTES 8
#define JOURNAL_VERSION 1

/* Header: within one sector, so that it changes at once. */
enum {
    HEADER_MAGIC = 0,
    HEADER_VERSION = 8,
    HEADER_SALT = 16,
    HEADER_IDENTITY = 32,
    HEADER_CHECKSUM = 40,
    HEADER_BYTES = 48
};

/* Record: the checksum is taken with zeros in its own place. */
enum {
    RECORD_MAGIC = 0,
    RECORD_SALT = 8,
    RECORD_SEQUENCE = 24,
    RECORD_IDENTITY = 32,
    RECORD_END = 40,
    RECORD_PAYLOAD = 48, /* bytes behind the record's header, without padding */
    RECORD_IMAGES = 56,
    RECORD_REVOKES = 60,
    RECORD_CHECKSUM = 64,
    RECORD_MTIME = 72,
    RECORD_BYTES = 80
};

#define REVOKE_BYTES 16 /* offset, bytes */
#define IMAGE_BYTES 12  /* offset, bytes (32 bits); then the bytes themselves */

static inline void put_number(uint8_t *to, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline uint64_t get_number(const uint8_t *from, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)from[i] << (8 * i);
    }
    return value;
}

static inline uint64_t journal_checksum(const uint8_t *salt, const uint8_t *bytes, size_t count) {
    uint8_t sum[crypto_shorthash_BYTES];
    crypto_shorthash(sum, bytes, count, salt);
    return get_number(sum, sizeof sum);
}

static inline uint64_t journal_padded(uint64_t bytes) {
    return (bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
}

#endif
