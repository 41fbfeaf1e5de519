/* test_vfd_parts.c - the driver's parts by themselves: stretches, pages that know their bytes, the journal's records. */
#include "pools/base/hash.h"
#include "pools/hdf5/vfd/extents.h"
#include "pools/hdf5/vfd/journal.h"
#include "pools/hdf5/vfd/overlay.h"
#include "pools/hdf5/vfd/recover.h"
#include "tests/crash/lossy_disk.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* ---- stretches ---- */

#define SPAN 64

START_TEST(stretches_are_what_a_plain_array_says) {
    struct chance chance = {5};
    for (unsigned round = 0; round < 300; round++) {
        uint64_t tags[SPAN] = {0}; /* 0 = none */
        struct extents extents;
        extents_init(&extents);
        for (unsigned step = 0; step < 20; step++) {
            uint64_t start = chance_below(&chance, SPAN);
            uint64_t end = start + 1 + chance_below(&chance, SPAN - start);
            uint64_t tag = 1 + chance_below(&chance, 3);
            ck_assert(extents_put(&extents, start, end, tag));
            for (uint64_t i = start; i < end; i++) {
                tags[i] = tag;
            }
        }
        uint64_t bytes = 0;
        for (uint64_t at = 0; at < SPAN; at++) {
            size_t i = extents_find(&extents, at);
            bool inside = i < extents.count && extents.items[i].start <= at;
            ck_assert_uint_eq(inside ? extents.items[i].tag : 0, tags[at]);
            bytes += tags[at] != 0;
        }
        ck_assert_uint_eq(extents_bytes(&extents), bytes);
        for (size_t i = 1; i < extents.count; i++) {
            const struct extent *before = &extents.items[i - 1];
            ck_assert_uint_le(before->end, extents.items[i].start);
            ck_assert(before->end < extents.items[i].start || before->tag != extents.items[i].tag);
        }
        extents_fini(&extents);
    }
}
END_TEST

/* ---- pages ---- */

struct collected {
    uint64_t first, last;
    size_t bytes, runs;
};

static bool collect(void *context, uint64_t offset, const uint8_t *bytes, size_t count) {
    struct collected *collected = context;
    (void)bytes;
    collected->first = collected->runs ? collected->first : offset;
    collected->last = offset + count;
    collected->bytes += count;
    collected->runs++;
    return true;
}

static struct collected changed_of(const struct overlay *overlay) {
    struct collected collected = {0};
    ck_assert(overlay_each_changed(overlay, collect, &collected));
    return collected;
}

START_TEST(only_what_differs_is_changed) {
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    struct overlay overlay;
    overlay_init(&overlay);
    uint8_t bytes[8192] = {0};
    bool changed = false;
    ck_assert_int_eq(overlay_write(&overlay, &disk.medium, 0, bytes, sizeof bytes, &changed), 0);
    ck_assert(!changed); /* zeros beyond the file's end are zeros */
    bytes[5000] = 1;
    bytes[5020] = 1; /* near: one run */
    bytes[6000] = 1;
    ck_assert_int_eq(overlay_write(&overlay, &disk.medium, 0, bytes, sizeof bytes, &changed), 0);
    ck_assert(changed);
    struct collected collected = changed_of(&overlay);
    ck_assert_uint_eq(collected.runs, 2);
    ck_assert_uint_eq(collected.first, 5000);
    ck_assert_uint_eq(collected.last, 6008);
    ck_assert_uint_eq(collected.bytes, 24 + 8);
    overlay_commit(&overlay);
    ck_assert_uint_eq(changed_of(&overlay).runs, 0);
    uint8_t seen[8192];
    ck_assert_int_eq(overlay_read(&overlay, &disk.medium, 0, seen, sizeof seen), 0);
    ck_assert_int_eq(memcmp(seen, bytes, sizeof seen), 0);
    overlay_drop(&overlay);
    disk_free(&disk);
}
END_TEST

START_TEST(a_stretch_that_is_forgotten_is_the_files) {
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    struct overlay overlay;
    overlay_init(&overlay);
    uint8_t ones[8192];
    memset(ones, 1, sizeof ones);
    bool changed = false;
    ck_assert_int_eq(overlay_write(&overlay, &disk.medium, 0, ones, sizeof ones, &changed), 0);
    uint8_t body[100];
    memset(body, 9, sizeof body);
    ck_assert_int_eq(disk.medium.ops->write(&disk.medium, MEDIUM_MAIN, 4090, body, sizeof body), 0);
    overlay_forget(&overlay, 4090, sizeof body);
    ck_assert_int_eq(overlay_refresh(&overlay, &disk.medium, 4090, sizeof body), 0);
    uint8_t seen[102];
    ck_assert_int_eq(overlay_read(&overlay, &disk.medium, 4089, seen, sizeof seen), 0);
    ck_assert_uint_eq(seen[0], 1);
    ck_assert_uint_eq(seen[1], 9);
    ck_assert_uint_eq(seen[100], 9);
    ck_assert_uint_eq(seen[101], 1);
    struct overlay_walk walk;
    ck_assert(overlay_walk_start(&walk, &overlay));
    uint8_t run[sizeof ones];
    uint64_t offset = 1;
    ck_assert_uint_eq(overlay_walk_take(&walk, run, sizeof run, &offset), 4090);
    ck_assert_uint_eq(offset, 0);
    ck_assert_uint_eq(overlay_walk_take(&walk, run, sizeof run, &offset), sizeof ones - 4190);
    ck_assert_uint_eq(offset, 4190);
    ck_assert_uint_eq(overlay_walk_take(&walk, run, sizeof run, &offset), 0);
    overlay_walk_end(&walk);
    overlay_drop(&overlay);
    disk_free(&disk);
}
END_TEST

/* Random writes against a plain array; then what a checkpoint would write makes the file the same. */
START_TEST(the_overlay_is_what_a_plain_array_says) {
    struct chance chance = {11};
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    static uint8_t model[40000], bytes[9000], seen[40000];
    memset(model, 0, sizeof model);
    struct overlay overlay;
    overlay_init(&overlay);
    for (unsigned step = 0; step < 2000; step++) {
        size_t count = 1 + chance_below(&chance, chance_percent(&chance, 90) ? 60 : sizeof bytes - 1);
        uint64_t offset = chance_below(&chance, sizeof model - count);
        memcpy(bytes, model + offset, count);
        bytes[chance_below(&chance, count)] = (uint8_t)chance_next(&chance);
        bytes[chance_below(&chance, count)] = (uint8_t)chance_next(&chance);
        bool changed = false;
        ck_assert_int_eq(overlay_write(&overlay, &disk.medium, offset, bytes, count, &changed), 0);
        ck_assert_int_eq(changed, memcmp(model + offset, bytes, count) != 0);
        memcpy(model + offset, bytes, count);
        overlay_commit(&overlay);
    }
    ck_assert_int_eq(overlay_read(&overlay, &disk.medium, 0, seen, sizeof seen), 0);
    ck_assert_int_eq(memcmp(seen, model, sizeof model), 0);
    struct overlay_walk walk;
    ck_assert(overlay_walk_start(&walk, &overlay));
    uint64_t offset = 0;
    uint64_t behind = 0;
    for (size_t count; (count = overlay_walk_take(&walk, seen, 777, &offset)) > 0;) {
        ck_assert_uint_ge(offset, behind);
        behind = offset + count;
        ck_assert_int_eq(disk.medium.ops->write(&disk.medium, MEDIUM_MAIN, offset, seen, count), 0);
    }
    overlay_walk_end(&walk);
    overlay_settle(&overlay);
    ck_assert_uint_eq(atomic_load(&overlay.bytes), 0);
    ck_assert_int_eq(memcmp(disk.now.main.bytes, model, disk.now.main.size), 0);
    overlay_drop(&overlay);
    disk_free(&disk);
}
END_TEST

/* ---- records ---- */

static void append(struct journal *journal, struct op *op, uint64_t offset, const char *text,
                   uint64_t revoked) {
    ck_assert_int_eq(journal_begin(journal, op), OK);
    if (revoked) {
        ck_assert_int_eq(journal_add_revoke(journal, op, offset, revoked), OK);
    }
    uint8_t *space = NULL;
    ck_assert_int_eq(journal_add_image(journal, op, offset, strlen(text), &space), OK);
    memcpy(space, text, strlen(text));
    ck_assert_int_eq(journal_write(journal, op, 100, 0), OK);
    journal_advance(journal);
}

static uint64_t count_records(struct lossy_disk *disk) {
    struct op op;
    op_init(&op, 0, 0);
    struct recover_report report;
    ck_assert_int_eq(recover_inspect(&op, &disk->medium, &report), OK);
    return report.commits;
}

START_TEST(records_end_at_the_first_that_is_damaged) {
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct journal journal;
    journal_init(&journal, &disk.medium);
    ck_assert_int_eq(journal_start(&journal, &op), OK);
    ck_assert_uint_eq(count_records(&disk), 0);
    append(&journal, &op, 10, "one", 0);
    append(&journal, &op, 20, "two", 0);
    append(&journal, &op, 30, "three", 0);
    ck_assert_uint_eq(count_records(&disk), 3);
    disk.now.journal.bytes[2 * 4096 + 90] ^= 1; /* in the second record's image */
    ck_assert_uint_eq(count_records(&disk), 1);
    disk.now.journal.bytes[2 * 4096 + 90] ^= 1;
    disk.now.journal.bytes[20] ^= 1; /* the salt in the header: the first record's counts */
    ck_assert_uint_eq(count_records(&disk), 3);
    ck_assert_int_eq(journal_start(&journal, &op), OK); /* a new generation */
    ck_assert_uint_eq(count_records(&disk), 0);
    append(&journal, &op, 40, "four", 0);
    ck_assert_uint_eq(count_records(&disk), 1);
    journal_fini(&journal);
    disk_free(&disk);
}
END_TEST

/* Of three records; the reader's answer. */
struct damaged_journal {
    struct lossy_disk disk;
    struct journal journal;
    struct op op;
    struct recover_report report;
};

static void three_records(struct damaged_journal *damaged) {
    disk_open(&damaged->disk, NULL);
    op_init(&damaged->op, 0, 0);
    journal_init(&damaged->journal, &damaged->disk.medium);
    ck_assert_int_eq(journal_start(&damaged->journal, &damaged->op), OK);
    append(&damaged->journal, &damaged->op, 10, "one", 0);
    append(&damaged->journal, &damaged->op, 20, "two", 0);
    append(&damaged->journal, &damaged->op, 30, "three", 0);
}

static void end_damaged(struct damaged_journal *damaged) {
    journal_fini(&damaged->journal);
    disk_free(&damaged->disk);
}

static void expect_report(struct damaged_journal *damaged, uint64_t commits, uint64_t lost, bool is_broken) {
    struct recover_report *report = &damaged->report;
    ck_assert_int_eq(recover_inspect(&damaged->op, &damaged->disk.medium, report), OK);
    ck_assert_uint_eq(report->commits, commits);
    ck_assert_uint_eq(report->lost, lost);
    ck_assert(report->is_broken == is_broken);
}

/* 0 = the header; else a record. */
static void flip_in(struct damaged_journal *damaged, size_t block, size_t at) {
    damaged->disk.now.journal.bytes[block * JOURNAL_BLOCK_BYTES + at] ^= 1;
}

START_TEST(a_whole_record_behind_one_that_is_not_tells_of_a_loss) {
    static const size_t places[] = {0,  8,  24,
                                    50, 70, 90}; /* magic, salt, sequence, length, checksum, image */
    struct damaged_journal damaged;
    three_records(&damaged);
    expect_report(&damaged, 3, 0, false);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        flip_in(&damaged, 1, places[i]);
        expect_report(&damaged, 0, 3, true);
        flip_in(&damaged, 1, places[i]);
        flip_in(&damaged, 2, places[i]);
        expect_report(&damaged, 1, 2, true);
        flip_in(&damaged, 2, places[i]);
    }
    end_damaged(&damaged);
}
END_TEST

START_TEST(a_last_record_that_is_not_whole_tells_of_none) {
    struct damaged_journal damaged;
    three_records(&damaged);
    flip_in(&damaged, 3, 90);
    expect_report(&damaged, 2, 0, false);
    end_damaged(&damaged);
}
END_TEST

START_TEST(records_of_an_older_generation_tell_of_none) {
    struct damaged_journal damaged;
    three_records(&damaged);
    ck_assert_int_eq(journal_start(&damaged.journal, &damaged.op), OK);
    expect_report(&damaged, 0, 0, false);
    append(&damaged.journal, &damaged.op, 40, "four", 0);
    expect_report(&damaged, 1, 0, false);
    flip_in(&damaged, 1, 90);
    expect_report(&damaged, 0, 0, false);
    end_damaged(&damaged);
}
END_TEST

START_TEST(what_a_damaged_header_tells) {
    struct damaged_journal damaged;
    three_records(&damaged);
    flip_in(&damaged, 0, 20);
    expect_report(&damaged, 3, 0, false); /* the first record's salt counts */
    flip_in(&damaged, 1, 8);              /* and then not even that */
    expect_report(&damaged, 0, 3, true);
    flip_in(&damaged, 1, 0);
    expect_report(&damaged, 0, 3, true);
    flip_in(&damaged, 2, 0);
    flip_in(&damaged, 3, 0);
    expect_report(&damaged, 0, 0, true); /* something else is there */
    memset(damaged.disk.now.journal.bytes, 0, JOURNAL_BLOCK_BYTES);
    expect_report(&damaged, 0, 0, false); /* as a journal is that has just been made */
    end_damaged(&damaged);
}
END_TEST

START_TEST(a_loss_has_to_be_accepted) {
    struct damaged_journal damaged;
    three_records(&damaged);
    flip_in(&damaged, 2, 90);
    struct disk_image *now = &damaged.disk.now;
    struct op *op = &damaged.op;
    struct recover_report report;
    for (unsigned allowed = RECOVER_OWN; allowed <= RECOVER_ADOPT; allowed++) {
        ck_assert_int_eq(recover_run(op, &damaged.disk.medium, allowed, &report), ERR_UNAVAILABLE);
        ck_assert_int_eq(op->fault.reason, REASON_POOL_FAILED);
        ck_assert_ptr_nonnull(strstr(op->fault.detail, "--accept-loss"));
        ck_assert(now->has_journal);
        ck_assert_uint_eq(now->main.size, 0);
    }
    ck_assert_int_eq(recover_run(op, &damaged.disk.medium, RECOVER_ACCEPT_LOSS, &report), OK);
    ck_assert(!now->has_journal); /* set aside */
    ck_assert_int_eq(memcmp(now->main.bytes + 10, "one", 3), 0);
    ck_assert_int_eq(memcmp(now->main.bytes + 20, "\0\0\0", 3), 0);
    end_damaged(&damaged);
}
END_TEST

START_TEST(a_revoke_voids_earlier_images_only) {
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct journal journal;
    journal_init(&journal, &disk.medium);
    ck_assert_int_eq(disk.medium.ops->write(&disk.medium, MEDIUM_MAIN, 0, "--------------------", 20), 0);
    ck_assert_int_eq(journal_start(&journal, &op), OK);
    append(&journal, &op, 2, "aaaaaaaaaa", 0);
    append(&journal, &op, 4, "b", 5); /* [4, 9) of the first record is void, its own "b" is not */
    append(&journal, &op, 10, "ccc", 0);
    journal_fini(&journal);
    ck_assert_int_eq(recover_replay(&op, &disk.medium, UINT64_MAX - 1, NULL), OK);
    ck_assert_uint_eq(disk.now.main.size, 100);
    ck_assert_int_eq(memcmp(disk.now.main.bytes, "--aab----accc-------", 13), 0);
    disk_free(&disk);
}
END_TEST

START_TEST(replay_stops_where_it_is_told) {
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    struct op op;
    op_init(&op, 0, 0);
    struct journal journal;
    journal_init(&journal, &disk.medium);
    ck_assert_int_eq(journal_start(&journal, &op), OK);
    append(&journal, &op, 0, "first", 0);
    append(&journal, &op, 0, "other", 0);
    journal_fini(&journal);
    ck_assert_int_eq(recover_replay(&op, &disk.medium, 1, NULL), OK);
    ck_assert_int_eq(memcmp(disk.now.main.bytes, "first", 5), 0);
    disk_free(&disk);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("vfd parts");
    TCase *tcase = tcase_create("parts");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, stretches_are_what_a_plain_array_says);
    tcase_add_test(tcase, only_what_differs_is_changed);
    tcase_add_test(tcase, a_stretch_that_is_forgotten_is_the_files);
    tcase_add_test(tcase, the_overlay_is_what_a_plain_array_says);
    tcase_add_test(tcase, records_end_at_the_first_that_is_damaged);
    tcase_add_test(tcase, a_whole_record_behind_one_that_is_not_tells_of_a_loss);
    tcase_add_test(tcase, a_last_record_that_is_not_whole_tells_of_none);
    tcase_add_test(tcase, records_of_an_older_generation_tell_of_none);
    tcase_add_test(tcase, what_a_damaged_header_tells);
    tcase_add_test(tcase, a_loss_has_to_be_accepted);
    tcase_add_test(tcase, a_revoke_voids_earlier_images_only);
    tcase_add_test(tcase, replay_stops_where_it_is_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
