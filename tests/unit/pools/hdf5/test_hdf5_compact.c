/* test_hdf5_compact.c - a file that is compacted while it is used: space comes back, and nothing is lost. */
#include "compact_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/h5.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- what it is for ---- */
START_TEST(space_comes_back_and_nothing_else_changes) {
    for (unsigned i = 0; i < 200; i++) {
        char id[32];
        snprintf(id, sizeof id, "gone-%u", i);
        put_made(id, 100000, i, HOLD_OWNED);
    }
    put_shapes();
    for (unsigned i = 0; i < 200; i++) {
        char id[32];
        snprintf(id, sizeof id, "gone-%u", i);
        drop(fixture.pool, id);
    }
    expect_shapes();
    int64_t before = size_of("p.h5");
    struct upkeep_status status = compact();
    int64_t after = size_of("p.h5");
    ck_assert_int_gt(before, 25000000);
    ck_assert_int_lt(after, 11000000);
    ck_assert_int_eq((int64_t)status.bytes_after, after);
    ck_assert_uint_gt(status.bytes_before, status.bytes_after);
    ck_assert_uint_eq(status.entries_done, SHAPES);
    ck_assert_int_eq(size_of(COPY_NAME), -1);
    ck_assert_int_eq(size_of("p.h5.original"), -1);
    expect_shapes();
    put_text(fixture.pool, "text", "written afterwards");
    drop(fixture.pool, "one");
    put_made("large bytes", 5000001, 99, HOLD_OWNED);
    fixture_reopen(&fixture, NULL);
    expect_text(fixture.pool, "text", "written afterwards");
    expect_absent(fixture.pool, "one");
    expect_made("large bytes", 5000001, 99);
    put_shapes();
    compact();
    fixture_reopen(&fixture, NULL);
    expect_shapes();
}
END_TEST

START_TEST(the_order_of_eviction_stays) {
    static const char *const four[] = {"max_entries=4", NULL};
    fixture_reopen(&fixture, four);
    pool_set_cached_evictable(fixture.pool, true);
    static const char *const ids[] = {"1", "2", "3", "4"};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        put_cached(fixture.pool, ids[i], ids[i]);
    }
    compact();
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        char id[32];
        snprintf(id, sizeof id, "new-%zu", i);
        put_text(fixture.pool, id, "x");
        for (size_t k = 0; k < ARRAY_COUNT(ids); k++) {
            struct op op;
            op_init(&op, 0, 0);
            struct meta meta;
            struct id old = id_of(ids[k]);
            enum err err = pool_stat(fixture.pool, &op, &old, &meta);
            ck_assert_int_eq(err, k <= i ? ERR_NOT_FOUND : OK);
        }
    }
}
END_TEST

/* ---- what others put into the file ---- */
static void add_foreign(void) {
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    char *path = fixture_path(&fixture, "p.h5");
    h5_enter();
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    hid_t group = H5Gcreate2(file, "a group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t dims[] = {40, 50};
    hid_t space = H5Screate_simple(2, dims, NULL);
    hid_t inside = H5Dcreate2(group, "inside", H5T_STD_I32BE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    ck_assert_int_ge(H5Pset_chunk(list, 2, dims), 0);
    ck_assert_int_ge(H5Pset_deflate(list, 6), 0);
    hid_t packed = H5Dcreate2(file, "packed", H5T_STD_I32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
    int32_t *values = malloc(sizeof(int32_t) * 2000);
    for (int i = 0; i < 2000; i++) {
        values[i] = i / 7;
    }
    ck_assert_int_ge(H5Dwrite(inside, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    ck_assert_int_ge(H5Dwrite(packed, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
    hid_t scalar = H5Screate(H5S_SCALAR);
    hid_t on_root = H5Acreate2(file, "theirs", H5T_NATIVE_INT32, scalar, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(on_root, H5T_NATIVE_INT32, &values[70]), 0);
    hid_t large = H5Dopen2(file, "large%20bytes", H5P_DEFAULT);
    hid_t on_entry = H5Acreate2(large, "theirs", H5T_NATIVE_INT32, scalar, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(on_entry, H5T_NATIVE_INT32, &values[77]), 0);
    ck_assert_int_ge(H5Lcreate_soft("/a group/inside", file, "soft", H5P_DEFAULT, H5P_DEFAULT), 0);
    const hid_t ids[] = {on_entry, large, on_root, scalar, packed, list, inside, space, group, file};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        h5_close(ids[i]);
    }
    free(values);
    free(path);
}

static void expect_foreign(void) {
    char *path = fixture_path(&fixture, "p.h5");
    h5_enter();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    int32_t *values = malloc(sizeof(int32_t) * 2000);
    static const char *const names[] = {"a group/inside", "packed", "soft"};
    for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
        hid_t dataset = H5Dopen2(file, names[n], H5P_DEFAULT);
        ck_assert_msg(dataset >= 0, "%s", names[n]);
        ck_assert_int_ge(H5Dread(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
        for (int i = 0; i < 2000; i++) {
            ck_assert_int_eq(values[i], i / 7);
        }
        hid_t list = H5Dget_create_plist(dataset);
        ck_assert_int_eq(H5Pget_nfilters(list), n == 1 ? 1 : 0); /* packed stays packed */
        h5_close(list);
        h5_close(dataset);
    }
    H5L_info_t info;
    ck_assert_int_ge(H5Lget_info(file, "soft", &info, H5P_DEFAULT), 0);
    ck_assert_int_eq(info.type, H5L_TYPE_SOFT);
    int32_t value = 0;
    hid_t on_root = H5Aopen(file, "theirs", H5P_DEFAULT);
    ck_assert_int_ge(H5Aread(on_root, H5T_NATIVE_INT32, &value), 0);
    ck_assert_int_eq(value, 10);
    hid_t on_entry = H5Aopen_by_name(file, "large%20bytes", "theirs", H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Aread(on_entry, H5T_NATIVE_INT32, &value), 0);
    ck_assert_int_eq(value, 11);
    h5_close(on_entry);
    h5_close(on_root);
    h5_close(file);
    free(values);
    free(path);
}

START_TEST(what_is_foreign_is_kept) {
    put_shapes();
    add_foreign();
    fixture_reopen(&fixture, NULL);
    struct pool_status before;
    pool_get_status(fixture.pool, &before);
    ck_assert_uint_eq(before.entries, SHAPES + 1); /* packed is one, too */
    ck_assert_uint_eq(before.foreign, 2);
    compact();
    struct pool_status after;
    pool_get_status(fixture.pool, &after);
    ck_assert_uint_eq(after.entries, before.entries);
    ck_assert_uint_eq(after.bytes, before.bytes);
    ck_assert_uint_eq(after.foreign, before.foreign);
    expect_shape_bodies();
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    expect_foreign();
    fixture_reopen(&fixture, NULL);
    expect_shape_bodies();
}
END_TEST

/* ---- meanwhile ---- */
#define WRITERS 4
#define KEYS 60
#define CHANGES 400

struct writer_thread {
    pthread_t thread;
    unsigned number;
    unsigned seeds[KEYS]; /* of what each key holds; 0 = nothing */
    size_t bytes[KEYS];
    atomic_bool *stop;
};

static void key_of(const struct writer_thread *writer, unsigned key, char id[32]) {
    snprintf(id, 32, "w%u-%u", writer->number, key);
}

/* Each has keys of its own, so that it knows what they hold. */
static void *change_and_look(void *context) {
    struct writer_thread *writer = context;
    unsigned state = writer->number * 7919u + 3u;
    for (unsigned i = 0; i < CHANGES; i++) {
        state = state * 1103515245u + 12345u;
        unsigned key = (state >> 16) % KEYS;
        char id[32];
        key_of(writer, key, id);
        if (state % 5 == 0) {
            drop(fixture.pool, id);
            writer->seeds[key] = 0;
        } else {
            writer->seeds[key] = i + 1;
            writer->bytes[key] = (state >> 8) % (i % 20 == 0 ? 900000u : 3000u);
            put_made(id, writer->bytes[key], writer->seeds[key], HOLD_OWNED);
        }
        unsigned other = (state >> 20) % KEYS;
        key_of(writer, other, id);
        if (writer->seeds[other]) {
            expect_made(id, writer->bytes[other], writer->seeds[other]);
        } else {
            expect_absent(fixture.pool, id);
        }
    }
    return NULL;
}

static void *compact_all_the_time(void *context) {
    const struct writer_thread *writers = context;
    unsigned *rounds = calloc(1, sizeof *rounds);
    while (!atomic_load(writers->stop)) {
        ck_assert_int_eq(ask(UPKEEP_START), OK);
        (void)await(UPKEEP_FINISHED);
        (*rounds)++;
    }
    return rounds;
}

static void expect_written(const struct writer_thread *writers) {
    size_t count = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        for (unsigned key = 0; key < KEYS; key++) {
            char id[32];
            key_of(&writers[i], key, id);
            if (writers[i].seeds[key]) {
                expect_made(id, writers[i].bytes[key], writers[i].seeds[key]);
                count++;
            } else {
                expect_absent(fixture.pool, id);
            }
        }
    }
    ck_assert_uint_eq(count_listed(fixture.pool, "", 100), count);
}

START_TEST(reads_and_writes_go_on_meanwhile) {
    struct writer_thread writers[WRITERS] = {0};
    atomic_bool stop;
    atomic_init(&stop, false);
    pthread_t compactor;
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        writers[i].stop = &stop;
        ck_assert_int_eq(pthread_create(&writers[i].thread, NULL, change_and_look, &writers[i]), 0);
    }
    ck_assert_int_eq(pthread_create(&compactor, NULL, compact_all_the_time, writers), 0);
    for (unsigned i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(pthread_join(writers[i].thread, NULL), 0);
    }
    atomic_store(&stop, true);
    void *rounds = NULL;
    ck_assert_int_eq(pthread_join(compactor, &rounds), 0);
    ck_assert_uint_gt(*(unsigned *)rounds, 1);
    free(rounds);
    expect_written(writers);
    fixture_reopen(&fixture, NULL);
    expect_written(writers);
    compact();
    expect_written(writers);
}
END_TEST

START_TEST(a_reader_under_way_finishes_in_the_old_file) {
    put_made("long", 4 * MIB, 5, HOLD_OWNED);
    put_made("other", 4 * MIB, 7, HOLD_OWNED);
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("long");
    AUTO(reader_close) struct reader *reader = NULL;
    ck_assert_int_eq(pool_open_reader(fixture.pool, &op, &id, NULL, &reader), OK);
    char *body = make_body(4 * MIB, 5);
    char *got = malloc(4 * MIB + 1);
    size_t at = 0;
    ck_assert_int_eq(reader_read(reader, &op, got, 1000, &at), OK);
    compact();
    drop(fixture.pool, "long");
    put_made("new", 4 * MIB, 9, HOLD_OWNED);
    compact();
    for (size_t count = 1; count; at += count) {
        ck_assert_int_eq(reader_read(reader, &op, got + at, 4 * MIB + 1 - at, &count), OK);
    }
    ck_assert_uint_eq(at, 4 * MIB);
    ck_assert_mem_eq(got, body, 4 * MIB);
    free(got);
    free(body);
    expect_absent(fixture.pool, "long");
}
END_TEST

START_TEST(an_upload_under_way_is_waited_for) {
    put_made("other", 1000, 7, HOLD_OWNED);
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("upload");
    struct write_options options = {0};
    meta_init(&options.meta);
    options.meta.size_bytes = 4 * MIB;
    struct pool_writer *writer = NULL;
    char *body = make_body(4 * MIB, 11);
    ck_assert_int_eq(pool_open_writer(fixture.pool, &op, &id, &options, &writer), OK);
    ck_assert_int_eq(pool_writer_write(writer, &op, body, 2 * MIB), OK);
    ck_assert_int_eq(ask(UPKEEP_START), OK);
    while (look().entries_done == 0) {
        sched_yield();
    }
    put_made("meanwhile", 1000, 8, HOLD_OWNED); /* a batch that comes after the copy was whole */
    ck_assert_int_eq(look().state, UPKEEP_RUNNING);
    ck_assert_int_eq(pool_writer_write(writer, &op, body + 2 * MIB, 2 * MIB), OK);
    struct commit_result result;
    ck_assert_int_eq(pool_writer_commit(writer, &op, &result), OK);
    meta_fini(&result.meta);
    pool_writer_close(writer);
    free(body);
    (void)await(UPKEEP_FINISHED);
    expect_made("upload", 4 * MIB, 11);
    expect_made("other", 1000, 7);
    expect_made("meanwhile", 1000, 8);
    fixture_reopen(&fixture, NULL);
    expect_made("upload", 4 * MIB, 11);
    expect_made("meanwhile", 1000, 8);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 compact");
    TCase *tcase = new_case(suite, "what it is for");
    tcase_add_test(tcase, space_comes_back_and_nothing_else_changes);
    tcase_add_test(tcase, the_order_of_eviction_stays);
    tcase_add_test(tcase, what_is_foreign_is_kept);
    tcase = new_case(suite, "meanwhile");
    tcase_add_test(tcase, reads_and_writes_go_on_meanwhile);
    tcase_add_test(tcase, a_reader_under_way_finishes_in_the_old_file);
    tcase_add_test(tcase, an_upload_under_way_is_waited_for);
    return run_suite(suite);
}
