/* hdf5_pool.h - the kind "hdf5": a pool in one standard HDF5 file. See README.md in this folder. */
#ifndef POOLS_HDF5_HDF5_POOL_H
#define POOLS_HDF5_HDF5_POOL_H

#include "pools/pool.h"

extern const struct pool_kind hdf5_pool_kind;

#endif
