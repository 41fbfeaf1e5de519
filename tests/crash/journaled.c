/* journaled.c - see journaled.h. */
#include "tests/crash/journaled.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The library must be closed by whoever opened it, and may not print what a crashed file makes it say. */
static void enter(void) {
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* As h5_file.c has them. */
static hid_t access_list(struct journaled *journaled) {
    hid_t list = H5Pcreate(H5P_FILE_ACCESS);
    ck_assert(list >= 0);
    ck_assert(H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST) >= 0);
    ck_assert(H5Pset_alignment(list, 65536, 4096) >= 0);
    ck_assert(H5Pset_meta_block_size(list, 65536) >= 0);
    ck_assert(H5Pset_small_data_block_size(list, 65536) >= 0);
    ck_assert(H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) >= 0);
    ck_assert_int_eq(driver_attach(list, &journaled->op, journaled->shadow), OK);
    return list;
}

void journaled_open_library(struct journaled *journaled) {
    hid_t access = access_list(journaled);
    uint64_t size = 0;
    ck_assert_int_eq(journaled->medium->ops->size(journaled->medium, MEDIUM_MAIN, &size), 0);
    if (size) {
        journaled->file = H5Fopen("journaled", H5F_ACC_RDWR, access);
        ck_assert(journaled->file >= 0);
    } else {
        hid_t creation = H5Pcreate(H5P_FILE_CREATE);
        H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
        H5Pset_obj_track_times(creation, false);
        journaled->file = H5Fcreate("journaled", H5F_ACC_TRUNC, creation, access);
        ck_assert(journaled->file >= 0);
        H5Pclose(creation);
        journaled_commit(journaled);
    }
    H5Pclose(access);
}

enum err journaled_try_open(struct journaled *journaled, struct medium *medium) {
    enter();
    memset(journaled, 0, sizeof *journaled);
    op_init(&journaled->op, 0, 0);
    enum err err = shadow_open(&journaled->op, medium, &journaled->shadow);
    if (!err) {
        journaled->medium = medium;
        journaled_open_library(journaled);
    }
    return err;
}

void journaled_open(struct journaled *journaled, struct medium *take_medium) {
    enum err err = journaled_try_open(journaled, take_medium);
    ck_assert_msg(err == OK, "open: %s", journaled->op.fault.detail);
}

void journaled_close_library(struct journaled *journaled) {
    for (size_t i = 0; i < journaled->held_count; i++) {
        H5Dclose(journaled->held[i]);
    }
    journaled->held_count = 0;
    ck_assert(H5Fclose(journaled->file) >= 0);
    journaled->file = H5I_INVALID_HID;
}

void journaled_close(struct journaled *journaled) {
    journaled_close_library(journaled);
    enum err err = shadow_close(&journaled->op, journaled->shadow);
    ck_assert_msg(err == OK, "close: %s", journaled->op.fault.detail);
}

void journaled_abandon(struct journaled *journaled) {
    shadow_discard(journaled->shadow);
    journaled_close_library(journaled);
    ck_assert_int_eq(shadow_close(&journaled->op, journaled->shadow), OK);
}

/* ---- entries ---- */

static hid_t new_dataset(struct journaled *journaled, size_t count) {
    hsize_t length = count;
    hid_t space = H5Screate_simple(1, &length, NULL);
    hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(layout, false);
    H5Pset_layout(layout, H5D_CONTIGUOUS);
    H5Pset_alloc_time(layout, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(layout, H5D_FILL_TIME_NEVER);
    hid_t dataset = H5Dcreate_anon(journaled->file, H5T_STD_U8LE, space, layout, H5P_DEFAULT);
    ck_assert(dataset >= 0);
    H5Pclose(layout);
    H5Sclose(space);
    return dataset;
}

static void write_attribute(hid_t dataset, const char *name, int64_t value) {
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(dataset, name, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(attribute >= 0);
    ck_assert(H5Awrite(attribute, H5T_NATIVE_INT64, &value) >= 0);
    H5Aclose(attribute);
    H5Sclose(space);
}

static void write_body(struct journaled *journaled, hid_t dataset, const void *bytes, size_t count,
                       enum journaled_body how) {
    uint64_t offset = H5Dget_offset(dataset);
    ck_assert(offset != HADDR_UNDEF);
    if (how == BODY_BY_LIBRARY) {
        ck_assert(H5Dwrite(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
        return;
    }
    if (!shadow_is_free(journaled->shadow, offset, count)) {
        journaled_flush(journaled);
        ck_assert_int_eq(shadow_commit(journaled->shadow, &journaled->op), OK);
        ck_assert(shadow_is_free(journaled->shadow, offset, count));
    }
    if (how == BODY_WRITTEN) {
        ck_assert_int_eq(shadow_write_body(journaled->shadow, &journaled->op, offset, bytes, count), OK);
        return;
    }
    shadow_lend(journaled->shadow, offset, count);
    ck_assert_int_eq(journaled->medium->ops->write(journaled->medium, MEDIUM_MAIN, offset, bytes, count), 0);
    shadow_note_body(journaled->shadow, offset, count);
}

void journaled_put(struct journaled *journaled, const char *name, const void *bytes, size_t count,
                   enum journaled_body how) {
    hid_t dataset = new_dataset(journaled, count);
    write_attribute(dataset, "lailad_stored_ms", (int64_t)count);
    write_attribute(dataset, "lailad_created_ms", 7);
    if (count) {
        write_body(journaled, dataset, bytes, count, how);
    }
    if (H5Lexists(journaled->file, name, H5P_DEFAULT) > 0) {
        journaled_remove(journaled, name);
    }
    ck_assert(H5Olink(dataset, journaled->file, name, H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Dclose(dataset);
}

void journaled_remove(struct journaled *journaled, const char *name) {
    hid_t dataset = H5Dopen2(journaled->file, name, H5P_DEFAULT);
    ck_assert(dataset >= 0);
    ck_assert_uint_lt(journaled->held_count, JOURNALED_HELD_MOST);
    journaled->held[journaled->held_count++] = dataset;
    ck_assert(H5Ldelete(journaled->file, name, H5P_DEFAULT) >= 0);
}

void journaled_let_go(struct journaled *journaled) {
    for (size_t i = 0; i < journaled->held_count; i++) {
        ck_assert(H5Dclose(journaled->held[i]) >= 0);
    }
    journaled->held_count = 0;
}

void journaled_flush(struct journaled *journaled) {
    ck_assert(H5Fflush(journaled->file, H5F_SCOPE_GLOBAL) >= 0);
}

void journaled_commit(struct journaled *journaled) {
    journaled_let_go(journaled);
    journaled_flush(journaled);
    enum err err = shadow_commit(journaled->shadow, &journaled->op);
    ck_assert_msg(err == OK, "commit: %s", journaled->op.fault.detail);
}

/* ---- looking ---- */

struct looking {
    hid_t file;
    entry_visit_fn *visit;
    void *context;
};

static herr_t look_at(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)info;
    struct looking *looking = context;
    hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    hid_t space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    bool found = count >= 0;
    char *bytes = malloc(count > 0 ? (size_t)count : 1);
    if (found && count > 0) {
        found = H5Dread(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0;
    }
    int64_t stored = -1;
    hid_t attribute = found ? H5Aopen(dataset, "lailad_stored_ms", H5P_DEFAULT) : H5I_INVALID_HID;
    found = attribute >= 0 && H5Aread(attribute, H5T_NATIVE_INT64, &stored) >= 0 && stored == count;
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    if (found) {
        looking->visit(looking->context, name, bytes, (size_t)count);
    }
    free(bytes);
    if (space >= 0) {
        H5Sclose(space);
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    return found ? 0 : -1;
}

bool entries_each(hid_t file, entry_visit_fn *visit, void *context) {
    struct looking looking = {.file = file, .visit = visit, .context = context};
    H5G_info_t info;
    return H5Gget_info(file, &info) >= 0 &&
           H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, look_at, &looking) >= 0;
}
