/* test_hdf5_header.c - object headers read without the library: the same as it says, or nothing. */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/lookup3.h"
#include "pools/hdf5/object_header.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct fixture fixture;
static char *path;

static void set_up(void) {
    fixture_open(&fixture);
    path = fixture_path(&fixture, "p.h5");
}

static void tear_down(void) {
    free(path);
    fixture_close(&fixture);
}

static void close_pool(void) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
}

/* ---- the comparison ---- */
struct tally {
    struct h5_file *file;
    struct window *window;
    int objects, entries, quick;
};

static void expect_same(const struct description *a, const struct description *b) {
    ck_assert_int_eq(a->is_entry, b->is_entry);
    ck_assert_int_eq(a->placement.kind, b->placement.kind);
    ck_assert_uint_eq(a->placement.address, b->placement.address);
    ck_assert_uint_eq(a->placement.offset, b->placement.offset);
    ck_assert_uint_eq(a->placement.length, b->placement.length);
    ck_assert_int_eq(a->meta.created_ms, b->meta.created_ms);
    ck_assert_int_eq(a->meta.stored_ms, b->meta.stored_ms);
    ck_assert_int_eq(a->meta.hold, b->meta.hold);
    ck_assert_int_eq(a->meta.has_sha256, b->meta.has_sha256);
    if (a->meta.has_sha256) {
        ck_assert_mem_eq(a->meta.sha256, b->meta.sha256, SHA256_BYTES);
    }
    ck_assert_str_eq(a->meta.content_type, b->meta.content_type);
    ck_assert_str_eq(a->meta.content_encoding, b->meta.content_encoding);
    ck_assert_str_eq(a->meta.validator, b->meta.validator);
    ck_assert_int_eq(a->meta.extension != NULL, b->meta.extension != NULL);
    if (a->meta.extension) {
        ck_assert_uint_eq(a->meta.extension->size, b->meta.extension->size);
        ck_assert_mem_eq(a->meta.extension->data, b->meta.extension->data, a->meta.extension->size);
    }
}

static herr_t compare(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group;
    struct tally *tally = context;
    if (info->type != H5L_TYPE_HARD) {
        return 0;
    }
    struct op op;
    op_init(&op, 0, 0);
    struct description slow;
    struct description quick;
    enum err err = dataset_describe(tally->file, &op, info->u.address, &slow);
    ck_assert_msg(err == OK, "%s: %s", name, op.fault.detail);
    tally->objects++;
    tally->entries += slow.is_entry;
    if (dataset_describe_quickly(tally->file, tally->window, info->u.address, &quick)) {
        tally->quick++;
        expect_same(&quick, &slow);
        description_fini(&quick);
    }
    description_fini(&slow);
    return 0;
}

static struct tally compare_all(void) {
    struct op op;
    op_init(&op, 0, 0);
    struct h5_file_options options = {.read_only = true};
    AUTO(h5_file_unref) struct h5_file *file = NULL;
    ck_assert_msg(h5_file_open(&op, path, &options, &file) == OK, "%s", op.fault.detail);
    struct tally tally = {.file = file};
    ck_assert_int_ge(H5Literate(file->root, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, compare, &tally), 0);
    return tally;
}

/* ---- ours ---- */
static void put_with(const char *id, const char *body, size_t count, const struct meta *meta) {
    struct op op;
    op_init(&op, 0, 0);
    AUTO(blob_unref) struct blob *blob = blob_copy(body, count);
    AUTO(entry_unref) struct entry *entry = entry_new(meta, blob);
    struct id key = id_of(id);
    struct commit_result result;
    ck_assert_int_eq(pool_put_entry(fixture.pool, &op, &key, entry, NULL, NULL, &result), OK);
    meta_fini(&result.meta);
}

static void fill_text(char *text, size_t bytes) {
    memset(text, 'v', bytes - 1);
    text[bytes - 1] = '\0';
}

START_TEST(ours_are_all_read_at_once) {
    put_text(fixture.pool, "text", "{\"a\": 1}");
    put_text(fixture.pool, "one", "1");
    put_cached(fixture.pool, "cached", "a copy");
    ck_assert_int_eq(put_as(fixture.pool, "empty", "", 0, HOLD_OWNED, NULL, NULL, NULL), OK);
    ck_assert_int_eq(put_as(fixture.pool, "bytes", "a\0b\xff", 4, HOLD_OWNED, "image/png", NULL, NULL), OK);
    static char large[200000];
    ck_assert_int_eq(put_as(fixture.pool, "large", large, sizeof large, HOLD_OWNED, NULL, NULL, NULL), OK);
    struct meta meta;
    meta_init(&meta);
    meta.hold = HOLD_CACHED;
    meta.has_sha256 = true;
    digest_sha256("b", 1, meta.sha256);
    meta.created_ms = INT64_C(1234567890123);
    fill_text(meta.content_type, sizeof meta.content_type);
    fill_text(meta.content_encoding, sizeof meta.content_encoding);
    fill_text(meta.validator, sizeof meta.validator);
    meta.extension = blob_new(META_EXTENSION_MOST_BYTES);
    memset(meta.extension->data, 0x5a, META_EXTENSION_MOST_BYTES);
    put_with("everything", "b", 1, &meta); /* more than one block of header */
    meta_fini(&meta);
    for (int i = 0; i < 200; i++) {
        char id[16];
        snprintf(id, sizeof id, "id-%d", i);
        put_text(fixture.pool, id, i % 3 ? "again and again" : id);
    }
    close_pool();
    struct tally tally = compare_all();
    ck_assert_int_eq(tally.entries, 207);
    ck_assert_int_eq(tally.quick, 207);
}
END_TEST

/* ---- what the library can write beside that ---- */
static void add(hid_t file, const char *name, hid_t type, hid_t space, hid_t layout) {
    static const char zeros[4096];
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
    ck_assert_msg(dataset >= 0, "%s", name);
    if (H5Sget_simple_extent_npoints(space) > 0) {
        ck_assert_int_ge(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros), 0);
    }
    H5Dclose(dataset);
}

static void annotate(hid_t file, const char *name, const char *attribute, hid_t type, hid_t space) {
    static const char zeros[4096];
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    hid_t id = H5Acreate2(dataset, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_msg(id >= 0, "%s", attribute);
    ck_assert_int_ge(H5Awrite(id, type, zeros), 0);
    H5Aclose(id);
    H5Dclose(dataset);
}

static hid_t string_of(size_t bytes, H5T_str_t padding) {
    hid_t type = H5Tcopy(H5T_C_S1);
    ck_assert(H5Tset_size(type, bytes) >= 0 && H5Tset_strpad(type, padding) >= 0);
    return type;
}

static void add_layouts(hid_t file) {
    hsize_t four = 4;
    hsize_t square[2] = {4, 4};
    hid_t scalar = H5Screate(H5S_SCALAR);
    hid_t row = H5Screate_simple(1, &four, NULL);
    hid_t table = H5Screate_simple(2, square, NULL);
    hid_t nothing = H5Screate(H5S_NULL);
    hid_t compact = H5Pcreate(H5P_DATASET_CREATE);
    hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
    hid_t ordered = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert_int_ge(H5Pset_layout(compact, H5D_COMPACT), 0);
    ck_assert(H5Pset_chunk(chunked, 1, &four) >= 0 && H5Pset_deflate(chunked, 1) >= 0);
    ck_assert_int_ge(H5Pset_attr_creation_order(ordered, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), 0);
    ck_assert_int_ge(H5Pset_attr_phase_change(ordered, 12, 6), 0);
    hid_t pair = H5Tcreate(H5T_COMPOUND, 8);
    ck_assert(H5Tinsert(pair, "a", 0, H5T_STD_I32LE) >= 0 && H5Tinsert(pair, "b", 4, H5T_STD_I32BE) >= 0);
    add(file, "a byte", H5T_STD_U8LE, scalar, H5P_DEFAULT);
    add(file, "a row", H5T_STD_U8LE, row, H5P_DEFAULT);
    add(file, "words", H5T_STD_I32BE, row, H5P_DEFAULT);
    add(file, "floats", H5T_IEEE_F64LE, row, H5P_DEFAULT);
    add(file, "pairs", pair, row, H5P_DEFAULT);
    add(file, "a table", H5T_STD_U8LE, table, H5P_DEFAULT);
    add(file, "nothing", H5T_STD_U8LE, nothing, H5P_DEFAULT);
    add(file, "compact", H5T_STD_U8LE, row, compact);
    add(file, "chunked", H5T_STD_U8LE, row, chunked);
    add(file, "ordered", H5T_STD_U8LE, row, ordered);
    add(file, "spaces", string_of(6, H5T_STR_SPACEPAD), scalar, H5P_DEFAULT);
    add(file, "a C string", string_of(6, H5T_STR_NULLTERM), scalar, H5P_DEFAULT);
    add(file, "strings", string_of(6, H5T_STR_NULLPAD), row, H5P_DEFAULT);
    annotate(file, "ordered", "lailad_stored_ms", H5T_STD_I64LE, scalar);
    annotate(file, "a row", "lailad_stored_ms", H5T_STD_I64BE, scalar);
    annotate(file, "words", "lailad_created_ms", H5T_STD_I32LE, scalar);
    annotate(file, "spaces", "lailad_content_type", string_of(3, H5T_STR_SPACEPAD), scalar);
    annotate(file, "a C string", "lailad_hold", H5T_STD_U8LE, row);
    for (int i = 0; i < 40; i++) { /* more than the header takes */
        char name[16];
        snprintf(name, sizeof name, "note-%d", i);
        annotate(file, "a byte", name, H5T_STD_I64LE, scalar);
    }
    annotate(file, "a byte", "lailad_extension", H5T_STD_U8LE, row);
    H5Gclose(H5Gcreate2(file, "a group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    ck_assert_int_ge(
        H5Tcommit2(file, "a type", string_of(6, H5T_STR_NULLPAD), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), 0);
    hid_t type = H5Topen2(file, "a type", H5P_DEFAULT);
    add(file, "of a named type", type, scalar, H5P_DEFAULT);
}

static void make_file(H5F_libver_t low, bool small_addresses, hsize_t user_block) {
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    ck_assert_int_ge(H5Pset_libver_bounds(access, low, H5F_LIBVER_LATEST), 0);
    ck_assert_int_ge(H5Pset_userblock(creation, user_block), 0);
    ck_assert_int_ge(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), 0);
    if (small_addresses) {
        ck_assert_int_ge(H5Pset_sizes(creation, 4, 4), 0);
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    ck_assert_int_ge(file, 0);
    add_layouts(file);
    ck_assert_int_ge(H5Fclose(file), 0);
}

START_TEST(others_are_read_rightly_or_left_to_the_library) {
    close_pool();
    static const H5F_libver_t versions[] = {H5F_LIBVER_EARLIEST, H5F_LIBVER_V18, H5F_LIBVER_LATEST};
    static const int least_quick[] = {0, 2, 2}; /* old headers are all left to it */
    for (size_t i = 0; i < ARRAY_COUNT(versions); i++) {
        make_file(versions[i], false, 0);
        struct tally tally = compare_all();
        ck_assert_int_eq(tally.objects, 16);
        ck_assert_int_ge(tally.quick, least_quick[i]);
        ck_assert_int_lt(tally.quick, tally.objects);
    }
}
END_TEST

START_TEST(files_with_other_addresses_are_left_to_the_library) {
    close_pool();
    make_file(H5F_LIBVER_V18, true, 0);
    ck_assert_int_eq(compare_all().quick, 0);
    make_file(H5F_LIBVER_V18, false, 512);
    ck_assert_int_eq(compare_all().quick, 0);
}
END_TEST

/* Where a header cannot grow, the library puts what is new into a block elsewhere. */
START_TEST(metadata_added_later_is_read_too) {
    put_text(fixture.pool, "first", "1");
    put_text(fixture.pool, "second", "2");
    close_pool();
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t scalar = H5Screate(H5S_SCALAR);
    annotate(file, "first", "somebody's note", string_of(200, H5T_STR_NULLPAD), scalar);
    annotate(file, "first", "lailad_created_ms", H5T_STD_I64LE, scalar);
    ck_assert_int_ge(H5Fclose(file), 0);
    FILE *stream = fopen(path, "rb");
    static char bytes[1 << 20];
    size_t count = fread(bytes, 1, sizeof bytes, stream);
    fclose(stream);
    ck_assert_ptr_nonnull(memmem(bytes, count, "OCHK", 4));
    struct tally tally = compare_all();
    ck_assert_int_eq(tally.entries, 2);
    ck_assert_int_eq(tally.quick, 2);
}
END_TEST

static const char h5py_program[] =
    "import sys, numpy, h5py\n"
    "for number, options in enumerate(({}, {'libver': 'latest'}, {'libver': 'latest', 'track_order': "
    "True})):\n"
    "    with h5py.File(f'{sys.argv[1]}.{number}', 'w', **options) as f:\n"
    "        f['str'] = 'text'\n"
    "        f['bytes'] = b'text'\n"
    "        f['fixed'] = numpy.bytes_('text')\n"
    "        f['opaque'] = numpy.void(b'a\\0b')\n"
    "        f['array'] = numpy.frombuffer(b'abc', dtype='u1')\n"
    "        f['double'] = 1.5\n"
    "        f['empty'] = h5py.Empty('u1')\n"
    "        f['fixed'].attrs['lailad_hold'] = 'cached'\n"
    "        f['array'].attrs['lailad_stored_ms'] = 5\n"
    "        f['array'].attrs['lailad_sha256'] = numpy.bytes_('0' * 64)\n"
    "        f.create_dataset('chunked', data=[1, 2, 3], chunks=(2,), compression='gzip')\n";

START_TEST(files_of_h5py_are_read_rightly_or_left_to_the_library) {
    close_pool();
    char *script = fixture_path(&fixture, "write.py");
    FILE *file = fopen(script, "w");
    ck_assert_int_ge(fputs(h5py_program, file), 0);
    ck_assert_int_eq(fclose(file), 0);
    char *command = NULL;
    ck_assert_int_gt(asprintf(&command, "/usr/bin/python3 %s %s", script, path), 0);
    ck_assert_int_eq(system(command), 0);
    int quick = 0;
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "p.h5.%d", i);
        free(path);
        path = fixture_path(&fixture, name);
        struct tally tally = compare_all();
        ck_assert_int_eq(tally.objects, 8);
        quick += tally.quick;
    }
    ck_assert_int_ge(quick, 2); /* the new formats' fixed strings and arrays of bytes */
    free(command);
    free(script);
}
END_TEST

START_TEST(a_file_of_laila_is_read_rightly_or_left_to_the_library) {
    close_pool();
    const char *folder = getenv("LAILA_INTEROP");
    free(path);
    ck_assert_int_gt(asprintf(&path, "%s/laila_pool.h5", folder ? folder : "../shared/interop"), 0);
    if (access(path, R_OK) != 0) {
        printf("skipped: LAILA's fixtures are not here (set LAILA_INTEROP)\n");
        return;
    }
    ck_assert_int_eq(compare_all().entries, 16);
}
END_TEST

/* ---- damage ---- */
struct image {
    uint8_t bytes[4096];
    size_t count;
};

static size_t read_image(void *context, uint64_t offset, void *ret_bytes, size_t count) {
    const struct image *image = context;
    if (offset >= image->count) {
        return 0;
    }
    size_t left = image->count - (size_t)offset;
    size_t got = count < left ? count : left;
    memcpy(ret_bytes, image->bytes + offset, got);
    return got;
}

static bool is_usual(struct image *image) {
    struct object_header header;
    bool usual = object_header_read(read_image, image, 0, &header);
    if (usual) {
        meta_fini(&header.meta);
    }
    return usual;
}

static herr_t find_first(hid_t group, const char *name, const H5L_info_t *info, void *context) {
    (void)group;
    (void)name;
    *(uint64_t *)context = info->u.address;
    return 1;
}

/* Every bit of a header counts, and every byte has to be there. */
START_TEST(damaged_headers_are_left_to_the_library) {
    put_text(fixture.pool, "text", "{\"a\": 1}");
    close_pool();
    struct op op;
    op_init(&op, 0, 0);
    struct h5_file_options options = {.read_only = true};
    struct h5_file *file = NULL;
    ck_assert_int_eq(h5_file_open(&op, path, &options, &file), OK);
    uint64_t address = 0;
    ck_assert_int_eq(H5Literate(file->root, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, find_first, &address), 1);
    struct image image = {0};
    image.count = h5_file_pread_metadata(file, address, image.bytes, sizeof image.bytes);
    h5_file_unref(file);
    ck_assert(is_usual(&image));
    size_t whole = image.count;
    size_t least = whole;
    while (image.count = least - 1, is_usual(&image)) {
        least--;
    }
    ck_assert_uint_ge(least, 200);
    for (size_t count = 0; count < least; count++) {
        image.count = count;
        ck_assert_msg(!is_usual(&image), "%zu bytes", count);
    }
    image.count = whole;
    for (size_t bit = 0; bit < least * 8; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);
        image.bytes[bit / 8] ^= mask;
        ck_assert_msg(!is_usual(&image), "bit %zu", bit);
        image.bytes[bit / 8] ^= mask;
    }
}
END_TEST

START_TEST(the_checksum_is_the_known_one) {
    static const char words[] = "Four score and seven years ago";
    ck_assert_uint_eq(lookup3("", 0), UINT32_C(0xdeadbeef));
    ck_assert_uint_eq(lookup3(words, sizeof words - 1), UINT32_C(0x17770551));
}
END_TEST

int main(void) {
    hash_setup();
    h5_enter();
    Suite *suite = suite_create("hdf5 header");
    TCase *tcase = tcase_create("header");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, ours_are_all_read_at_once);
    tcase_add_test(tcase, others_are_read_rightly_or_left_to_the_library);
    tcase_add_test(tcase, files_with_other_addresses_are_left_to_the_library);
    tcase_add_test(tcase, metadata_added_later_is_read_too);
    tcase_add_test(tcase, files_of_h5py_are_read_rightly_or_left_to_the_library);
    tcase_add_test(tcase, a_file_of_laila_is_read_rightly_or_left_to_the_library);
    tcase_add_test(tcase, damaged_headers_are_left_to_the_library);
    tcase_add_test(tcase, the_checksum_is_the_known_one);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
