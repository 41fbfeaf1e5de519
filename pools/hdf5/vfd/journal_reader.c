/* journal_reader.c - see journal.h: the reading side. Whatever lies in the file, a record is given only when all of it makes sense. */
#include "pools/hdf5/vfd/journal.h"

#include "pools/hdf5/vfd/journal_format.h"

#include <stdlib.h>
#include <string.h>

static enum err read_at(const struct journal_reader *reader, struct op *op, uint64_t offset,
                        uint8_t *ret_bytes, size_t count, bool *ret_whole) {
    size_t got = 0;
    struct medium *medium = reader->medium;
    int result = medium->ops->read(medium, MEDIUM_JOURNAL, offset, ret_bytes, count, &got);
    *ret_whole = got == count;
    return result ? op_fail_errno(op, result, "reading the HDF5 file's journal") : OK;
}

static bool looks_like_record(const uint8_t *header) {
    return memcmp(header + RECORD_MAGIC, JOURNAL_RECORD_MAGIC, JOURNAL_MAGIC_BYTES) == 0;
}

/* As a journal is that has just been made. */
static bool is_blank(const uint8_t *header) {
    for (size_t i = 0; i < HEADER_BYTES; i++) {
        if (header[i]) {
            return false;
        }
    }
    return true;
}

/* The salt to look for: the header's, or a first record's own when the header is damaged. */
static void look_at_header(struct journal_reader *reader, const uint8_t *header, const uint8_t *first) {
    if (memcmp(header + HEADER_MAGIC, JOURNAL_MAGIC, JOURNAL_MAGIC_BYTES) == 0 &&
        get_number(header + HEADER_VERSION, 8) == JOURNAL_VERSION &&
        get_number(header + HEADER_CHECKSUM, 8) ==
            journal_checksum(header + HEADER_SALT, header, HEADER_CHECKSUM)) {
        memcpy(reader->salt, header + HEADER_SALT, JOURNAL_SALT_BYTES);
        reader->identity = get_number(header + HEADER_IDENTITY, 8);
        reader->usable = reader->has_header = true;
    } else if (looks_like_record(first)) {
        memcpy(reader->salt, first + RECORD_SALT, JOURNAL_SALT_BYTES);
        reader->identity = get_number(first + RECORD_IDENTITY, 8);
        reader->usable = true;
    } else {
        reader->is_broken = !is_blank(header);
    }
}

enum err journal_reader_open(struct journal_reader *reader, struct op *op, struct medium *medium) {
    memset(reader, 0, sizeof *reader);
    reader->medium = medium;
    journal_reader_rewind(reader);
    int result = medium->ops->size(medium, MEDIUM_JOURNAL, &reader->size);
    if (result) {
        return op_fail_errno(op, result, "looking at the HDF5 file's journal");
    }
    uint8_t header[HEADER_BYTES] = {0};
    uint8_t first[RECORD_BYTES] = {0};
    bool whole = false;
    enum err err = read_at(reader, op, 0, header, sizeof header, &whole);
    if (!err) {
        err = read_at(reader, op, JOURNAL_BLOCK_BYTES, first, sizeof first, &whole);
    }
    if (!err) {
        look_at_header(reader, header, first);
    }
    return err;
}

void journal_reader_close(struct journal_reader *reader) {
    free(reader->bytes);
    reader->bytes = NULL;
    reader->capacity = 0;
}

void journal_reader_rewind(struct journal_reader *reader) {
    reader->offset = JOURNAL_BLOCK_BYTES;
    reader->sequence = 1;
}

static enum err need_memory(struct journal_reader *reader, struct op *op, size_t bytes) {
    if (bytes <= reader->capacity) {
        return OK;
    }
    uint8_t *larger = realloc(reader->bytes, bytes);
    if (!larger) {
        return op_no_memory(op);
    }
    reader->bytes = larger;
    reader->capacity = bytes;
    return OK;
}

/* Whether the payload is exactly the revokes and images that the header counts. */
static bool payload_fits(struct journal_record record, size_t payload) {
    if (record.revokes > payload / REVOKE_BYTES) {
        return false;
    }
    for (; record.revokes; record.revokes--, record.at += REVOKE_BYTES, payload -= REVOKE_BYTES) {
        uint64_t bytes = get_number(record.at + 8, 8);
        if (bytes == 0 || bytes > INT64_MAX || get_number(record.at, 8) > INT64_MAX - bytes) {
            return false;
        }
    }
    for (; record.images; record.images--) {
        if (payload < IMAGE_BYTES) {
            return false;
        }
        uint64_t bytes = get_number(record.at + 8, 4);
        if (bytes == 0 || bytes > payload - IMAGE_BYTES || get_number(record.at, 8) > INT64_MAX - bytes) {
            return false;
        }
        record.at += IMAGE_BYTES + bytes;
        payload -= IMAGE_BYTES + bytes;
    }
    return payload == 0;
}

/* The header at the reader's offset names a record of this generation, the next one, that may fit. Blocks exist before a record is
 * written into them: one that does not fit was cut off by somebody. */
static bool header_fits(struct journal_reader *reader, const uint8_t *header) {
    uint64_t left = reader->size - reader->offset;
    uint64_t payload = get_number(header + RECORD_PAYLOAD, 8);
    bool is_next =
        looks_like_record(header) && memcmp(header + RECORD_SALT, reader->salt, JOURNAL_SALT_BYTES) == 0 &&
        get_number(header + RECORD_SEQUENCE, 8) == reader->sequence && payload <= JOURNAL_RECORD_MOST_BYTES;
    reader->is_cut = reader->is_cut || (is_next && payload + RECORD_BYTES > left);
    return is_next && payload + RECORD_BYTES <= left;
}

/* The record at the offset, whose header has been read; *ret_valid false when it makes no sense. The header's lengths fit into the file. */
static enum err read_record(struct journal_reader *reader, struct op *op, uint64_t offset,
                            const uint8_t *header, struct journal_record *ret_record, bool *ret_valid) {
    *ret_valid = false;
    size_t payload = (size_t)get_number(header + RECORD_PAYLOAD, 8);
    bool whole = false;
    enum err err = need_memory(reader, op, RECORD_BYTES + payload);
    if (!err) {
        err = read_at(reader, op, offset, reader->bytes, RECORD_BYTES + payload, &whole);
    }
    if (err || !whole) {
        return err;
    }
    uint64_t checksum = get_number(reader->bytes + RECORD_CHECKSUM, 8);
    put_number(reader->bytes + RECORD_CHECKSUM, 0, 8);
    *ret_record = (struct journal_record){
        .sequence = get_number(header + RECORD_SEQUENCE, 8),
        .end = get_number(header + RECORD_END, 8),
        .mtime_s = (int64_t)get_number(header + RECORD_MTIME, 8),
        .images = (uint32_t)get_number(header + RECORD_IMAGES, 4),
        .revokes = (uint32_t)get_number(header + RECORD_REVOKES, 4),
        .at = reader->bytes + RECORD_BYTES,
    };
    *ret_valid = journal_checksum(header + RECORD_SALT, reader->bytes, RECORD_BYTES + payload) == checksum &&
                 ret_record->end <= INT64_MAX && ret_record->mtime_s >= 0 &&
                 payload_fits(*ret_record, payload);
    return OK;
}

enum err journal_reader_next(struct journal_reader *reader, struct op *op, struct journal_record *ret_record,
                             bool *ret_more) {
    *ret_more = false;
    if (!reader->usable || reader->offset > reader->size) {
        return OK;
    }
    uint8_t header[RECORD_BYTES];
    bool whole = false;
    enum err err = read_at(reader, op, reader->offset, header, sizeof header, &whole);
    if (err || !whole || !header_fits(reader, header)) {
        return err;
    }
    struct journal_record record;
    bool valid = false;
    err = read_record(reader, op, reader->offset, header, &record, &valid);
    if (err || !valid) {
        return err;
    }
    reader->offset += journal_padded(RECORD_BYTES + get_number(header + RECORD_PAYLOAD, 8));
    reader->sequence++;
    *ret_record = record;
    *ret_more = true;
    return OK;
}

/* ---- behind the end ---- */

/* Whether it may be a record that came after the last valid one. Where there is neither a header nor a first record to tell the
 * generation, any may. */
static bool may_be_behind(const struct journal_reader *reader, const uint8_t *header, uint64_t left) {
    uint64_t payload = get_number(header + RECORD_PAYLOAD, 8);
    bool knows_salt = reader->has_header || reader->sequence > 1;
    bool is_later = memcmp(header + RECORD_SALT, reader->salt, JOURNAL_SALT_BYTES) == 0 &&
                    get_number(header + RECORD_SEQUENCE, 8) > reader->sequence;
    return looks_like_record(header) && (is_later || !knows_salt) && payload <= JOURNAL_RECORD_MOST_BYTES &&
           payload + RECORD_BYTES <= left;
}

enum err journal_reader_look_behind(struct journal_reader *reader, struct op *op, uint64_t *ret_lost) {
    *ret_lost = 0;
    enum err err = OK;
    for (uint64_t offset = reader->offset; !err && offset < reader->size; offset += JOURNAL_BLOCK_BYTES) {
        uint8_t header[RECORD_BYTES];
        bool whole = false;
        bool valid = false;
        struct journal_record record = {0};
        err = read_at(reader, op, offset, header, sizeof header, &whole);
        if (!err && whole && may_be_behind(reader, header, reader->size - offset)) {
            err = read_record(reader, op, offset, header, &record, &valid);
        }
        if (valid && record.sequence >= reader->sequence + *ret_lost) {
            *ret_lost = record.sequence - reader->sequence + 1;
        }
    }
    return err;
}

bool journal_next_revoke(struct journal_record *record, uint64_t *ret_offset, uint64_t *ret_bytes) {
    if (!record->revokes) {
        return false;
    }
    record->revokes--;
    *ret_offset = get_number(record->at, 8);
    *ret_bytes = get_number(record->at + 8, 8);
    record->at += REVOKE_BYTES;
    return true;
}

bool journal_next_image(struct journal_record *record, uint64_t *ret_offset, const uint8_t **ret_bytes,
                        size_t *ret_count) {
    if (!record->images) {
        return false;
    }
    record->images--;
    *ret_offset = get_number(record->at, 8);
    *ret_count = (size_t)get_number(record->at + 8, 4);
    *ret_bytes = record->at + IMAGE_BYTES;
    record->at += IMAGE_BYTES + *ret_count;
    return true;
}
