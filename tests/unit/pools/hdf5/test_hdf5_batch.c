/* test_hdf5_batch.c - what a batch shows and commits, and when. See batch_scene.h. */
#include "batch_scene.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- limits ---- */
START_TEST(a_bounded_pool_keeps_what_its_batch_staged) {
    open_store((struct store_limits){.max_bytes = 1000, .max_entries = 10});
    put_alone("x", "old", 3, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked removal;
    struct asked reserve;
    struct asked put;
    ask(&removal, &batch, STORE_REMOVE, "x");
    ask(&reserve, &batch, STORE_RESERVE, "x");
    reserve.request.kind = VERSION_BYTES;
    reserve.request.length = 100;
    ask_put(&put, &batch, "x", "newer", 5, HOLD_OWNED);
    store_run_batch(store, &batch);
    ck_assert_int_eq(removal.request.request.result, OK);
    ck_assert(removal.request.existed);
    ck_assert_int_eq(reserve.request.request.result, OK);
    ck_assert_int_eq(put.request.request.result, OK);
    ck_assert(!put.request.existed);
    ck_assert_uint_eq(put.request.version->length, 5);
    version_drop(put.request.version);
    store_release_reservation(store, reserve.request.reservation);
    ck_assert(has("x"));
    ck_assert_uint_eq(store->index.usage.entries, 1);
    ck_assert_uint_eq(store->index.usage.bytes, 5);
    close_store();
}
END_TEST

START_TEST(a_bounded_pool_shows_nothing_before_the_commit) {
    open_store((struct store_limits){.max_bytes = 1000, .max_entries = 10});
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked first;
    struct asked second;
    ask_put(&first, &batch, "a", "1", 1, HOLD_OWNED);
    ask_put(&second, &batch, "b", "2", 1, HOLD_OWNED);
    watched = "a";
    store_run_batch(store, &batch);
    watched = NULL;
    ck_assert_int_eq(seen_at_commit, 0);
    ck_assert(has("a"));
    version_drop(first.request.version);
    version_drop(second.request.version);
    close_store();
}
END_TEST

/* ---- bodies ---- */
static void expect_body(const char *id, const char *text, size_t bytes) {
    struct op op;
    op_init(&op, 0, 0);
    char found[64] = {0};
    struct version *version = shown(id);
    ck_assert_ptr_nonnull(version);
    ck_assert_uint_eq(version->length, bytes);
    ck_assert_int_eq(h5_file_pread(store->file, &op, version->offset, found, bytes), OK);
    ck_assert_mem_eq(found, text, bytes);
    version_drop(version);
}

START_TEST(small_bodies_in_a_row_are_written_at_once) {
    static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    static const char *const ids[] = {"a", "b", "c", "d", "e"};
    enum { COUNT = sizeof ids / sizeof *ids };
    open_store((struct store_limits){0});
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked puts[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        ask_put(&puts[i], &batch, ids[i], text + i, 8 * (i + 1) % 32, HOLD_OWNED); /* one is empty */
    }
    store_run_batch(store, &batch);
    ck_assert_uint_eq(body_writes, 1);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(puts[i].request.request.result, OK);
        expect_body(ids[i], text + i, 8 * (i + 1) % 32);
        version_drop(puts[i].request.version);
    }
    close_store();
}
END_TEST

/* What is free before the end of the last commit, and what is free behind it, are two stretches to the shadow. */
START_TEST(a_run_ends_where_the_last_commit_ends_the_file) {
    struct op op;
    op_init(&op, 0, 0);
    open_store((struct store_limits){0});
    put_alone("a", "first", 5, HOLD_OWNED);
    uint64_t end = 0;
    ck_assert_int_eq(h5_file_size(store->file, &op, &end), OK);
    body_writes = 0;
    ck_assert_int_eq(body_run_add(&store->run, store->file, &op, end - 1, "x", 1), OK);
    ck_assert_int_eq(body_run_add(&store->run, store->file, &op, end, "y", 1), OK);
    ck_assert_uint_eq(body_writes, 1);
    ck_assert_int_eq(body_run_push(&store->run, store->file, &op), OK);
    ck_assert_uint_eq(body_writes, 2);
    close_store();
}
END_TEST

/* They are shown without a commit. */
START_TEST(bodies_of_copies_are_there_when_they_are_shown) {
    struct fence_table fences;
    fence_table_init(&fences);
    open_store((struct store_limits){0});
    copy_alone(&fences, "a", "first");
    expect_body("a", "first", 5);
    close_store();
    fence_table_fini(&fences);
}
END_TEST

/* It copies by name, what the batch put under it. */
START_TEST(an_export_has_the_bodies_of_its_batch) {
    open_store((struct store_limits){0});
    put_alone("a", "older", 5, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    struct asked copy;
    char *path = fixture_path(&fixture, "copy.h5");
    ask_put(&put, &batch, "a", "first", 5, HOLD_OWNED);
    ask(&copy, &batch, STORE_EXPORT, "a");
    copy.request.path = path;
    store_run_batch(store, &batch);
    ck_assert_int_eq(put.request.request.result, OK);
    ck_assert_msg(copy.request.request.result == OK, "%s", copy.op.fault.detail);
    version_drop(put.request.version);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "a", H5P_DEFAULT);
    char found[5] = {0};
    ck_assert_int_ge(H5Dread(dataset, H5T_STD_U8LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, found), 0);
    ck_assert_mem_eq(found, "first", sizeof found);
    H5Dclose(dataset);
    H5Fclose(file);
    free(path);
    close_store();
}
END_TEST

/* ---- copies ---- */
START_TEST(copies_are_shown_at_once_and_committed_with_others) {
    struct fence_table fences;
    fence_table_init(&fences);
    open_store((struct store_limits){0});
    put_alone("own", "1", 1, HOLD_OWNED);
    unsigned before = atomic_load(&commits);
    copy_alone(&fences, "a", "first");
    copy_alone(&fences, "b", "second");
    copy_alone(&fences, "a", "third");
    ck_assert_uint_eq(atomic_load(&commits), before);
    ck_assert(has("a"));
    ck_assert(has("b"));
    /* What a copy replaced is still in the file on disk: its space may not be given away yet. */
    ck_assert(!STAILQ_EMPTY(&store->new_held));
    ck_assert(STAILQ_EMPTY(&store->held));
    ck_assert(store->dirty);
    put_alone("own", "2", 1, HOLD_OWNED);
    ck_assert_uint_eq(atomic_load(&commits), before + 1);
    ck_assert(STAILQ_EMPTY(&store->new_held));
    ck_assert(!store->dirty);
    ck_assert_uint_eq(store->copies_due_ns, 0);
    close_store();
    fence_table_fini(&fences);
}
END_TEST

START_TEST(copies_that_keep_coming_are_committed_when_they_are_due) {
    struct fence_table fences;
    fence_table_init(&fences);
    open_store((struct store_limits){0});
    copy_alone(&fences, "a", "1");
    unsigned before = atomic_load(&commits);
    store->copies_due_ns = 1; /* long ago */
    copy_alone(&fences, "b", "2");
    ck_assert_uint_eq(atomic_load(&commits), before + 1);
    ck_assert_uint_eq(store->copies_due_ns, 0);
    ck_assert(!store->dirty);
    close_store();
    fence_table_fini(&fences);
}
END_TEST

START_TEST(a_client_s_put_among_copies_is_committed) {
    struct fence_table fences;
    fence_table_init(&fences);
    open_store((struct store_limits){0});
    put_alone("own", "1", 1, HOLD_OWNED); /* the first write of a session commits that it is one */
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked copy;
    struct asked put;
    struct fence fence;
    ask_put(&copy, &batch, "copy", "1", 1, HOLD_CACHED);
    ck_assert_int_eq(fence_raise(&fences, &copy.op, &fence, &copy.id), OK);
    copy.request.fence = &fence;
    ask_put(&put, &batch, "put", "2", 1, HOLD_OWNED);
    unsigned before = atomic_load(&commits);
    store_run_batch(store, &batch);
    ck_assert_uint_eq(atomic_load(&commits), before + 1);
    ck_assert(has("copy") && has("put"));
    fence_lower(&fences, &fence);
    version_drop(copy.request.version);
    version_drop(put.request.version);
    close_store();
    fence_table_fini(&fences);
}
END_TEST

/* With the store's own thread: nothing else comes, and the copy is committed all the same. */
START_TEST(a_copy_is_committed_though_nobody_comes) {
    fixture_reopen(&fixture, NULL);
    put_text(fixture.pool, "own", "1");
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of("copy");
    struct fence fence;
    ck_assert_int_eq(fence_raise(&fixture.pool->fences, &op, &fence, &id), OK);
    unsigned before = atomic_load(&commits);
    ck_assert_int_eq(put_as(fixture.pool, "copy", "2", 1, HOLD_CACHED, NULL, NULL, &fence), OK);
    fence_lower(&fixture.pool->fences, &fence);
    uint64_t until_ns = clock_now_ns() + 20 * NS_PER_S;
    while (atomic_load(&commits) == before && clock_now_ns() < until_ns) {
        usleep(1000);
    }
    ck_assert_uint_gt(atomic_load(&commits), before);
    expect_text(fixture.pool, "copy", "2");
}
END_TEST

/* A read that waits for the index is told what befell the file; only a write is told that there are none. */
START_TEST(a_file_that_cannot_be_loaded_fails_reads_and_writes_in_their_own_words) {
    open_store((struct store_limits){0});
    atomic_store(&store->loaded, false);
    store_poison(store, "the file is damaged");
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(store_await_loaded(store, &op, 0), ERR_BUSY);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_POISONED);
    ck_assert_str_eq(op.fault.detail, "the file is damaged");
    op_init(&op, 0, 0);
    ck_assert_int_eq(store_check_writable(store, &op), ERR_BUSY);
    ck_assert_str_eq(op.fault.detail, "the pool takes no writes: the file is damaged");
    close_store();
}
END_TEST

/* ---- a digest that cannot be written down ---- */
START_TEST(a_read_does_not_fail_with_its_digest) {
    fixture_reopen(&fixture, NULL);
    put_text(fixture.pool, "x", "an owned text");
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    char *path = fixture_path(&fixture, "p.h5");
    FILE *file = fopen(path, "r+b");
    free(path);
    static char bytes[1 << 20];
    size_t count = fread(bytes, 1, sizeof bytes, file);
    const char *found = memmem(bytes, count, "an owned", 8);
    ck_assert_ptr_nonnull(found);
    ck_assert_int_eq(fseek(file, found - bytes, SEEK_SET), 0);
    ck_assert_int_ne(fputs("am", file), EOF);
    ck_assert_int_eq(fclose(file), 0);
    note_fails = true;
    fixture_reopen(&fixture, NULL);
    expect_text(fixture.pool, "x", "am owned text");
    expect_text(fixture.pool, "x", "am owned text");
    note_fails = false;
}
END_TEST

/* ---- a conversion that fails ---- */
static void make_file_with_user_block(void) {
    h5_enter();
    char *path = fixture_path(&fixture, "p.h5");
    hid_t list = H5Pcreate(H5P_FILE_CREATE);
    ck_assert_int_ge(H5Pset_userblock(list, 512), 0);
    ck_assert_int_ge(H5Fclose(H5Fcreate(path, H5F_ACC_TRUNC, list, H5P_DEFAULT)), 0);
    H5Pclose(list);
    free(path);
}

START_TEST(a_failed_conversion_is_not_repeated_at_once) {
    make_file_with_user_block();
    open_store((struct store_limits){0});
    char *copy = fixture_path(&fixture, ".p.h5.lailad-compact");
    ck_assert_int_eq(mkdir(copy, 0700), 0);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    ask_put(&put, &batch, "a", "1", 1, HOLD_OWNED);
    store_run_batch(store, &batch);
    ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    struct fault told = put.op.fault;
    ck_assert_int_eq(rmdir(copy), 0);
    STAILQ_INIT(&batch);
    ask_put(&put, &batch, "a", "1", 1, HOLD_OWNED);
    store_run_batch(store, &batch);
    ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    ck_assert_str_eq(put.op.fault.detail, told.detail);
    ck_assert_int_eq(access(copy, F_OK), -1);
    store->convert_again_ns = 0; /* the pause is over */
    put_alone("a", "1", 1, HOLD_OWNED);
    ck_assert(has("a"));
    free(copy);
    close_store();
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 batch");
    TCase *tcase = tcase_create("batch");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, scene_set_up, scene_tear_down);
    tcase_add_test(tcase, a_bounded_pool_keeps_what_its_batch_staged);
    tcase_add_test(tcase, a_bounded_pool_shows_nothing_before_the_commit);
    tcase_add_test(tcase, small_bodies_in_a_row_are_written_at_once);
    tcase_add_test(tcase, a_run_ends_where_the_last_commit_ends_the_file);
    tcase_add_test(tcase, bodies_of_copies_are_there_when_they_are_shown);
    tcase_add_test(tcase, an_export_has_the_bodies_of_its_batch);
    tcase_add_test(tcase, copies_are_shown_at_once_and_committed_with_others);
    tcase_add_test(tcase, copies_that_keep_coming_are_committed_when_they_are_due);
    tcase_add_test(tcase, a_client_s_put_among_copies_is_committed);
    tcase_add_test(tcase, a_copy_is_committed_though_nobody_comes);
    tcase_add_test(tcase, a_file_that_cannot_be_loaded_fails_reads_and_writes_in_their_own_words);
    tcase_add_test(tcase, a_read_does_not_fail_with_its_digest);
    tcase_add_test(tcase, a_failed_conversion_is_not_repeated_at_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
