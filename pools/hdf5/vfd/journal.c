/* journal.c - see journal.h: the writing side. */
#include "pools/hdf5/vfd/journal.h"

#include "pools/base/must.h"
#include "pools/hdf5/vfd/journal_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
/* The file starts with this and doubles; steps stay small, so that no single commit waits long for zeros. */
#define FIRST_BYTES MIB
#define STEP_MOST_BYTES (4 * MIB)
#define ZEROS_BYTES ((size_t)256 << 10)
/* A larger record's memory is given back after it. */
#define KEPT_BYTES ((size_t)4 << 20)

void journal_init(struct journal *journal, struct medium *medium) {
    memset(journal, 0, sizeof *journal);
    journal->medium = medium;
    buf_init(&journal->record, JOURNAL_RECORD_MOST_BYTES + JOURNAL_BLOCK_BYTES);
}

void journal_fini(struct journal *journal) {
    buf_fini(&journal->record);
}

/* Writes zeros to the journal's end until it has `bytes`. */
static int grow(struct journal *journal, uint64_t bytes) {
    uint8_t *zeros = calloc(1, ZEROS_BYTES);
    if (!zeros) {
        return ENOMEM;
    }
    struct medium *medium = journal->medium;
    int result = 0;
    while (!result && journal->allocated_bytes < bytes) {
        uint64_t left = bytes - journal->allocated_bytes;
        size_t count = left < ZEROS_BYTES ? (size_t)left : ZEROS_BYTES;
        result = medium->ops->write(medium, MEDIUM_JOURNAL, journal->allocated_bytes, zeros, count);
        journal->allocated_bytes += result ? 0 : count;
    }
    free(zeros);
    return result;
}

/* More than is asked for if the disk has it. */
static int make_room(struct journal *journal, uint64_t bytes) {
    if (bytes <= journal->allocated_bytes) {
        return 0;
    }
    uint64_t step = journal->allocated_bytes < STEP_MOST_BYTES ? journal->allocated_bytes : STEP_MOST_BYTES;
    uint64_t ahead = journal->allocated_bytes + (step ? step : FIRST_BYTES);
    int result = grow(journal, ahead > bytes ? ahead : bytes);
    return result == ENOSPC || result == EDQUOT ? grow(journal, bytes) : result;
}

enum err journal_start(struct journal *journal, struct op *op) {
    struct medium *medium = journal->medium;
    journal->ready = false;
    int result = medium->ops->open_journal(medium, true);
    if (!result && journal->allocated_bytes == 0) {
        result = make_room(journal, JOURNAL_BLOCK_BYTES);
    }
    if (result) {
        return op_fail_errno(op, result, "making room for the HDF5 file's journal");
    }
    uint8_t block[JOURNAL_BLOCK_BYTES] = {0};
    randombytes_buf(journal->salt, sizeof journal->salt);
    memcpy(block + HEADER_MAGIC, JOURNAL_MAGIC, JOURNAL_MAGIC_BYTES);
    put_number(block + HEADER_VERSION, JOURNAL_VERSION, 8);
    memcpy(block + HEADER_SALT, journal->salt, JOURNAL_SALT_BYTES);
    put_number(block + HEADER_IDENTITY, medium->main_identity, 8);
    put_number(block + HEADER_CHECKSUM, journal_checksum(journal->salt, block, HEADER_CHECKSUM), 8);
    result = medium->ops->write(medium, MEDIUM_JOURNAL, 0, block, sizeof block);
    if (result) {
        return op_fail_errno(op, result, "writing the HDF5 file's journal");
    }
    journal->tried = false;
    journal->next_sequence = 1;
    journal->next_offset = JOURNAL_BLOCK_BYTES;
    journal->ready = true;
    return OK;
}

void journal_stop(struct journal *journal) {
    journal->ready = false;
    journal->allocated_bytes = 0;
}

static enum err add(struct journal *journal, struct op *op, size_t count, uint8_t **ret_space) {
    char *space = NULL;
    enum err err = buf_reserve(&journal->record, count, &space);
    if (err == ERR_NO_MEMORY) {
        return op_no_memory(op);
    }
    if (err || journal->record.size + count > JOURNAL_RECORD_MOST_BYTES) {
        return op_fail(op, REASON_NO_SPACE, "a commit of the HDF5 file is larger than %zu bytes",
                       JOURNAL_RECORD_MOST_BYTES);
    }
    buf_commit(&journal->record, count);
    *ret_space = (uint8_t *)space;
    return OK;
}

enum err journal_begin(struct journal *journal, struct op *op) {
    if (journal->record.capacity > KEPT_BYTES) {
        buf_fini(&journal->record);
    }
    buf_clear(&journal->record);
    journal->images = 0;
    journal->revokes = 0;
    uint8_t *header = NULL;
    enum err err = add(journal, op, RECORD_BYTES, &header);
    if (!err) {
        memset(header, 0, RECORD_BYTES);
    }
    return err;
}

enum err journal_add_revoke(struct journal *journal, struct op *op, uint64_t offset, uint64_t bytes) {
    MUST(journal->images == 0);
    uint8_t *space = NULL;
    enum err err = add(journal, op, REVOKE_BYTES, &space);
    if (!err) {
        put_number(space, offset, 8);
        put_number(space + 8, bytes, 8);
        journal->revokes++;
    }
    return err;
}

enum err journal_add_image(struct journal *journal, struct op *op, uint64_t offset, size_t count,
                           uint8_t **ret_space) {
    MUST(count > 0 && count <= UINT32_MAX);
    uint8_t *space = NULL;
    enum err err = add(journal, op, IMAGE_BYTES + count, &space);
    if (!err) {
        put_number(space, offset, 8);
        put_number(space + 8, count, 4);
        journal->images++;
        *ret_space = space + IMAGE_BYTES;
    }
    return err;
}

enum err journal_write(struct journal *journal, struct op *op, uint64_t end, int64_t mtime_s) {
    struct medium *medium = journal->medium;
    struct buf *record = &journal->record;
    size_t bytes = record->size;
    size_t padding = (size_t)journal_padded(bytes) - bytes;
    char *space = NULL;
    if (padding && buf_reserve(record, padding, &space) != OK) {
        return op_no_memory(op);
    }
    if (padding) {
        memset(space, 0, padding);
        buf_commit(record, padding);
    }
    uint8_t *header = (uint8_t *)record->data;
    memcpy(header + RECORD_MAGIC, JOURNAL_RECORD_MAGIC, JOURNAL_MAGIC_BYTES);
    memcpy(header + RECORD_SALT, journal->salt, JOURNAL_SALT_BYTES);
    put_number(header + RECORD_SEQUENCE, journal->next_sequence, 8);
    put_number(header + RECORD_IDENTITY, medium->main_identity, 8);
    put_number(header + RECORD_END, end, 8);
    put_number(header + RECORD_PAYLOAD, bytes - RECORD_BYTES, 8);
    put_number(header + RECORD_IMAGES, journal->images, 4);
    put_number(header + RECORD_REVOKES, journal->revokes, 4);
    put_number(header + RECORD_MTIME, (uint64_t)mtime_s, 8);
    put_number(header + RECORD_CHECKSUM, journal_checksum(journal->salt, header, bytes), 8);
    int result = make_room(journal, journal->next_offset + record->size);
    if (!result) {
        journal->tried = true;
        result = medium->ops->write(medium, MEDIUM_JOURNAL, journal->next_offset, record->data, record->size);
    }
    return result ? op_fail_errno(op, result, "writing the HDF5 file's journal") : OK;
}

void journal_advance(struct journal *journal) {
    journal->next_offset += journal->record.size;
    journal->next_sequence++;
    journal->tried = false;
}

enum err journal_void_tried(struct journal *journal, struct op *op, bool *ret_written) {
    *ret_written = journal->tried;
    if (!journal->tried) {
        return OK;
    }
    static const uint8_t zeros[JOURNAL_BLOCK_BYTES];
    struct medium *medium = journal->medium;
    int result = medium->ops->write(medium, MEDIUM_JOURNAL, journal->next_offset, zeros, sizeof zeros);
    return result ? op_fail_errno(op, result, "writing the HDF5 file's journal") : OK;
}
