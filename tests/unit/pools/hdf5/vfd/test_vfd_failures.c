/* test_vfd_failures.c - a disk that is full or broken: what fails, what stays, and how few operations a commit is. */
#include "pools/base/hash.h"
#include "tests/crash/journaled.h"
#include "tests/crash/lossy_disk.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LARGE_BYTES ((size_t)300 << 10)

struct scene {
    struct lossy_disk disk;
    struct journaled file;
    struct op op;
};

static void scene_open(struct scene *scene) {
    disk_open(&scene->disk, NULL);
    journaled_open(&scene->file, &scene->disk.medium);
    op_init(&scene->op, 0, 0);
}

static void put_text(struct scene *scene, const char *name) {
    journaled_put(&scene->file, name, name, strlen(name), BODY_WRITTEN);
}

static void count_entry(void *context, const char *name, const void *bytes, size_t count) {
    size_t *seen = context;
    ck_assert_uint_eq(count, strlen(name));
    ck_assert_int_eq(memcmp(bytes, name, count), 0);
    (*seen)++;
}

static size_t count_seen(struct scene *scene) {
    size_t seen = 0;
    ck_assert(entries_each(scene->file.file, count_entry, &seen));
    return seen;
}

static void expect_back(struct scene *scene) {
    ck_assert_int_eq(shadow_roll_back(scene->file.shadow, &scene->op), OK);
    journaled_open_library(&scene->file);
}

START_TEST(a_small_put_is_two_writes_and_one_sync) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "the first commit of all prepares the journal");
    journaled_commit(&scene.file);
    size_t before = scene.disk.op_count;
    put_text(&scene, "small");
    journaled_commit(&scene.file);
    const struct disk_op *ops = scene.disk.ops + before;
    ck_assert_uint_eq(scene.disk.op_count - before, 3);
    ck_assert(ops[0].kind == DISK_WRITE && ops[0].file == MEDIUM_MAIN && ops[0].count == 5);
    ck_assert(ops[1].kind == DISK_WRITE && ops[1].file == MEDIUM_JOURNAL);
    ck_assert_uint_le(ops[1].count, 8192);
    ck_assert(ops[2].kind == DISK_SYNC && ops[2].file == MEDIUM_JOURNAL);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(a_large_body_is_synced_not_journaled) {
    struct scene scene;
    scene_open(&scene);
    char *large = calloc(1, LARGE_BYTES);
    size_t before = scene.disk.op_count;
    struct shadow_stats stats;
    shadow_stats(scene.file.shadow, &stats);
    uint64_t journal_bytes = stats.journal_bytes;
    journaled_put(&scene.file, "large", large, LARGE_BYTES, BODY_WRITTEN);
    journaled_commit(&scene.file);
    shadow_stats(scene.file.shadow, &stats);
    ck_assert_uint_le(stats.journal_bytes - journal_bytes, 16384);
    const struct disk_op *last = &scene.disk.ops[scene.disk.op_count - 1];
    ck_assert(last->kind == DISK_SYNC && last->file == MEDIUM_JOURNAL);
    ck_assert(last[-1].kind == DISK_WRITE && last[-1].file == MEDIUM_JOURNAL);
    ck_assert(last[-2].kind == DISK_SYNC && last[-2].file == MEDIUM_MAIN);
    ck_assert_uint_eq(scene.disk.op_count - before, 4);
    free(large);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(nothing_to_commit_touches_nothing) {
    struct scene scene;
    scene_open(&scene);
    size_t before = scene.disk.op_count;
    ck_assert_int_eq(shadow_commit(scene.file.shadow, &scene.op), OK);
    ck_assert_uint_eq(scene.disk.op_count, before);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

/* Half of the record reached the disk. The same changes again, or none of them: both must work. */
START_TEST(a_commit_that_finds_the_disk_full_can_be_made_again) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "a");
    journaled_flush(&scene.file);
    scene.disk.fail_errno = ENOSPC;
    scene.disk.fail_write_in = 1;
    ck_assert_int_eq(shadow_commit(scene.file.shadow, &scene.op), ERR_NO_SPACE);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_CHANGED);
    ck_assert_int_eq(shadow_commit(scene.file.shadow, &scene.op), OK);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_COMMITTED);
    ck_assert_uint_eq(count_seen(&scene), 1);
    journaled_abandon(&scene.file);
    journaled_open(&scene.file, &scene.disk.medium); /* recovers */
    ck_assert_uint_eq(count_seen(&scene), 1);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(a_commit_that_finds_the_disk_full_can_be_gone_back_on) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "kept");
    journaled_commit(&scene.file);
    put_text(&scene, "lost");
    journaled_flush(&scene.file);
    scene.disk.fail_errno = ENOSPC;
    scene.disk.fail_write_in = 1;
    ck_assert_int_eq(shadow_commit(scene.file.shadow, &scene.op), ERR_NO_SPACE);
    shadow_discard(scene.file.shadow);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_DISCARDING);
    journaled_close_library(&scene.file);
    expect_back(&scene);
    ck_assert_uint_eq(count_seen(&scene), 1);
    put_text(&scene, "later");
    journaled_commit(&scene.file);
    ck_assert_uint_eq(count_seen(&scene), 2);
    journaled_close(&scene.file);
    ck_assert(!scene.disk.now.has_journal);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(a_body_that_cannot_be_written_fails_its_put_only) {
    struct scene scene;
    scene_open(&scene);
    uint64_t offset = 0;
    hid_t dataset = journaled_reserve(&scene.file, 1000, &offset);
    scene.disk.fail_errno = EIO;
    scene.disk.fail_write_in = 1;
    char body[1000] = {0};
    ck_assert_int_eq(shadow_write_body(scene.file.shadow, &scene.op, offset, body, sizeof body),
                     ERR_UNAVAILABLE);
    ck_assert_int_eq(scene.op.fault.reason, REASON_IO);
    H5Dclose(dataset);
    put_text(&scene, "other");
    journaled_commit(&scene.file);
    ck_assert_uint_eq(count_seen(&scene), 1);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(a_failed_sync_poisons_and_reading_goes_on) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "durable");
    journaled_commit(&scene.file);
    put_text(&scene, "unsure");
    journaled_flush(&scene.file);
    scene.disk.fail_errno = EIO;
    scene.disk.fail_sync = true;
    ck_assert_int_eq(shadow_commit(scene.file.shadow, &scene.op), ERR_UNAVAILABLE);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_POISONED);
    scene.disk.fail_sync = false; /* asked again it would say yes, and mean nothing */
    size_t before = scene.disk.op_count;
    ck_assert_int_eq(shadow_commit(scene.file.shadow, &scene.op), ERR_BUSY);
    ck_assert_int_eq(scene.op.fault.reason, REASON_POOL_POISONED);
    ck_assert_int_eq(shadow_checkpoint(scene.file.shadow, &scene.op), ERR_BUSY);
    ck_assert_int_eq(shadow_write_body(scene.file.shadow, &scene.op, 1 << 20, "x", 1), ERR_BUSY);
    ck_assert_int_eq(shadow_roll_back(scene.file.shadow, &scene.op), ERR_BUSY);
    ck_assert_uint_eq(count_seen(&scene), 2);
    journaled_close_library(&scene.file);
    ck_assert_int_eq(shadow_close(&scene.op, scene.file.shadow), OK);
    ck_assert_uint_eq(scene.disk.op_count, before);
    journaled_open(&scene.file, &scene.disk.medium);
    ck_assert_uint_ge(count_seen(&scene), 1);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(a_checkpoint_that_finds_the_disk_full_leaves_the_journal) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "a");
    journaled_commit(&scene.file);
    scene.disk.fail_errno = ENOSPC;
    scene.disk.fail_write_in = 1;
    ck_assert_int_eq(shadow_checkpoint(scene.file.shadow, &scene.op), ERR_NO_SPACE);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_COMMITTED);
    put_text(&scene, "b");
    journaled_commit(&scene.file);
    journaled_abandon(&scene.file);
    journaled_open(&scene.file, &scene.disk.medium);
    ck_assert_uint_eq(count_seen(&scene), 2);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

START_TEST(a_checkpoint_that_cannot_be_confirmed_poisons) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "a");
    journaled_commit(&scene.file);
    scene.disk.fail_errno = EIO;
    scene.disk.fail_sync = true;
    ck_assert_int_eq(shadow_checkpoint(scene.file.shadow, &scene.op), ERR_UNAVAILABLE);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_POISONED);
    scene.disk.fail_sync = false;
    journaled_close_library(&scene.file);
    ck_assert_int_eq(shadow_close(&scene.op, scene.file.shadow), OK);
    journaled_open(&scene.file, &scene.disk.medium);
    ck_assert_uint_eq(count_seen(&scene), 1);
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

/* Written behind the cut, the file would be whole again, with zeros where bodies were. */
START_TEST(a_file_that_somebody_cut_off_is_not_written_behind_the_cut) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "a");
    journaled_commit(&scene.file);
    ck_assert_int_eq(shadow_checkpoint(scene.file.shadow, &scene.op), OK);
    ck_assert_int_eq(shadow_check_length(scene.file.shadow, &scene.op), OK);
    put_text(&scene, "b");
    if (_i) {
        journaled_commit(&scene.file);
    } else {
        journaled_flush(&scene.file);
    }
    struct medium *medium = &scene.disk.medium;
    uint64_t size = 0;
    ck_assert_int_eq(medium->ops->size(medium, MEDIUM_MAIN, &size), 0);
    ck_assert_int_eq(medium->ops->set_size(medium, MEDIUM_MAIN, size - 1), 0);
    size_t before = scene.disk.op_count;
    ck_assert_int_eq(_i ? shadow_checkpoint(scene.file.shadow, &scene.op)
                        : shadow_commit(scene.file.shadow, &scene.op),
                     ERR_BUSY);
    ck_assert_int_eq(scene.op.fault.reason, REASON_POOL_POISONED);
    ck_assert_ptr_nonnull(strstr(scene.op.fault.detail, "cut the file off"));
    ck_assert_int_eq(shadow_check_length(scene.file.shadow, &scene.op), ERR_BUSY);
    ck_assert_int_eq(shadow_state(scene.file.shadow), SHADOW_POISONED);
    journaled_close_library(&scene.file);
    ck_assert_int_eq(shadow_close(&scene.op, scene.file.shadow), OK);
    ck_assert_uint_eq(scene.disk.op_count, before);
    disk_free(&scene.disk);
}
END_TEST

/* Space that the end of the file gave up and got back since the commit: the commit may still refer to it. */
START_TEST(space_given_up_and_regained_is_not_free) {
    struct scene scene;
    scene_open(&scene);
    put_text(&scene, "a");
    journaled_commit(&scene.file);
    H5FD_t *file = NULL;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    ck_assert_int_eq(driver_attach(access, &scene.op, scene.file.shadow), OK);
    file = H5FDopen("journaled", H5F_ACC_RDWR, access, HADDR_UNDEF);
    ck_assert_ptr_nonnull(file);
    uint64_t end = H5FDget_eoa(file, H5FD_MEM_DEFAULT);
    ck_assert(shadow_is_free(scene.file.shadow, end, 10));
    ck_assert(shadow_is_free(scene.file.shadow, end - 100, 50));
    ck_assert_int_ge(H5FDset_eoa(file, H5FD_MEM_DEFAULT, end - 60), 0);
    ck_assert_int_ge(H5FDset_eoa(file, H5FD_MEM_DEFAULT, end + 60), 0);
    ck_assert(!shadow_is_free(scene.file.shadow, end - 100, 50));
    ck_assert(shadow_is_free(scene.file.shadow, end - 100, 40));
    ck_assert(!shadow_is_free(scene.file.shadow, end - 1, 2));
    ck_assert(shadow_is_free(scene.file.shadow, end, 60));
    ck_assert_int_ge(H5FDset_eoa(file, H5FD_MEM_DEFAULT, end), 0);
    H5FDclose(file);
    H5Pclose(access);
    put_text(&scene, "b");
    journaled_commit(&scene.file);
    ck_assert(shadow_is_free(scene.file.shadow, end - 100, 50));
    journaled_close(&scene.file);
    disk_free(&scene.disk);
}
END_TEST

/* ---- bodies beside metadata ---- */

/* Without the library: the shadow on a file that is all zeros. */
static struct shadow *bare_shadow(struct lossy_disk *disk, struct op *op) {
    op_init(op, 0, 0);
    disk_open(disk, NULL);
    ck_assert_int_eq(disk->medium.ops->set_size(&disk->medium, MEDIUM_MAIN, 8192), 0);
    struct shadow *shadow = NULL;
    ck_assert_int_eq(shadow_open(op, &disk->medium, &shadow), OK);
    return shadow;
}

static void expect_main(const struct lossy_disk *disk, size_t offset, const char *text) {
    ck_assert_uint_ge(disk->now.main.size, offset + strlen(text));
    ck_assert_int_eq(memcmp(disk->now.main.bytes + offset, text, strlen(text)), 0);
}

static void write_metadata(struct shadow *shadow, struct op *op, uint64_t offset, const char *text) {
    ck_assert_int_eq(shadow_write_metadata(shadow, op, offset, text, strlen(text)), OK);
}

static void write_as_others_do(struct lossy_disk *disk, uint64_t offset, const char *text) {
    ck_assert_int_eq(disk->medium.ops->write(&disk->medium, MEDIUM_MAIN, offset, text, strlen(text)), 0);
}

START_TEST(a_checkpoint_leaves_lent_space_alone) {
    struct lossy_disk disk;
    struct op op;
    struct shadow *shadow = bare_shadow(&disk, &op);
    write_metadata(shadow, &op, 100, "old metadata that is freed");
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    shadow_lend(shadow, 104, 8);
    write_as_others_do(&disk, 104, "THE BODY");
    write_metadata(shadow, &op, 90, "beside it");
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    ck_assert_int_eq(shadow_checkpoint(shadow, &op), OK);
    expect_main(&disk, 90, "beside it");
    expect_main(&disk, 100, "old THE BODY that is freed");
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    disk_free(&disk);
}
END_TEST

/* The old images are in the journal; the record that takes the body up voids them where it lies, and only there. */
START_TEST(replay_leaves_a_noted_body_alone) {
    struct lossy_disk disk;
    struct op op;
    struct shadow *shadow = bare_shadow(&disk, &op);
    write_metadata(shadow, &op, 100, "old metadata that is freed");
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    shadow_lend(shadow, 104, 8);
    write_as_others_do(&disk, 104, "THE BODY");
    shadow_note_body(shadow, 104, 8);
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    shadow_discard(shadow);
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    ck_assert(disk.now.has_journal);
    ck_assert_int_eq(shadow_open(&op, &disk.medium, &shadow), OK);
    expect_main(&disk, 100, "old THE BODY that is freed");
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    disk_free(&disk);
}
END_TEST

/* Metadata that comes where a body was is a difference to the body: what is equal must be there at replay. */
START_TEST(metadata_over_a_noted_body_is_whole_after_replay) {
    struct lossy_disk disk;
    struct op op;
    struct shadow *shadow = bare_shadow(&disk, &op);
    write_metadata(shadow, &op, 100,
                   "0123456789012345678901234567890123456789012345678901234567890123456789");
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    const char *body = "B______________________________________________________________________C";
    shadow_lend(shadow, 100, strlen(body));
    write_as_others_do(&disk, 100, body);
    shadow_note_body(shadow, 100, strlen(body));
    const char *metadata = "M______________________________________________________________________N";
    write_metadata(shadow, &op, 100, metadata);
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    shadow_discard(shadow);
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    ck_assert_int_eq(shadow_open(&op, &disk.medium, &shadow), OK);
    expect_main(&disk, 100, metadata);
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    disk_free(&disk);
}
END_TEST

/* A record that failed may be whole: going back voids it before it writes to the file. */
START_TEST(going_back_voids_the_failed_record_first) {
    struct lossy_disk disk;
    struct op op;
    struct shadow *shadow = bare_shadow(&disk, &op);
    write_metadata(shadow, &op, 100, "kept");
    ck_assert_int_eq(shadow_commit(shadow, &op), OK);
    write_metadata(shadow, &op, 100, "lost");
    disk.fail_errno = EIO;
    disk.fail_write_in = 1; /* half of a padded record: all of it */
    ck_assert_int_eq(shadow_commit(shadow, &op), ERR_UNAVAILABLE);
    size_t before = disk.op_count;
    shadow_discard(shadow);
    ck_assert_int_eq(shadow_roll_back(shadow, &op), OK);
    ck_assert(disk.ops[before].kind == DISK_WRITE && disk.ops[before].file == MEDIUM_JOURNAL);
    ck_assert(disk.ops[before + 1].kind == DISK_SYNC && disk.ops[before + 1].file == MEDIUM_JOURNAL);
    expect_main(&disk, 100, "kept");
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    expect_main(&disk, 100, "kept");
    disk_free(&disk);
}
END_TEST

/* ---- going back beside readers ---- */

static void commit_body(struct shadow *shadow, struct op *op, const char *text) {
    ck_assert_int_eq(shadow_write_body(shadow, op, 1000, text, strlen(text)), OK);
    ck_assert_int_eq(shadow_commit(shadow, op), OK);
}

/* Goes back; nothing that is written meanwhile puts another byte where the body lies: somebody may be reading it. */
static void go_back_beside_a_reader(struct lossy_disk *disk, struct shadow *shadow, struct op *op,
                                    const char *body) {
    size_t before = disk->op_count;
    shadow_discard(shadow);
    ck_assert_int_eq(shadow_roll_back(shadow, op), OK);
    unsigned writes = 0;
    for (size_t i = before; i < disk->op_count; i++) {
        const struct disk_op *done = &disk->ops[i];
        if (done->kind != DISK_WRITE || done->file != MEDIUM_MAIN) {
            continue;
        }
        writes++;
        for (size_t at = 0; at < strlen(body); at++) {
            uint64_t place = 1000 + at;
            if (place >= done->offset && place < done->offset + done->count) {
                ck_assert_int_eq(done->bytes[place - done->offset], body[at]);
            }
        }
    }
    ck_assert_uint_gt(writes, 0); /* it was a replay */
    expect_main(disk, 1000, body);
}

/* One place, three bodies, each small enough for the journal. */
START_TEST(replay_puts_no_older_body_over_a_committed_one) {
    struct lossy_disk disk;
    struct op op;
    struct shadow *shadow = bare_shadow(&disk, &op);
    write_metadata(shadow, &op, 100, "metadata");
    commit_body(shadow, &op, "the first");
    commit_body(shadow, &op, "THE OTHER");
    write_metadata(shadow, &op, 200, "never committed");
    go_back_beside_a_reader(&disk, shadow, &op, "THE OTHER");
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    expect_main(&disk, 1000, "THE OTHER");
    disk_free(&disk);
}
END_TEST

/* A copy is shown before it is committed: its reader reads on, though nobody will find it again. */
START_TEST(replay_puts_no_older_body_over_one_that_is_taken_back) {
    struct lossy_disk disk;
    struct op op;
    struct shadow *shadow = bare_shadow(&disk, &op);
    write_metadata(shadow, &op, 100, "metadata");
    commit_body(shadow, &op, "the first");
    ck_assert_int_eq(shadow_write_body(shadow, &op, 1000, "a copy...", 9), OK);
    go_back_beside_a_reader(&disk, shadow, &op, "a copy...");
    ck_assert_int_eq(shadow_close(&op, shadow), OK);
    disk_free(&disk);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("vfd failures");
    TCase *tcase = tcase_create("failures");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, a_small_put_is_two_writes_and_one_sync);
    tcase_add_test(tcase, a_large_body_is_synced_not_journaled);
    tcase_add_test(tcase, nothing_to_commit_touches_nothing);
    tcase_add_test(tcase, a_commit_that_finds_the_disk_full_can_be_made_again);
    tcase_add_test(tcase, a_commit_that_finds_the_disk_full_can_be_gone_back_on);
    tcase_add_test(tcase, a_body_that_cannot_be_written_fails_its_put_only);
    tcase_add_test(tcase, a_failed_sync_poisons_and_reading_goes_on);
    tcase_add_test(tcase, a_checkpoint_that_finds_the_disk_full_leaves_the_journal);
    tcase_add_test(tcase, a_checkpoint_that_cannot_be_confirmed_poisons);
    tcase_add_loop_test(tcase, a_file_that_somebody_cut_off_is_not_written_behind_the_cut, 0, 2);
    tcase_add_test(tcase, space_given_up_and_regained_is_not_free);
    tcase_add_test(tcase, a_checkpoint_leaves_lent_space_alone);
    tcase_add_test(tcase, replay_leaves_a_noted_body_alone);
    tcase_add_test(tcase, metadata_over_a_noted_body_is_whole_after_replay);
    tcase_add_test(tcase, going_back_voids_the_failed_record_first);
    tcase_add_test(tcase, replay_puts_no_older_body_over_a_committed_one);
    tcase_add_test(tcase, replay_puts_no_older_body_over_one_that_is_taken_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
