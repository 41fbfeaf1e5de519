/* test_hdf5_undo.c - commits that fail: everything since the last one is taken back, and whoever waits for it is told. See batch_scene.h. */
#include "batch_scene.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* The bodies of a batch are written together: whose it was does not matter. */
START_TEST(bodies_that_cannot_be_written_take_their_batch_back) {
    open_store((struct store_limits){0});
    put_alone("changed", "old", 3, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    struct asked change;
    struct asked miss;
    ask_put(&put, &batch, "a", "1", 1, HOLD_OWNED);
    ask_put(&change, &batch, "changed", "newer", 5, HOLD_OWNED);
    ask(&miss, &batch, STORE_LOOKUP, "a");
    bodies_fail = true;
    store_run_batch(store, &batch);
    bodies_fail = false;
    ck_assert_int_eq(put.request.request.result, ERR_NO_SPACE);
    ck_assert_int_eq(change.request.request.result, ERR_NO_SPACE);
    ck_assert_ptr_null(put.request.version);
    ck_assert_int_eq(miss.request.request.result, OK);
    ck_assert(!has("a"));
    ck_assert_uint_eq(length_of("changed"), 3);
    put_alone("a", "22", 2, HOLD_OWNED); /* and nothing of the old ones is written any more */
    ck_assert_uint_eq(length_of("a"), 2);
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
    static char upload[100 << 10];
    open_store((struct store_limits){0});
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked reserve;
    ask(&reserve, &batch, STORE_RESERVE, "x");
    reserve.request.kind = VERSION_BYTES;
    reserve.request.length = sizeof upload;
    store_run_batch(store, &batch);
    struct reservation *reservation = reserve.request.reservation;
    ck_assert_int_eq(reserve.request.request.result, OK);
    struct asked put;
    STAILQ_INIT(&batch);
    ask_put(&put, &batch, "other", "1", 1, HOLD_OWNED);
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    put_alone("next", upload, sizeof upload, HOLD_OWNED);
    struct version *next = shown("next");
    ck_assert_uint_ge(next->offset, reservation->placement.offset + sizeof upload);
    version_drop(next);
    STAILQ_INIT(&batch);
    ask_put(&put, &batch, "x", NULL, sizeof upload, HOLD_OWNED);
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
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "the file has to be opened again"));
    close_store();
}
END_TEST

/* ---- a commit in the middle of a batch ---- */
static char body[700 << 10];

/* The large put evicts the copy, and commits twice for that. */
static void ask_small_and_large(struct asked *small, struct asked *large, struct request_batch *batch) {
    open_store((struct store_limits){.max_file_bytes = 1200 << 10});
    atomic_store(&store->evictable, true);
    put_alone("copy", body, sizeof body, HOLD_CACHED);
    ask_put(small, batch, "small", "1", 1, HOLD_OWNED);
    ask_put(large, batch, "large", body, sizeof body, HOLD_OWNED);
}

START_TEST(a_put_behind_a_commit_of_its_batch_is_committed_too) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked small;
    struct asked large;
    ask_small_and_large(&small, &large, &batch);
    unsigned before = atomic_load(&commits);
    store_run_batch(store, &batch);
    ck_assert_int_eq(small.request.request.result, OK);
    ck_assert_int_eq(large.request.request.result, OK);
    version_drop(small.request.version);
    version_drop(large.request.version);
    ck_assert_uint_eq(atomic_load(&commits), before + 3);
    ck_assert(h5_file_has_journal(store->file)); /* nothing has been changed since the last commit */
    ck_assert(!store->dirty);
    close_store();
}
END_TEST

START_TEST(what_a_commit_of_its_batch_made_durable_has_not_failed) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked small;
    struct asked large;
    ask_small_and_large(&small, &large, &batch);
    commits_to_pass = 2;
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    ck_assert_int_eq(small.request.request.result, OK);
    ck_assert_int_eq(large.request.request.result, ERR_UNAVAILABLE);
    version_drop(small.request.version);
    ck_assert(has("small"));
    ck_assert(!has("large"));
    close_store();
}
END_TEST

/* The second finds nothing to remove, because of the first: that, too, holds only when it is committed. */
START_TEST(a_removal_of_nothing_fails_with_what_it_was_judged_by) {
    open_store((struct store_limits){0});
    put_alone("x", "1", 1, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked first;
    struct asked second;
    ask(&first, &batch, STORE_REMOVE, "x");
    ask(&second, &batch, STORE_REMOVE, "x");
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    ck_assert_int_eq(first.request.request.result, ERR_UNAVAILABLE);
    ck_assert_int_eq(second.request.request.result, ERR_UNAVAILABLE);
    ck_assert(has("x"));
    close_store();
}
END_TEST

/* ---- refusals ---- */
/* The first put is staged; the second is refused because of it, and so are a put and a reservation that the limits have no room for. What
 * is refused by what was there before stays refused. */
struct refusals {
    struct asked early, put, late, full, reserve;
};

static void refuse_in_a_batch(struct refusals *refusals) {
    static const struct condition none = {.kind = CONDITION_ABSENT};
    open_store((struct store_limits){.max_entries = 2});
    put_alone("there", "1", 1, HOLD_OWNED);
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    ask_put(&refusals->early, &batch, "there", "2", 1, HOLD_OWNED);
    refusals->early.request.condition = &none;
    ask_put(&refusals->put, &batch, "x", "1", 1, HOLD_OWNED);
    ask_put(&refusals->late, &batch, "x", "2", 1, HOLD_OWNED);
    refusals->late.request.condition = &none;
    ask_put(&refusals->full, &batch, "y", "1", 1, HOLD_OWNED);
    ask(&refusals->reserve, &batch, STORE_RESERVE, "z");
    refusals->reserve.request.kind = VERSION_BYTES;
    refusals->reserve.request.length = 100;
    store_run_batch(store, &batch);
    ck_assert_int_eq(refusals->early.request.request.result, ERR_PRECONDITION);
}

START_TEST(a_refusal_by_what_was_taken_back_is_taken_back) {
    struct refusals refusals;
    commit_fails = true;
    commits_to_pass = 2; /* that a session begins, and the first put */
    refuse_in_a_batch(&refusals);
    commit_fails = false;
    struct asked *const told[] = {&refusals.put, &refusals.late, &refusals.full, &refusals.reserve};
    for (size_t i = 0; i < ARRAY_COUNT(told); i++) {
        ck_assert_int_eq(told[i]->request.request.result, ERR_UNAVAILABLE);
        ck_assert_str_eq(told[i]->op.fault.detail, "this commit fails");
    }
    ck_assert(!has("x"));
    close_store();
}
END_TEST

START_TEST(a_refusal_by_what_was_committed_stands) {
    struct refusals refusals;
    refuse_in_a_batch(&refusals);
    ck_assert_int_eq(refusals.put.request.request.result, OK);
    ck_assert_int_eq(refusals.late.request.request.result, ERR_PRECONDITION);
    ck_assert_int_eq(refusals.full.request.request.result, ERR_NO_SPACE);
    ck_assert_int_eq(refusals.reserve.request.request.result, ERR_NO_SPACE);
    version_drop(refusals.put.request.version);
    close_store();
}
END_TEST

/* ---- a digest that is noted ---- */
static struct version *made_again(const char *id) {
    store->index.residents.most = 0;
    index_trim(&store->index); /* passes over what was just used */
    index_trim(&store->index);
    struct id key = id_of(id);
    struct sight sight;
    index_look(&store->index, &key, &sight);
    ck_assert(sight.is_there && !sight.version);
    return shown(id);
}

static enum err learn(const char *id, const uint8_t sha256[SHA256_BYTES]) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked asked;
    struct version *version = shown(id);
    ask(&asked, &batch, STORE_LEARN, id);
    asked.request.version = version;
    asked.request.sha256 = sha256;
    store_run_batch(store, &batch);
    version_drop(version);
    return asked.request.request.result;
}

/* What is in the file counts: a note that was taken back is made again, one that was committed need not be. */
START_TEST(a_noted_digest_is_taken_back_with_its_commit) {
    static const uint8_t sha256[SHA256_BYTES] = {1, 2, 3};
    open_store((struct store_limits){0});
    put_alone("x", "1", 1, HOLD_OWNED); /* without a digest */
    commit_fails = true;
    ck_assert_int_eq(learn("x", sha256), OK);
    commit_fails = false;
    struct version *version = made_again("x");
    ck_assert(!version->has_sha256 && version->owes_digest && !version_trusts_digest(version));
    version_drop(version);
    ck_assert_int_eq(learn("x", sha256), OK);
    version = made_again("x");
    ck_assert(version->has_sha256 && !version->owes_digest && version_trusts_digest(version));
    ck_assert_mem_eq(version->sha256, sha256, sizeof sha256);
    version_drop(version);
    close_store();
}
END_TEST

/* ---- readers ---- */
/* The copy is gone, but not from under its reader: what comes next is placed elsewhere. */
START_TEST(who_reads_a_copy_that_was_taken_back_reads_on) {
    struct fence_table fences;
    fence_table_init(&fences);
    open_store((struct store_limits){0});
    put_alone("own", "1", 1, HOLD_OWNED);
    copy_alone(&fences, "copy", "what the reader reads");
    struct version *read = shown("copy");
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    ask_put(&put, &batch, "own", "22", 2, HOLD_OWNED);
    commit_fails = true;
    store_run_batch(store, &batch);
    commit_fails = false;
    ck_assert(!has("copy"));
    static const char other[] = "what somebody else wrote";
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "next %d", i);
        put_alone(name, other, sizeof other, HOLD_OWNED);
    }
    char bytes[21];
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_uint_eq(read->length, sizeof bytes);
    ck_assert_int_eq(h5_file_pread(read->file, &op, read->offset, bytes, sizeof bytes), OK);
    ck_assert_mem_eq(bytes, "what the reader reads", sizeof bytes);
    version_drop(read);
    close_store();
    fence_table_fini(&fences);
}
END_TEST

/* The commit fails that makes evicted space free for the second put: the first must hear of it. */
static void fail_within_a_batch(struct asked *small, struct asked *large) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    ask_small_and_large(small, large, &batch);
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
    ck_assert_int_eq(small.request.request.result, ERR_UNAVAILABLE);
    ck_assert_str_eq(small.op.fault.detail, "this commit fails");
    close_store();
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("hdf5 undo");
    TCase *tcase = tcase_create("batch");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, scene_set_up, scene_tear_down);
    tcase_add_test(tcase, a_failed_commit_is_taken_back_whole);
    tcase_add_test(tcase, bodies_that_cannot_be_written_take_their_batch_back);
    tcase_add_test(tcase, shown_copies_are_taken_back_with_the_commit_they_ride_on);
    tcase_add_test(tcase, an_upload_whose_file_went_back_is_told_why);
    tcase_add_test(tcase, a_failed_sync_poisons);
    tcase_add_test(tcase, a_put_behind_a_commit_of_its_batch_is_committed_too);
    tcase_add_test(tcase, what_a_commit_of_its_batch_made_durable_has_not_failed);
    tcase_add_test(tcase, a_removal_of_nothing_fails_with_what_it_was_judged_by);
    tcase_add_test(tcase, a_refusal_by_what_was_taken_back_is_taken_back);
    tcase_add_test(tcase, a_refusal_by_what_was_committed_stands);
    tcase_add_test(tcase, a_noted_digest_is_taken_back_with_its_commit);
    tcase_add_test(tcase, who_reads_a_copy_that_was_taken_back_reads_on);
    tcase_add_test(tcase, a_commit_that_fails_within_the_batch_fails_what_came_before);
    tcase_add_test(tcase, a_sync_that_fails_within_the_batch_fails_what_came_before);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
