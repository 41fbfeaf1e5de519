/* blob.h - immutable bytes shared by reference count.
 *
 * A blob is filled once by its maker (blob_bytes while it holds the only reference) and never changes
 * afterwards; any thread may read it while holding a reference.
 */
#ifndef POOLS_BASE_BLOB_H
#define POOLS_BASE_BLOB_H

#include "pools/base/attrs.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct blob {
    atomic_uint refs;
    size_t size;
    uint8_t data[];
};

/* One reference to `size` uninitialised bytes; NULL when out of memory. */
struct blob *blob_new(size_t size);
struct blob *blob_copy(const void *bytes, size_t size);
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob);
DEFINE_AUTO(struct blob, blob_unref)

#endif
