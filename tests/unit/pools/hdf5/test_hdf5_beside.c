/* test_hdf5_beside.c - what goes wrong on the store's thread and is nobody else's trouble: a checkpoint that fails, going back while others
 * read through the library. See batch_scene.h. */
#include "batch_scene.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"

#include <check.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- a checkpoint that fails ---- */
static bool checkpoint_fails;
static unsigned checkpoints;

enum err __real_h5_file_checkpoint(struct h5_file *file, struct op *op);
enum err __wrap_h5_file_checkpoint(struct h5_file *file, struct op *op);
enum err __wrap_h5_file_checkpoint(struct h5_file *file, struct op *op) {
    checkpoints++;
    return checkpoint_fails ? op_fail(op, REASON_NO_SPACE, "this checkpoint fails")
                            : __real_h5_file_checkpoint(file, op);
}

/* The journal has all of it: nothing is lost, nobody is refused, and it is tried again, but not at every turn. */
START_TEST(a_checkpoint_that_fails_is_made_later) {
    open_store((struct store_limits){0});
    put_alone("a", "1", 1, HOLD_OWNED);
    checkpoints = 0;
    checkpoint_fails = true;
    store->rest_due_ns = 1; /* long ago */
    uint64_t wait_ns = store_rest(store, clock_now_ns());
    ck_assert_uint_eq(checkpoints, 1);
    ck_assert_uint_gt(wait_ns, 5 * NS_PER_S);
    ck_assert_uint_lt(wait_ns, 60 * NS_PER_S);
    ck_assert(!atomic_load(&store->poisoned));
    ck_assert(h5_file_has_journal(store->file));
    put_alone("b", "2", 1, HOLD_OWNED);
    ck_assert_uint_gt(store_rest(store, clock_now_ns()), 5 * NS_PER_S);
    ck_assert_uint_eq(checkpoints, 1);
    checkpoint_fails = false;
    ck_assert_uint_eq(store_rest(store, store->checkpoint_again_ns), COMMIT_NO_WORK);
    ck_assert_uint_eq(checkpoints, 2);
    ck_assert(!h5_file_has_journal(store->file));
    ck_assert(has("a") && has("b"));
    close_store();
}
END_TEST

/* ---- going back beside the library's readers ---- */
#define GOING_BACK 20

static const char text[] = "a string that only the library can read";

/* Of another writer: a pointer into a heap. */
static void make_file_with_string(void) {
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    free(path);
    hid_t type = H5Tcopy(H5T_C_S1);
    ck_assert_int_ge(H5Tset_size(type, H5T_VARIABLE), 0);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t dataset = H5Dcreate2(file, "theirs", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const char *value = text;
    ck_assert_int_ge(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), 0);
    ck_assert(H5Dclose(dataset) >= 0 && H5Sclose(space) >= 0 && H5Tclose(type) >= 0 && H5Fclose(file) >= 0);
}

static atomic_bool over;
static atomic_uint rounds;

static void *read_on(void *context) {
    struct version *version = context;
    while (!atomic_load(&over)) {
        struct op op;
        op_init(&op, 0, 0);
        struct blob *body = NULL;
        ck_assert_msg(dataset_read(version, &op, &body) == OK, "%s", op.fault.detail);
        ck_assert_uint_eq(body->size, sizeof text - 1);
        ck_assert_mem_eq(body->data, text, body->size);
        blob_unref(body);
        atomic_fetch_add(&rounds, 1);
    }
    return NULL;
}

/* The file is closed and opened again under its readers: each of them sees it open. */
START_TEST(who_reads_through_the_library_is_not_disturbed_by_going_back) {
    make_file_with_string();
    open_store((struct store_limits){0});
    put_alone("own", "1", 1, HOLD_OWNED);
    struct version *version = shown("theirs");
    ck_assert(!version_in_one_piece(version));
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, read_on, version), 0);
    for (int i = 0; i < GOING_BACK; i++) {
        unsigned before = atomic_load(&rounds);
        while (atomic_load(&rounds) < before + 2) { /* it is at it again */
            sched_yield();
        }
        struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
        struct asked put;
        ask_put(&put, &batch, "own", "22", 2, HOLD_OWNED);
        commit_fails = true;
        store_run_batch(store, &batch);
        commit_fails = false;
        ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    }
    atomic_store(&over, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(!atomic_load(&store->poisoned));
    version_drop(version);
    close_store();
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 beside");
    TCase *tcase = tcase_create("beside");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, scene_set_up, scene_tear_down);
    tcase_add_test(tcase, a_checkpoint_that_fails_is_made_later);
    tcase_add_test(tcase, who_reads_through_the_library_is_not_disturbed_by_going_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
