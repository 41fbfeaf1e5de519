/* driver.h - the HDF5 virtual file driver whose files are shadows.
 *
 * The only file here that knows the library. H5FD_class_t differs between 1.10 and 1.14 (fields `version`, `value`, `ctl`, and the header
 * H5FDdevelop.h): driver.c holds both.
 */
#ifndef POOLS_HDF5_VFD_DRIVER_H
#define POOLS_HDF5_VFD_DRIVER_H

#include "pools/base/op.h"
#include "pools/hdf5/vfd/shadow.h"

#define H5_USE_110_API
#include <hdf5.h>

/* Files opened with this access list read from and write to the shadow, whatever name they are opened by. The library only
 * borrows it: it must outlive the file. Opening twice at once (the library's tentative open) is fine. */
enum err driver_attach(hid_t access_list, struct op *op, struct shadow *shadow) MUST_USE;

#endif
