/* lookup3.h - the checksum that HDF5 files have behind their metadata: Bob Jenkins' lookup3 (hashlittle), begun with 0. No state. */
#ifndef POOLS_HDF5_LOOKUP3_H
#define POOLS_HDF5_LOOKUP3_H

#include <stddef.h>
#include <stdint.h>

uint32_t lookup3(const void *bytes, size_t count);

#endif
