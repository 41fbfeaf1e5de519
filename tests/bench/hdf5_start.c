/* hdf5_start.c - makes the file that hdf5_start.py opens: many entries of 1 KiB as an hdf5 pool writes them, made with the library alone.
 *
 *   hdf5_start FILE COUNT
 *
 * Entry i has the id 00000000-0000-4000-8000-<i as 12 hex digits> and the body <i as 12 digits> filled up with dots, with its digest.
 * Through a pool it would take minutes; a pool opens it as one of its own.
 */
#define H5_USE_110_API
#include <hdf5.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_BYTES 1024
#define SHA256_BYTES 32
#define BLOCK_BYTES 65536

static void need(bool well, const char *what) {
    if (!well) {
        fprintf(stderr, "hdf5_start: could not %s\n", what);
        exit(1);
    }
}

static hid_t text_of(size_t bytes) {
    hid_t type = H5Tcopy(H5T_C_S1);
    need(H5Tset_size(type, bytes) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0 &&
             H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0,
         "make a type");
    return type;
}

static hid_t create(const char *path) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    need(H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_LATEST) >= 0 &&
             H5Pset_alignment(access, BLOCK_BYTES, 4096) >= 0 &&
             H5Pset_meta_block_size(access, BLOCK_BYTES) >= 0 &&
             H5Pset_small_data_block_size(access, BLOCK_BYTES) >= 0 &&
             H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0 &&
             H5Pset_obj_track_times(creation, false) >= 0,
         "prepare");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    need(file >= 0, "create the file");
    H5Pclose(access);
    H5Pclose(creation);
    return file;
}

static void write_attribute(hid_t object, const char *name, hid_t type, hid_t scalar, const void *value) {
    hid_t attribute = H5Acreate2(object, name, type, scalar, H5P_DEFAULT, H5P_DEFAULT);
    need(attribute >= 0 && H5Awrite(attribute, type, value) >= 0, "write an attribute");
    H5Aclose(attribute);
}

struct lists {
    hid_t body, hex, scalar, layout, link;
};

static void add(hid_t file, const struct lists *lists, unsigned long number) {
    char id[64];
    char body[BODY_BYTES + 1];
    char hex[2 * SHA256_BYTES + 1];
    unsigned char sha256[SHA256_BYTES];
    int64_t stored_ms = 1700000000000 + (int64_t)number;
    snprintf(id, sizeof id, "00000000-0000-4000-8000-%012lx", number);
    memset(body, '.', BODY_BYTES);
    snprintf(hex, sizeof hex, "%012lu", number);
    memcpy(body, hex, 12);
    need(EVP_Digest(body, BODY_BYTES, sha256, NULL, EVP_sha256(), NULL) == 1, "make a digest");
    for (size_t i = 0; i < sizeof sha256; i++) {
        snprintf(hex + 2 * i, 3, "%02x", sha256[i]);
    }
    hid_t dataset = H5Dcreate2(file, id, lists->body, lists->scalar, lists->link, lists->layout, H5P_DEFAULT);
    need(dataset >= 0 && H5Dwrite(dataset, lists->body, H5S_ALL, H5S_ALL, H5P_DEFAULT, body) >= 0,
         "write an entry");
    write_attribute(dataset, "lailad_sha256", lists->hex, lists->scalar, hex);
    write_attribute(dataset, "lailad_stored_ms", H5T_STD_I64LE, lists->scalar, &stored_ms);
    H5Dclose(dataset);
}

int main(int argc, char **argv) {
    need(argc == 3, "tell the file and the count");
    unsigned long count = strtoul(argv[2], NULL, 10);
    hid_t file = create(argv[1]);
    struct lists lists = {.body = text_of(BODY_BYTES),
                          .hex = text_of(2 * SHA256_BYTES),
                          .scalar = H5Screate(H5S_SCALAR),
                          .layout = H5Pcreate(H5P_DATASET_CREATE),
                          .link = H5Pcreate(H5P_LINK_CREATE)};
    need(H5Pset_obj_track_times(lists.layout, false) >= 0 &&
             H5Pset_layout(lists.layout, H5D_CONTIGUOUS) >= 0 &&
             H5Pset_alloc_time(lists.layout, H5D_ALLOC_TIME_EARLY) >= 0 &&
             H5Pset_fill_time(lists.layout, H5D_FILL_TIME_NEVER) >= 0 &&
             H5Pset_char_encoding(lists.link, H5T_CSET_UTF8) >= 0,
         "prepare");
    for (unsigned long i = 0; i < count; i++) {
        add(file, &lists, i);
    }
    int64_t open_mark = 0; /* nobody but a pool wrote here */
    hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
    write_attribute(root, "lailad_closed", H5T_STD_I64LE, lists.scalar, &open_mark);
    H5Gclose(root);
    need(H5Fclose(file) >= 0, "close the file");
    return 0;
}
