/* driver.c - see driver.h.
 *
 * Without `lock` among the callbacks the library neither sets nor looks at the mark "open for writing" in the file, so a file whose
 * last writer crashed opens. Without the features "data sieve" and "accumulate metadata" every write comes to us at once: a
 * body can be read with pread as soon as it was written.
 *
 * Process state: the library's number for this driver, registered once.
 */
#include "pools/hdf5/vfd/driver.h"

#include "pools/base/must.h"
#include "pools/hdf5/vfd/shadow_inside.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define DRIVER_NAME "lailad"
/* From the numbers that are free for anybody. */
#define DRIVER_NUMBER 47261

/* What an access list holds for us. */
struct driver_info {
    struct shadow *shadow;
};

struct driver_file {
    H5FD_t base; /* first: the library casts */
    struct shadow *shadow;
};

static struct shadow *shadow_of(const H5FD_t *file) {
    return CONTAINER_OF_CONST(file, struct driver_file, base)->shadow;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static hid_t driver_id = H5I_INVALID_HID;

/* The library shows the stack of its errors to whoever asks: what it cannot know is the number. */
static herr_t fail(const char *doing, int errno_value) {
    H5Epush2(H5E_DEFAULT, __FILE__, "driver", __LINE__, H5E_ERR_CLS, H5E_IO,
             doing[0] == 'r' ? H5E_READERROR : H5E_WRITEERROR, "%s failed, errno = %d", doing, errno_value);
    return -1;
}

/* The library opens a file twice, the first time only to see what is there: nothing may happen here. */
static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access_list, haddr_t most) {
    (void)name;
    (void)most;
    const struct driver_info *info = H5Pget_driver_info(access_list);
    struct driver_file *file = info ? calloc(1, sizeof *file) : NULL;
    if (!file) {
        return NULL;
    }
    file->shadow = info->shadow;
    if (flags & H5F_ACC_TRUNC) {
        shadow_library_empty(file->shadow);
    }
    return &file->base;
}

static herr_t driver_close(H5FD_t *file) {
    free(CONTAINER_OF(file, struct driver_file, base));
    return 0;
}

static int driver_cmp(const H5FD_t *one, const H5FD_t *other) {
    uintptr_t a = (uintptr_t)shadow_of(one);
    uintptr_t b = (uintptr_t)shadow_of(other);
    return (a > b) - (a < b);
}

static herr_t driver_query(const H5FD_t *file, unsigned long *ret_flags) {
    (void)file;
    *ret_flags =
        H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return shadow_library_end(shadow_of(file));
}

static herr_t driver_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t end) {
    (void)type;
    shadow_library_set_end(shadow_of(file), end);
    return 0;
}

static haddr_t driver_get_eof(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return shadow_library_size(shadow_of(file));
}

static herr_t driver_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t offset, size_t count,
                          void *ret_bytes) {
    (void)type;
    (void)transfer;
    int result = shadow_library_read(shadow_of(file), offset, ret_bytes, count);
    return result ? fail("read", result) : 0;
}

static herr_t driver_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t offset, size_t count,
                           const void *bytes) {
    (void)transfer;
    int result = shadow_library_write(shadow_of(file), type == H5FD_MEM_DRAW, offset, bytes, count);
    return result ? fail("write", result) : 0;
}

/* H5Fflush brings everything into the shadow; what makes it durable is a commit. */
static herr_t driver_flush(H5FD_t *file, hid_t transfer, hbool_t closing) {
    (void)file;
    (void)transfer;
    (void)closing;
    return 0;
}

static herr_t driver_truncate(H5FD_t *file, hid_t transfer, hbool_t closing) {
    (void)transfer;
    (void)closing;
    shadow_library_truncate(shadow_of(file));
    return 0;
}

static const H5FD_class_t driver_class = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = DRIVER_NUMBER,
#endif
    .name = DRIVER_NAME,
    .maxaddr = INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(struct driver_info),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_cmp,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .flush = driver_flush,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

static void register_driver(void) {
    driver_id = H5FDregister(&driver_class);
}

enum err driver_attach(hid_t access_list, struct op *op, struct shadow *shadow) {
    MUST(pthread_once(&once, register_driver) == 0);
    struct driver_info info = {.shadow = shadow};
    if (driver_id < 0 || H5Pset_driver(access_list, driver_id, &info) < 0) {
        return op_fail(op, REASON_IO, "the HDF5 library does not take the journaled driver");
    }
    return OK;
}
