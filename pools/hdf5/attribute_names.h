/* attribute_names.h - what an entry's attributes are called, once: for the library (attributes.c) and for those who read the bytes
 * (object_message.c). What they mean is in attributes.h. No state.
 */
#ifndef POOLS_HDF5_ATTRIBUTE_NAMES_H
#define POOLS_HDF5_ATTRIBUTE_NAMES_H

enum attribute {
    ATTRIBUTE_SHA256,
    ATTRIBUTE_STORED,
    ATTRIBUTE_CREATED,
    ATTRIBUTE_HOLD,
    ATTRIBUTE_TYPE,
    ATTRIBUTE_ENCODING,
    ATTRIBUTE_VALIDATOR,
    ATTRIBUTE_EXTENSION,
    ATTRIBUTE_COUNT
};

/* By enum attribute. */
extern const char *const attribute_names[ATTRIBUTE_COUNT];

#endif
