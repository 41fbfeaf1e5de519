/* torture_cache.c - in every other run the library has a metadata cache that holds next to nothing, so that it writes and forgets headers and
 * blocks in the middle of everything: what only holds as long as something is still in the cache breaks here.
 *
 * The linker puts the __wrap_ function in the place of the one it is named after (CMakeLists.txt). Threads: set before the pool is opened.
 */
#include "tests/crash/torture.h"

#include <hdf5.h>

#define SMALL_BYTES ((size_t)4 << 10)

static bool is_small;

void torture_small_cache(bool small) {
    is_small = small;
}

herr_t __real_H5Pset_mdc_config(hid_t list, H5AC_cache_config_t *config);
herr_t __wrap_H5Pset_mdc_config(hid_t list, H5AC_cache_config_t *config);
herr_t __wrap_H5Pset_mdc_config(hid_t list, H5AC_cache_config_t *config) {
    if (is_small) {
        config->initial_size = config->min_size = config->max_size = SMALL_BYTES;
    }
    return __real_H5Pset_mdc_config(list, config);
}
