/* h5_format.h - what our files are like inside: how the library is told to make and open them, what of other writers' files
 * must not be written in place, and the mark of a clean close. Part of h5_file; the store's thread, or whoever opens.
 */
#ifndef POOLS_HDF5_H5_FORMAT_H
#define POOLS_HDF5_H5_FORMAT_H

#include "pools/hdf5/h5_file.h"

/* Property lists; the caller closes them. Negative = the library failed. */
hid_t h5_format_access_list(void);
hid_t h5_format_creation_list(void);
/* Sets `ordered`, and of a writable file `convertible` and `reason`. */
enum err h5_format_look(struct h5_file *file, struct op *op) MUST_USE;
/* Sets `marked` and `mark` as they are in the file. */
enum err h5_format_read_mark(struct h5_file *file, struct op *op) MUST_USE;
/* The same, and `alone`: whether the file's time says that nobody wrote since the mark. Only at an opening, before we write. */
enum err h5_format_judge_mark(struct h5_file *file, struct op *op) MUST_USE;

#endif
