/* fuzz_redo.c - the redo journal of an HDF5 file: whatever lies there, reading stays inside it, and replay writes what a record says or nothing.
 *
 * Nobody guesses a checksum. So when the first byte is odd, what follows it becomes the payload of a record that is right in
 * everything else: its first two bytes count revokes and images.
 */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/hdf5/vfd/journal_format.h"
#include "pools/hdf5/vfd/recover.h"
#include "tests/crash/lossy_disk.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

static void write_at(struct lossy_disk *disk, uint64_t offset, const void *bytes, size_t count) {
    if (count) {
        MUST(disk->medium.ops->write(&disk->medium, MEDIUM_JOURNAL, offset, bytes, count) == 0);
    }
}

static void write_record(struct lossy_disk *disk, const uint8_t *data, size_t size) {
    static const uint8_t salt[JOURNAL_SALT_BYTES] = "a salt of tests";
    uint8_t *record = calloc(1, RECORD_BYTES + size);
    MUST(record);
    memcpy(record + RECORD_MAGIC, JOURNAL_RECORD_MAGIC, JOURNAL_MAGIC_BYTES);
    memcpy(record + RECORD_SALT, salt, sizeof salt);
    put_number(record + RECORD_SEQUENCE, 1, 8);
    put_number(record + RECORD_IDENTITY, disk->medium.main_identity, 8);
    put_number(record + RECORD_END, 4096, 8);
    put_number(record + RECORD_PAYLOAD, size - 2, 8);
    put_number(record + RECORD_REVOKES, data[0], 4);
    put_number(record + RECORD_IMAGES, data[1], 4);
    memcpy(record + RECORD_BYTES, data + 2, size - 2);
    size_t bytes = RECORD_BYTES + size - 2;
    put_number(record + RECORD_CHECKSUM, journal_checksum(salt, record, bytes), 8);
    write_at(disk, JOURNAL_BLOCK_BYTES, record, bytes);
    free(record);
}

/* What the reader gives lies inside its memory: touch all of it. */
static uint64_t read_all(struct lossy_disk *disk, struct op *op) {
    struct journal_reader reader;
    MUST(journal_reader_open(&reader, op, &disk->medium) == OK);
    struct journal_record record;
    uint64_t records = 0;
    uint64_t sum = 0;
    bool more = true;
    while (journal_reader_next(&reader, op, &record, &more) == OK && more) {
        uint64_t offset = 0;
        uint64_t bytes = 0;
        while (journal_next_revoke(&record, &offset, &bytes)) {
            MUST(bytes > 0 && offset + bytes > offset);
        }
        const uint8_t *image = NULL;
        size_t count = 0;
        while (journal_next_image(&record, &offset, &image, &count)) {
            MUST(count > 0 && offset + count > offset);
            for (size_t i = 0; i < count; i++) {
                sum += image[i];
            }
        }
        records++;
    }
    MUST(sum <= UINT64_C(255) * (1 << 30));
    journal_reader_close(&reader);
    return records;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct lossy_disk disk;
    disk_open(&disk, NULL);
    MUST(disk.medium.ops->open_journal(&disk.medium, true) == 0);
    bool wrapped = size >= 3 && data[0] % 2 == 1;
    if (wrapped) {
        write_record(&disk, data + 1, size - 1);
    } else {
        write_at(&disk, 0, data, size);
    }
    struct op op;
    op_init(&op, 0, 0);
    uint64_t records = read_all(&disk, &op);
    MUST(wrapped ? records <= 1 : records == 0);
    struct recover_report report;
    MUST(recover_inspect(&op, &disk.medium, &report) == OK && report.commits == records);
    bool broken = report.is_broken;
    MUST(!broken || recover_run(&op, &disk.medium, RECOVER_OWN, &report) == ERR_UNAVAILABLE);
    MUST(disk.now.has_journal && report.commits == records);
    enum err err = recover_run(&op, &disk.medium, RECOVER_ACCEPT_LOSS, &report);
    MUST(err == OK || records > 0); /* an address that no disk has: the journal stays */
    MUST(disk.now.has_journal == (err != OK));
    MUST(records > 0 || disk.now.main.size == 0);
    disk_free(&disk);
    return 0;
}
