/* test_hdf5_batch.c - one batch at a time, with what other threads would see at its commit, and with a commit that fails.
 *
 * The store's own thread is ended, and the test takes its place: so it knows which requests share a batch. The store's
 * calls of h5_file_commit and attributes_write_sha256 come here first (the linker's --wrap).
 */
#include "hdf5_fixture.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/hdf5/attributes.h"
#include "pools/hdf5/store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum err __real_h5_file_commit(struct h5_file *file, struct op *op);
enum err __wrap_h5_file_commit(struct h5_file *file, struct op *op);

bool __real_h5_file_is_poisoned(const struct h5_file *file);
bool __wrap_h5_file_is_poisoned(const struct h5_file *file);

enum err __real_attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                        const uint8_t sha256[SHA256_BYTES]);
enum err __wrap_attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                        const uint8_t sha256[SHA256_BYTES]);

static struct fixture fixture;
static bool note_fails;
static bool sync_failed;
static struct store *store;
static bool commit_fails;
static const char *watched; /* an id that is looked up at each commit, as a reader does */
static int seen_at_commit;  /* how often it was there */
static atomic_uint commits;

static void set_up(void) {
    fixture_open(&fixture);
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    commit_fails = false;
    sync_failed = false;
    watched = NULL;
    seen_at_commit = 0;
}

static void open_store(struct store_limits limits) {
    struct op op;
    op_init(&op, 0, 0);
    char *path = fixture_path(&fixture, "p.h5");
    struct store_options options = {.limits = limits};
    ck_assert_int_eq(store_open(&op, path, &options, &store), OK);
    free(path);
    ck_assert_int_eq(store_await_loaded(store, &op, UINT64_C(10000000000)), OK);
    commit_stop(&store->commit);
    h5_enter();
    store->link_list = H5Pcreate(H5P_LINK_CREATE);
}

static void close_store(void) {
    commit_fails = false;
    store_let_all_go(store);
    store_close(store);
    store = NULL;
}

static void tear_down(void) {
    fixture_close(&fixture);
}

enum err __wrap_h5_file_commit(struct h5_file *file, struct op *op) {
    atomic_fetch_add(&commits, 1);
    if (watched) {
        struct id id = id_of(watched);
        struct sight sight;
        index_look(&store->index, &id, &sight);
        seen_at_commit += sight.is_there;
        version_drop(sight.version);
    }
    return commit_fails ? op_fail(op, REASON_IO, "this commit fails") : __real_h5_file_commit(file, op);
}

bool __wrap_h5_file_is_poisoned(const struct h5_file *file) {
    return sync_failed || __real_h5_file_is_poisoned(file);
}

enum err __wrap_attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                        const uint8_t sha256[SHA256_BYTES]) {
    return note_fails ? op_fail(op, REASON_NO_SPACE, "this note fails")
                      : __real_attributes_write_sha256(forms, dataset, op, sha256);
}

/* ---- requests of one batch ---- */
struct asked {
    struct store_request request;
    struct op op;
    struct id id;
    struct meta meta;
};

static void ask(struct asked *asked, struct request_batch *batch, enum store_action action, const char *id) {
    memset(asked, 0, sizeof *asked);
    op_init(&asked->op, 0, 0);
    asked->id = id_of(id);
    meta_init(&asked->meta);
    asked->request = (struct store_request){
        .request = {.op = &asked->op}, .action = action, .id = &asked->id, .meta = &asked->meta};
    STAILQ_INSERT_TAIL(batch, &asked->request.request, in_batch);
}

static void ask_put(struct asked *asked, struct request_batch *batch, const char *id, const char *text,
                    uint64_t length, enum hold hold) {
    ask(asked, batch, STORE_PUT, id);
    asked->meta.hold = hold;
    asked->request.kind = VERSION_BYTES;
    asked->request.length = length;
    asked->request.bytes = text;
}

static void put_alone(const char *id, const char *text, uint64_t length, enum hold hold) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    ask_put(&put, &batch, id, text, length, hold);
    store_run_batch(store, &batch);
    ck_assert_msg(put.request.request.result == OK, "%s", put.op.fault.detail);
    version_drop(put.request.version);
}

static bool has(const char *id) {
    struct id key = id_of(id);
    struct sight sight;
    index_look(&store->index, &key, &sight);
    version_drop(sight.version);
    return sight.is_there;
}

/* The caller drops it; NULL = there is none. */
static struct version *shown(const char *id) {
    struct op op;
    op_init(&op, 0, 0);
    struct id key = id_of(id);
    struct record *record = NULL;
    ck_assert_int_eq(store_find(store, &op, &key, &record), OK);
    struct version *version = record ? record_shown(record) : NULL;
    return version ? version_ref(version) : NULL;
}

static uint64_t length_of(const char *id) {
    struct version *version = shown(id);
    ck_assert_ptr_nonnull(version);
    uint64_t length = version->length;
    version_drop(version);
    return length;
}

static void remove_alone(const char *id) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked removal;
    ask(&removal, &batch, STORE_REMOVE, id);
    store_run_batch(store, &batch);
    ck_assert_int_eq(removal.request.request.result, OK);
    ck_assert(removal.request.existed);
}

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

/* ---- copies ---- */
static void copy_alone(struct fence_table *fences, const char *name, const char *text) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    struct fence fence;
    ask_put(&put, &batch, name, text, strlen(text), HOLD_CACHED);
    ck_assert_int_eq(fence_raise(fences, &put.op, &fence, &put.id), OK);
    put.request.fence = &fence;
    store_run_batch(store, &batch);
    ck_assert_msg(put.request.request.result == OK, "%s", put.op.fault.detail);
    fence_lower(fences, &fence);
    version_drop(put.request.version);
}

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

/* ---- a commit that fails ---- */
START_TEST(a_failed_commit_is_taken_back_whole) {
    open_store((struct store_limits){0});
    put_alone("gone", "1", 1, HOLD_OWNED);
    put_alone("changed", "old", 3, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    struct asked removal;
    struct asked change;
    ask_put(&put, &batch, "a", "1", 1, HOLD_OWNED);
    ask(&removal, &batch, STORE_REMOVE, "gone");
    ask_put(&change, &batch, "changed", "newer", 5, HOLD_OWNED);
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    ck_assert_str_ne(put.op.fault.detail, "");
    ck_assert_int_eq(removal.request.request.result, ERR_UNAVAILABLE);
    ck_assert_int_eq(change.request.request.result, ERR_UNAVAILABLE);
    ck_assert(!has("a"));
    ck_assert(has("gone"));
    ck_assert_uint_eq(length_of("changed"), 3);
    ck_assert_uint_eq(store->index.usage.entries, 2);
    ck_assert_uint_eq(store->index.usage.bytes, 4);
    ck_assert_uint_eq(atomic_load(&store->index.bytes), 4);
    /* It goes on from there, in the index and in the file. */
    put_alone("a", "22", 2, HOLD_OWNED);
    put_alone("changed", "newest", 6, HOLD_OWNED);
    remove_alone("gone");
    close_store();
    open_store((struct store_limits){0});
    ck_assert_uint_eq(length_of("a"), 2);
    ck_assert_uint_eq(length_of("changed"), 6);
    ck_assert(!has("gone"));
    close_store();
}
END_TEST

/* Copies that are shown already, and what they replaced, go back to the last commit, too. */
START_TEST(shown_copies_are_taken_back_with_the_commit_they_ride_on) {
    struct fence_table fences;
    fence_table_init(&fences);
    open_store((struct store_limits){0});
    copy_alone(&fences, "a", "first");
    put_alone("own", "1", 1, HOLD_OWNED);
    struct version *before = shown("a");
    copy_alone(&fences, "a", "second!");
    copy_alone(&fences, "b", "new");
    ck_assert_uint_eq(length_of("a"), 7);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    ask_put(&put, &batch, "own", "22", 2, HOLD_OWNED);
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    ck_assert(!has("b"));
    struct version *after = shown("a");
    ck_assert_ptr_eq(before, after); /* whoever reads it is still counted */
    ck_assert(!atomic_load(&after->retired));
    version_drop(before);
    version_drop(after);
    ck_assert_uint_eq(store->copies_due_ns, 0);
    ck_assert(!store->dirty);
    close_store();
    fence_table_fini(&fences);
}
END_TEST

/* The library lost the upload's dataset; its bytes go on into space that nobody else gets. */
START_TEST(an_upload_whose_file_went_back_is_told_why) {
    static char body[100 << 10];
    open_store((struct store_limits){0});
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked reserve;
    ask(&reserve, &batch, STORE_RESERVE, "x");
    reserve.request.kind = VERSION_BYTES;
    reserve.request.length = sizeof body;
    store_run_batch(store, &batch);
    struct reservation *reservation = reserve.request.reservation;
    ck_assert_int_eq(reserve.request.request.result, OK);
    struct asked put;
    STAILQ_INIT(&batch);
    ask_put(&put, &batch, "other", "1", 1, HOLD_OWNED);
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    put_alone("next", body, sizeof body, HOLD_OWNED);
    struct version *next = shown("next");
    ck_assert_uint_ge(next->offset, reservation->placement.offset + sizeof body);
    version_drop(next);
    STAILQ_INIT(&batch);
    ask_put(&put, &batch, "x", NULL, sizeof body, HOLD_OWNED);
    put.request.reservation = reservation;
    store_run_batch(store, &batch);
    ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    ck_assert_str_eq(put.op.fault.detail, "this commit fails");
    store_release_reservation(store, reservation);
    put_alone("y", "1", 1, HOLD_OWNED);
    close_store();
}
END_TEST

START_TEST(a_failed_sync_poisons) {
    open_store((struct store_limits){0});
    put_alone("kept", "1", 1, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    ask_put(&put, &batch, "a", "1", 1, HOLD_OWNED);
    commit_fails = true;
    sync_failed = true;
    store_run_batch(store, &batch);
    ck_assert_int_eq(put.request.request.result, ERR_UNAVAILABLE);
    ck_assert(!has("a"));
    ck_assert(has("kept"));
    /* From now on it is the pool that is in no state to write, and says so: 503. */
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_int_eq(store_check_writable(store, &op), ERR_BUSY);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_POISONED);
    ck_assert_uint_gt(op.fault.retry_after_s, 0);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "it has to be opened again"));
    close_store();
}
END_TEST

/* The commit fails that makes evicted space free for the second put: the first must hear of it. */
static void fail_within_a_batch(struct asked *small, struct asked *large) {
    static char body[700 << 10];
    open_store((struct store_limits){.max_file_bytes = 1200 << 10});
    atomic_store(&store->evictable, true);
    put_alone("copy", body, sizeof body, HOLD_CACHED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    ask_put(small, &batch, "small", "1", 1, HOLD_OWNED);
    ask_put(large, &batch, "large", body, sizeof body, HOLD_OWNED);
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    ck_assert_int_eq(large->request.request.result, ERR_UNAVAILABLE);
    ck_assert(!has("small"));
}

START_TEST(a_commit_that_fails_within_the_batch_fails_what_came_before) {
    struct asked small;
    struct asked large;
    fail_within_a_batch(&small, &large);
    ck_assert(!atomic_load(&store->poisoned));
    ck_assert_int_eq(small.request.request.result, ERR_UNAVAILABLE);
    ck_assert_str_eq(small.op.fault.detail, "this commit fails");
    ck_assert(has("copy")); /* was to make room, and did not */
    close_store();
}
END_TEST

START_TEST(a_sync_that_fails_within_the_batch_fails_what_came_before) {
    struct asked small;
    struct asked large;
    sync_failed = true;
    fail_within_a_batch(&small, &large);
    ck_assert(atomic_load(&store->poisoned));
    ck_assert_int_eq(small.request.request.result, ERR_BUSY);
    ck_assert_int_eq(small.op.fault.reason, REASON_POOL_POISONED);
    close_store();
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
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_bounded_pool_keeps_what_its_batch_staged);
    tcase_add_test(tcase, a_bounded_pool_shows_nothing_before_the_commit);
    tcase_add_test(tcase, copies_are_shown_at_once_and_committed_with_others);
    tcase_add_test(tcase, copies_that_keep_coming_are_committed_when_they_are_due);
    tcase_add_test(tcase, a_client_s_put_among_copies_is_committed);
    tcase_add_test(tcase, a_copy_is_committed_though_nobody_comes);
    tcase_add_test(tcase, a_failed_commit_is_taken_back_whole);
    tcase_add_test(tcase, shown_copies_are_taken_back_with_the_commit_they_ride_on);
    tcase_add_test(tcase, an_upload_whose_file_went_back_is_told_why);
    tcase_add_test(tcase, a_failed_sync_poisons);
    tcase_add_test(tcase, a_commit_that_fails_within_the_batch_fails_what_came_before);
    tcase_add_test(tcase, a_sync_that_fails_within_the_batch_fails_what_came_before);
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
