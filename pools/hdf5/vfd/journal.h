/* journal.h - the bytes of the redo journal, `<file>-journal`: how records are written and what a reader takes for one.
 *
 *   block 0        the header: magic, version, salt, the file's identity, checksum
 *   from 4096 on   records, each padded to whole blocks of 4096 bytes: a header of 80 bytes, the revokes, the images
 *   behind them    zeros, or what earlier generations left
 *
 * An *image* is bytes and their address in the file. A *revoke* is a stretch whose images in earlier records are void, because
 * a body was written there past the journal. All numbers are little-endian.
 *
 * A record is valid when it bears the generation's salt, the next number in sequence and a right checksum: SipHash keyed with the salt,
 * over the whole record. Replay ends before the first that is not. A new generation is a new random salt in the header, which makes every old
 * record invalid at once; the file keeps its size, because appending to blocks that exist is cheaper to sync. If the header is damaged, as when
 * its writing was cut off, the salt of a valid first record counts: that record's generation is complete, for nothing is
 * appended to a new one before its header is synced.
 *
 * Threads: the shadow's owner.
 */
#ifndef POOLS_HDF5_VFD_JOURNAL_H
#define POOLS_HDF5_VFD_JOURNAL_H

#include "pools/base/buf.h"
#include "pools/hdf5/vfd/medium.h"

#define JOURNAL_BLOCK_BYTES 4096
#define JOURNAL_SALT_BYTES 16
#define JOURNAL_RECORD_MOST_BYTES ((size_t)1 << 30)

/* ---- writing ---- */

struct journal {
    struct medium *medium;
    bool ready; /* the generation's header is written: records may follow */
    uint8_t salt[JOURNAL_SALT_BYTES];
    uint64_t next_sequence; /* of the next record, from 1 */
    uint64_t next_offset;
    uint64_t allocated_bytes; /* written once, so that blocks exist */
    struct buf record;        /* the one being made */
    uint32_t images, revokes;
    bool tried; /* a record was written at next_offset, or a part of it, and not confirmed */
};

void journal_init(struct journal *journal, struct medium *medium);
void journal_fini(struct journal *journal);
/* A new generation: creates the file if there is none and writes the header. Not synced: the first record's sync covers a new file;
 * to end an old generation sync at once. */
enum err journal_start(struct journal *journal, struct op *op) MUST_USE;
/* The file is going away: the next generation starts a new one. */
void journal_stop(struct journal *journal);

/* One record: begin, all revokes, all images, write, sync (the caller's), advance. Until advance, the next one replaces it.
 * ERR_NO_SPACE when it becomes too large. */
enum err journal_begin(struct journal *journal, struct op *op) MUST_USE;
enum err journal_add_revoke(struct journal *journal, struct op *op, uint64_t offset, uint64_t bytes) MUST_USE;
/* The caller fills *ret_space with the image's bytes at once. */
enum err journal_add_image(struct journal *journal, struct op *op, uint64_t offset, size_t count,
                           uint8_t **ret_space) MUST_USE;
/* end: where the file ends for the library. mtime_s: what its modification time is to be, 0 = whatever it is. */
enum err journal_write(struct journal *journal, struct op *op, uint64_t end, int64_t mtime_s) MUST_USE;
void journal_advance(struct journal *journal);
/* A record that was written but not confirmed is not there any more. Not synced; *ret_written tells whether there is something to sync. */
enum err journal_void_tried(struct journal *journal, struct op *op, bool *ret_written) MUST_USE;

/* ---- reading ---- */

struct journal_record {
    uint64_t sequence;
    uint64_t end;
    int64_t mtime_s;
    uint32_t revokes, images;
    const uint8_t *at; /* the next revoke or image; in the reader's memory until the next record is read */
};

struct journal_reader {
    struct medium *medium;
    uint64_t size; /* of the file */
    uint64_t offset;
    uint64_t sequence;
    uint64_t identity; /* of the file that the journal belongs to */
    bool usable;       /* there is a salt to look for */
    bool has_header;   /* it is the file's header's; else the first record's */
    /* Something else stands where the header was: nothing that we do, and no power cut, leaves that. */
    bool is_broken;
    /* The last record ends behind the file. A kill leaves none so, a power cut may, where the journal grew. */
    bool is_cut;
    uint8_t salt[JOURNAL_SALT_BYTES];
    uint8_t *bytes;
    size_t capacity;
};

/* The medium's journal must be open. Reads the header. */
enum err journal_reader_open(struct journal_reader *reader, struct op *op, struct medium *medium) MUST_USE;
void journal_reader_close(struct journal_reader *reader);
/* *ret_more false at the end of the valid records. Every count and length of a record that is given has been checked. */
enum err journal_reader_next(struct journal_reader *reader, struct op *op, struct journal_record *ret_record,
                             bool *ret_more) MUST_USE;
void journal_reader_rewind(struct journal_reader *reader);
/* At the end of the valid records: how many there were at least that can be read no more, because a whole one of the same generation lies
 * behind. A record is written when the one before it is on the disk, so neither a kill nor a power cut leaves that. */
enum err journal_reader_look_behind(struct journal_reader *reader, struct op *op,
                                    uint64_t *ret_lost) MUST_USE;
/* A record's revokes, then its images, in order. False when there are no more. */
bool journal_next_revoke(struct journal_record *record, uint64_t *ret_offset, uint64_t *ret_bytes);
bool journal_next_image(struct journal_record *record, uint64_t *ret_offset, const uint8_t **ret_bytes,
                        size_t *ret_count);

#endif
