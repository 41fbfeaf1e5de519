/* h5.c - see h5.h. */
#include "pools/hdf5/h5.h"

#include "pools/base/digest.h"
#include "pools/base/must.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pthread_once_t set_up = PTHREAD_ONCE_INIT;

/* How much freed memory the library keeps for its next calls, of each size and in all: its own limits are below what one batch of 64
 * puts frees, so that memory went back and forth. */
#define KEPT_OF_ONE_BYTES (1 << 20)
#define KEPT_BYTES (16 << 20)

/* Without H5dont_atexit the library closes files behind our back when the process ends. */
static void set_up_library(void) {
    MUST(H5dont_atexit() >= 0);
    MUST(H5open() >= 0);
    MUST(H5set_free_list_limits(KEPT_BYTES, KEPT_OF_ONE_BYTES, KEPT_BYTES, KEPT_OF_ONE_BYTES, KEPT_BYTES,
                                KEPT_OF_ONE_BYTES) >= 0);
}

void h5_enter(void) {
    MUST(pthread_once(&set_up, set_up_library) == 0);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

struct found {
    int errno_value;
    char text[128];
};

/* Innermost first. The description of a system failure ends "errno = 28, error message = ..."; the minor
 * text ("Unable to open file") never holds a path. */
static herr_t look_at(unsigned depth, const H5E_error2_t *error, void *context) {
    struct found *found = context;
    if (depth == 0) {
        H5E_type_t type = H5E_MINOR;
        if (H5Eget_msg(error->min_num, &type, found->text, sizeof found->text) < 0) {
            found->text[0] = '\0';
        }
    }
    const char *number = error->desc ? strstr(error->desc, "errno = ") : NULL;
    if (number && !found->errno_value) {
        found->errno_value = (int)strtol(number + strlen("errno = "), NULL, 10);
    }
    return 0;
}

enum err h5_fail(struct op *op, const char *doing) {
    struct found found = {0};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, look_at, &found);
    H5Eclear2(H5E_DEFAULT);
    if (found.errno_value == ENOSPC || found.errno_value == EDQUOT || found.errno_value == EFBIG) {
        return op_fail(op, REASON_NO_SPACE, "the disk of the HDF5 file is full");
    }
    return op_fail(op, REASON_IO, "the HDF5 library could not %s: %s", doing,
                   found.text[0] ? found.text : "no reason given");
}

void h5_forget(void) {
    H5Eclear2(H5E_DEFAULT);
}

void h5_close(hid_t id) {
    if (id > 0 && H5Idec_ref(id) < 0) {
        h5_forget();
    }
}

/* How many names the header counts, brought down to `most`. Negative = the library failed. */
static int count_names(hid_t object, unsigned most) {
    H5O_info_t info;
    if (H5Oget_info2(object, &info, H5O_INFO_BASIC) < 0) {
        return -1;
    }
    for (unsigned i = info.rc; i > most; i--) {
        if (H5Odecr_refcount(object) < 0) {
            return -1;
        }
    }
    return (int)info.rc;
}

bool h5_link_first(hid_t object, hid_t group, const char *name, hid_t link_list) {
    if (count_names(object, 0) < 0 || H5Olink(object, group, name, link_list, H5P_DEFAULT) < 0) {
        return false;
    }
    int names = count_names(object, UINT_MAX);
    if (names == 2) { /* counted from one, within the call: the mark is still there */
        return count_names(object, 0) == 2 && H5Oincr_refcount(object) >= 0;
    }
    return names == 1;
}

/* ---- forms ---- */
static hid_t make_text(void) {
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_cset(type, H5T_CSET_UTF8) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0)) {
        h5_close(type);
        return H5I_INVALID_HID;
    }
    return type;
}

static hid_t make_body_layout(void) {
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (list >= 0 && (H5Pset_obj_track_times(list, false) < 0 || H5Pset_layout(list, H5D_CONTIGUOUS) < 0 ||
                      H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY) < 0 ||
                      H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0)) {
        h5_close(list);
        return H5I_INVALID_HID;
    }
    return list;
}

enum err h5_forms_open(struct h5_forms *ret_forms, struct op *op) {
    *ret_forms = (struct h5_forms){.scalar = H5Screate(H5S_SCALAR),
                                   .text = make_text(),
                                   .digest = make_text(),
                                   .line = H5Screate(H5S_SIMPLE),
                                   .body = make_body_layout()};
    bool all = ret_forms->scalar >= 0 && ret_forms->text >= 0 && ret_forms->line >= 0 &&
               ret_forms->body >= 0 && ret_forms->digest >= 0 &&
               H5Tset_size(ret_forms->digest, 2 * SHA256_BYTES) >= 0;
    return all ? OK : h5_fail(op, "prepare");
}

void h5_forms_close(struct h5_forms *forms) {
    h5_close(forms->scalar);
    h5_close(forms->text);
    h5_close(forms->digest);
    h5_close(forms->line);
    h5_close(forms->body);
}

hid_t h5_forms_text(const struct h5_forms *forms, size_t bytes) {
    return H5Tset_size(forms->text, bytes) < 0 ? H5I_INVALID_HID : forms->text;
}

hid_t h5_forms_line(const struct h5_forms *forms, uint64_t count) {
    hsize_t extent = count;
    return H5Sset_extent_simple(forms->line, 1, &extent, NULL) < 0 ? H5I_INVALID_HID : forms->line;
}
