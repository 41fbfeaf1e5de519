/* test_hdf5_load.c - the index of a file while it is being made, and what it keeps of entries that nobody reads.
 *
 * The store's thread comes here first when it adds what the scan found and when it looks at a header (the linker's --wrap): so the
 * test stops it where it likes, or asks something from within the scan as a reader's lookup would.
 */
#include "hdf5_fixture.h"

#include "pools/base/hash.h"
#include "pools/hdf5/reader.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ENTRIES 300

struct record *__real_index_add_found(struct index *index, const struct id *id, const char *link_name,
                                      uint64_t address);
struct record *__wrap_index_add_found(struct index *index, const struct id *id, const char *link_name,
                                      uint64_t address);
bool __real_dataset_describe_quickly(struct h5_file *file, struct window *window, uint64_t address,
                                     struct description *ret_description);
bool __wrap_dataset_describe_quickly(struct h5_file *file, struct window *window, uint64_t address,
                                     struct description *ret_description);

static struct fixture fixture;
static void (*within_scan)(struct store *store, int found); /* called for each link, after it was added */
static atomic_int found;
static atomic_int described;
static int stop_at; /* how many headers are looked at before the thread waits; -1 = all */
static pthread_barrier_t stopped, go_on;

struct record *__wrap_index_add_found(struct index *index, const struct id *id, const char *link_name,
                                      uint64_t address) {
    struct record *record = __real_index_add_found(index, id, link_name, address);
    int number = atomic_fetch_add(&found, 1) + 1;
    if (within_scan) {
        within_scan(CONTAINER_OF(index, struct store, index), number);
    }
    return record;
}

bool __wrap_dataset_describe_quickly(struct h5_file *file, struct window *window, uint64_t address,
                                     struct description *ret_description) {
    if (atomic_fetch_add(&described, 1) == stop_at) {
        pthread_barrier_wait(&stopped);
        pthread_barrier_wait(&go_on);
    }
    return __real_dataset_describe_quickly(file, window, address, ret_description);
}

static void id_text(int number, char ret_text[16]) {
    snprintf(ret_text, 16, "id-%d", number);
}

static void set_up(void) {
    within_scan = NULL;
    stop_at = -1;
    fixture_open(&fixture);
    for (int i = 0; i < ENTRIES; i++) {
        char id[16];
        id_text(i, id);
        if (i % 3) {
            put_text(fixture.pool, id, id);
        } else {
            put_cached(fixture.pool, id, id);
        }
    }
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    atomic_store(&found, 0);
    atomic_store(&described, 0);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

static struct store *open_store(void) {
    struct op op;
    op_init(&op, 0, 0);
    struct store_options options = {0};
    struct store *store = NULL;
    char *path = fixture_path(&fixture, "p.h5");
    ck_assert_int_eq(store_open(&op, path, &options, &store), OK);
    free(path);
    ck_assert_int_eq(store_await_loaded(store, &op, UINT64_C(20000000000)), OK);
    return store;
}

/* ---- while it loads ---- */
static bool looked;

static void find_the_last(struct store *store, int number) {
    if (number != 1) {
        return;
    }
    looked = true;
    struct op op;
    op_init(&op, 0, 0);
    char text[16];
    id_text(ENTRIES - 1, text);
    struct id last = id_of(text);
    struct id nobody = id_of("nobody");
    struct record *record = NULL;
    ck_assert_ptr_null(index_find(&store->index, &last));
    ck_assert_int_eq(store_find(store, &op, &last, &record), OK);
    ck_assert_ptr_nonnull(record);
    const struct version *version = record_shown(record);
    ck_assert_ptr_nonnull(version);
    ck_assert_uint_eq(version->length, strlen(text));
    ck_assert_int_eq(store_find(store, &op, &nobody, &record), OK);
    ck_assert_ptr_null(record);
}

START_TEST(an_id_that_is_not_indexed_yet_is_found_by_name) {
    looked = false;
    within_scan = find_the_last;
    fixture_reopen(&fixture, NULL);
    ck_assert(looked);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), ENTRIES);
    struct pool_status status;
    pool_get_status(fixture.pool, &status);
    ck_assert_uint_eq(status.entries, ENTRIES);
    ck_assert_uint_eq(status.foreign, 0);
}
END_TEST

static void stop_scan(struct store *store, int number) {
    (void)store;
    if (number == 200) {
        pthread_barrier_wait(&stopped);
        pthread_barrier_wait(&go_on);
    }
}

static void expect_progress(const char *reason) {
    struct pool_status status;
    pthread_barrier_wait(&stopped);
    pool_get_status(fixture.pool, &status);
    ck_assert_int_eq(status.state, POOL_LOADING);
    ck_assert_str_eq(status.reason, reason);
    ck_assert(!status.counts_known);
    pthread_barrier_wait(&go_on);
}

START_TEST(the_pool_says_how_far_it_is) {
    ck_assert_int_eq(pthread_barrier_init(&stopped, NULL, 2), 0);
    ck_assert_int_eq(pthread_barrier_init(&go_on, NULL, 2), 0);
    within_scan = stop_scan;
    stop_at = 120;
    fixture_reopen(&fixture, NULL);
    expect_progress("the index of the file is loading: 0 of about 300 entries");
    expect_progress("the index of the file is loading: 120 of about 300 entries");
    char text[16];
    id_text(ENTRIES - 1, text);
    expect_text(fixture.pool, text, text);
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), ENTRIES);
    pthread_barrier_destroy(&stopped);
    pthread_barrier_destroy(&go_on);
}
END_TEST

/* ---- what is kept ---- */
static struct version *get_version(struct store *store, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(text);
    struct version *version = NULL;
    ck_assert_msg(store_get(store, &op, &id, &version) == OK, "%s: %s", text, op.fault.detail);
    return version;
}

static void read_all_of(struct store *store, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(text);
    struct read_options whole = {.length = UINT64_MAX};
    struct reader *reader = NULL;
    ck_assert_int_eq(hdf5_reader_open(NULL, store, &op, &id, &whole, &reader), OK);
    reader_close(reader);
}

static struct sight look(struct store *store, const char *text) {
    struct id id = id_of(text);
    struct sight sight;
    index_look(&store->index, &id, &sight);
    version_drop(sight.version);
    return sight;
}

/* The test takes the place of the store's thread. */
static struct store *open_without_thread(size_t most) {
    struct store *store = open_store();
    commit_stop(&store->commit);
    h5_enter();
    store->link_list = H5Pcreate(H5P_LINK_CREATE);
    store->index.residents.most = most;
    return store;
}

static void close_store(struct store *store) {
    store_let_all_go(store);
    store_close(store);
}

START_TEST(a_load_makes_no_versions) {
    struct store *store = open_without_thread(10);
    ck_assert_uint_eq(store->index.residents.count, 0);
    ck_assert_uint_eq(store->index.usage.entries, ENTRIES);
    ck_assert_uint_eq(store->index.usage.cached_entries, ENTRIES / 3);
    ck_assert_uint_eq(store->index.usage.unresolved, 0);
    struct sight sight = look(store, "id-3");
    ck_assert(sight.is_there && sight.is_resolved && !sight.version);
    ck_assert_int_eq(sight.hold, HOLD_CACHED);
    ck_assert_int_eq(look(store, "id-4").hold, HOLD_OWNED);
    ck_assert(!look(store, "id-300").is_there);
    close_store(store);
}
END_TEST

START_TEST(versions_are_forgotten_and_made_again) {
    struct store *store = open_without_thread(10);
    int before = atomic_load(&described);
    for (int i = 0; i < 19; i++) {
        char id[16];
        id_text(i, id);
        read_all_of(store, id);
    }
    ck_assert_int_eq(atomic_load(&described), before + 19);
    struct version *used = get_version(store, "id-2");
    AUTO(version_drop) struct version *same = get_version(store, "id-2");
    ck_assert_ptr_eq(used, same); /* one of a state */
    ck_assert_int_eq(atomic_load(&described), before + 19);
    index_trim(&store->index);
    ck_assert_uint_eq(store->index.residents.count, 10);
    AUTO(version_drop) struct version *still = get_version(store, "id-2");
    ck_assert_ptr_eq(used, still); /* somebody reads it */
    store_release_version(store, used);
    ck_assert(look(store, "id-0").is_there);
    ck_assert_ptr_null(look(store, "id-0").version);
    /* Made anew, it is as it was: its body need not be compared once more. */
    AUTO(version_drop) struct version *again = get_version(store, "id-0");
    ck_assert_int_eq(atomic_load(&described), before + 20);
    ck_assert(atomic_load(&again->verified));
    ck_assert(atomic_load(&again->touched));
    struct meta meta;
    version_meta(again, &meta);
    ck_assert_int_eq(meta.hold, HOLD_CACHED);
    ck_assert_str_eq(meta.content_type, "application/json");
    ck_assert_uint_eq(meta.size_bytes, 4);
    ck_assert(meta.has_sha256);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256("id-0", 4, sha256);
    ck_assert_mem_eq(meta.sha256, sha256, SHA256_BYTES);
    meta_fini(&meta);
    AUTO(version_drop) struct version *unread = get_version(store, "id-200");
    ck_assert(!atomic_load(&unread->verified));
    close_store(store);
}
END_TEST

/* Twice as many as are to stay: from then on versions are left to the store's thread. */
START_TEST(readers_do_not_make_versions_without_bound) {
    struct store *store = open_without_thread(2);
    for (int i = 0; i < 4; i++) {
        char text[16];
        id_text(i, text);
        struct id id = id_of(text);
        version_drop(store_make_version(store, &id));
    }
    ck_assert_uint_eq(store->index.residents.count, 4);
    struct id id = id_of("id-5");
    ck_assert_ptr_null(store_make_version(store, &id));
    index_trim(&store->index); /* passes over them: they were just used */
    index_trim(&store->index);
    ck_assert_uint_eq(store->index.residents.count, 2);
    struct version *version = store_make_version(store, &id);
    ck_assert_ptr_nonnull(version);
    version_drop(version);
    close_store(store);
}
END_TEST

START_TEST(a_version_made_of_what_has_changed_is_not_taken) {
    struct store *store = open_without_thread(10);
    struct id id = id_of("id-1");
    struct h5_file *file = NULL;
    struct facts facts;
    ck_assert(index_source(&store->index, &id, &file, &facts));
    struct meta meta;
    meta_init(&meta);
    struct version *old = version_new(file, &facts.placement, &meta);
    struct record *record = index_find(&store->index, &id);
    struct placement elsewhere = {.kind = VERSION_BYTES, .address = facts.placement.address, .length = 0};
    index_stage(&store->index, record, version_new(file, &elsewhere, &meta));
    index_publish(&store->index);
    ck_assert_ptr_null(index_keep(&store->index, &id, old));
    AUTO(version_drop) struct version *now = get_version(store, "id-1");
    ck_assert_uint_eq(now->length, 0);
    h5_file_unref(file);
    close_store(store);
}
END_TEST

static void ask(struct store *store, enum store_action action, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(text);
    struct meta meta;
    meta_init(&meta);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct store_request request = {.request = {.op = &op},
                                    .action = action,
                                    .id = &id,
                                    .meta = &meta,
                                    .kind = VERSION_BYTES,
                                    .length = 3,
                                    .bytes = "new"};
    STAILQ_INSERT_TAIL(&batch, &request.request, in_batch);
    store_run_batch(store, &batch);
    ck_assert_msg(request.request.result == OK, "%s", op.fault.detail);
    ck_assert(request.existed);
    version_drop(request.version);
}

START_TEST(forgotten_entries_are_replaced_and_removed) {
    struct store *store = open_without_thread(0);
    ask(store, STORE_PUT, "id-7");
    ask(store, STORE_REMOVE, "id-8");
    ck_assert(!look(store, "id-8").is_there);
    struct sight sight = look(store, "id-7");
    ck_assert(sight.is_there && sight.is_resolved);
    ck_assert_uint_eq(store->index.usage.entries, ENTRIES - 1);
    index_trim(&store->index);
    index_trim(&store->index);
    ck_assert_ptr_null(look(store, "id-7").version);
    ask(store, STORE_PUT, "id-7"); /* written in this session: the library is asked */
    ask(store, STORE_REMOVE, "id-7");
    close_store(store);
    fixture_reopen(&fixture, NULL);
    expect_absent(fixture.pool, "id-7");
    expect_absent(fixture.pool, "id-8");
    expect_text(fixture.pool, "id-9", "id-9");
    ck_assert_uint_eq(count_listed(fixture.pool, "", 1000), ENTRIES - 2);
}
END_TEST

/* Everybody who asks for another entry makes the store's thread forget what nobody uses. */
static void make_it_forget(struct store *store, const char *text) {
    for (int i = 0; look(store, text).version && i < 20; i++) {
        version_drop(get_version(store, i % 2 ? "id-50" : "id-51"));
    }
    ck_assert_ptr_null(look(store, text).version);
}

static void expect_digest(const struct version *version, const char *text) {
    struct meta meta;
    version_meta(version, &meta);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(text, strlen(text), sha256);
    ck_assert(version_trusts_digest(version) && meta.has_sha256);
    ck_assert_mem_eq(meta.sha256, sha256, SHA256_BYTES);
    meta_fini(&meta);
}

/* It was told, so it is told again, but not kept for ever: the body is read once more. */
START_TEST(a_digest_that_is_nowhere_else_is_forgotten_and_found_again) {
    char *path = fixture_path(&fixture, "p.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "id-1", H5P_DEFAULT);
    ck_assert(H5Adelete(dataset, "lailad_sha256") >= 0 && H5Dclose(dataset) >= 0 && H5Fclose(file) >= 0);
    free(path);
    struct store *store = open_store();
    store->index.residents.most = 0;
    struct version *unread = get_version(store, "id-1");
    ck_assert(version_trusts_digest(unread)); /* there is none, and none was told */
    version_drop(unread);
    for (int round = 0; round < 2; round++) {
        read_all_of(store, "id-1");
        make_it_forget(store, "id-1");
        struct version *version = get_version(store, "id-1");
        ck_assert(!version_trusts_digest(version));
        ck_assert(!atomic_load(&version->verified));
        struct op op;
        op_init(&op, 0, 0);
        struct id id = id_of("id-1");
        ck_assert_int_eq(hdf5_reader_verify(store, &op, &id), OK);
        expect_digest(version, "id-1");
        version_drop(version);
    }
    store_close(store);
}
END_TEST

/* One that was written into the file is read from there as the library has it: the header on the disk may be an older one. */
START_TEST(a_digest_that_was_noted_is_forgotten_and_read_again) {
    char *path = fixture_path(&fixture, "p.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "id-1", H5P_DEFAULT);
    hid_t type = H5Dget_type(dataset);
    ck_assert(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, "ID-1") >= 0);
    ck_assert(H5Tclose(type) >= 0 && H5Dclose(dataset) >= 0 && H5Fclose(file) >= 0);
    free(path);
    struct store *store = open_store();
    ck_assert(!store->file->alone);
    store->index.residents.most = 0;
    read_all_of(store, "id-1");
    make_it_forget(store, "id-1");
    struct version *version = get_version(store, "id-1");
    ck_assert(atomic_load(&version->verified));
    ck_assert(!atomic_load(&version->has_learned));
    expect_digest(version, "ID-1");
    version_drop(version);
    store_close(store);
}
END_TEST

/* ---- all at once ---- */
#define READERS 4

static atomic_bool done;

static void *read_on(void *context) {
    struct store *store = context;
    for (unsigned i = 0; !atomic_load(&done); i++) {
        char text[16];
        id_text((int)(i * 7 % 100), text);
        struct op op;
        op_init(&op, 0, 0);
        struct id id = id_of(text);
        struct read_options whole = {.length = UINT64_MAX};
        struct reader *reader = NULL;
        enum err err = hdf5_reader_open(NULL, store, &op, &id, &whole, &reader);
        ck_assert_msg(err == OK || err == ERR_NOT_FOUND, "%s", op.fault.detail);
        if (!err) {
            char body[16] = {0};
            size_t count = 0;
            ck_assert_int_eq(reader_read(reader, &op, body, sizeof body - 1, &count), OK);
            ck_assert(strcmp(body, text) == 0 || strcmp(body, "new") == 0);
            reader_close(reader);
        }
    }
    return NULL;
}

static void change_one(struct store *store, int number) {
    struct op op;
    op_init(&op, 0, 0);
    char text[16];
    id_text(number, text);
    struct id id = id_of(text);
    struct meta meta;
    meta_init(&meta);
    struct store_request request = {.action = number % 2 ? STORE_PUT : STORE_REMOVE,
                                    .id = &id,
                                    .meta = &meta,
                                    .kind = VERSION_BYTES,
                                    .length = 3,
                                    .bytes = "new"};
    ck_assert_msg(store_submit(store, &op, &request) == OK, "%s", op.fault.detail);
    version_drop(request.version);
}

START_TEST(readers_and_a_writer_agree_though_versions_come_and_go) {
    struct store *store = open_store();
    pthread_t threads[READERS];
    atomic_store(&done, false);
    store->index.residents.most = 5; /* nobody reads yet */
    for (int i = 0; i < READERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_on, store), 0);
    }
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            change_one(store, i);
        }
    }
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    store_close(store);
}
END_TEST

int main(void) {
    hash_setup();
    h5_enter();
    Suite *suite = suite_create("hdf5 load");
    TCase *tcase = tcase_create("load");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, an_id_that_is_not_indexed_yet_is_found_by_name);
    tcase_add_test(tcase, the_pool_says_how_far_it_is);
    tcase_add_test(tcase, a_load_makes_no_versions);
    tcase_add_test(tcase, versions_are_forgotten_and_made_again);
    tcase_add_test(tcase, readers_do_not_make_versions_without_bound);
    tcase_add_test(tcase, a_version_made_of_what_has_changed_is_not_taken);
    tcase_add_test(tcase, forgotten_entries_are_replaced_and_removed);
    tcase_add_test(tcase, a_digest_that_is_nowhere_else_is_forgotten_and_found_again);
    tcase_add_test(tcase, a_digest_that_was_noted_is_forgotten_and_read_again);
    tcase_add_test(tcase, readers_and_a_writer_agree_though_versions_come_and_go);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
