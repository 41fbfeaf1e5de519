/* attributes.h - an entry's metadata as attributes of its dataset.
 *
 * | attribute                  | type                    | absent means                                     |
 * | lailad_sha256              | 64 hex digits           | unknown                                          |
 * | lailad_stored_ms           | int64, ms since 1970    | unknown                                          |
 * | lailad_created_ms          | int64, ms since 1970    | the same as stored                               |
 * | lailad_hold                | "cached"                | owned                                            |
 * | lailad_content_type        | string                  | application/json (strings), else octet-stream    |
 * | lailad_content_encoding    | string                  | none                                             |
 * | lailad_validator           | string                  | none                                             |
 * | lailad_extension           | uint8 array             | none                                             |
 *
 * What equals its absence is not written: two small attributes fit into the object header for nothing.
 * An attribute of another shape than ours was written by somebody else and is ignored.
 */
#ifndef POOLS_HDF5_ATTRIBUTES_H
#define POOLS_HDF5_ATTRIBUTES_H

#include "pools/entry.h"
#include "pools/hdf5/h5.h"

/* Strings are UTF-8, fixed length. default_type is the content type that is not written. */
enum err attributes_write(const struct h5_forms *forms, hid_t dataset, struct op *op, const struct meta *meta,
                          const char *default_type) MUST_USE;
/* Only the digest, in place of the one that is there. */
enum err attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                 const uint8_t sha256[SHA256_BYTES]) MUST_USE;
/* ret_meta comes initialised and with the default type; the caller calls meta_fini whatever the result. */
enum err attributes_read(hid_t dataset, struct op *op, struct meta *ret_meta) MUST_USE;

#endif
