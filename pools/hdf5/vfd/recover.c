/* recover.c - see recover.h. */
#include "pools/hdf5/vfd/recover.h"

#include "pools/hdf5/vfd/extents.h"
#include "pools/hdf5/vfd/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct replay {
    struct op *op;
    struct medium *medium;
    uint64_t last_sequence;
    struct journal_reader reader;
    struct extents revoked; /* the tag is the last record that revoked the stretch */
    uint64_t end;
    int64_t mtime_s;
};

/* ---- first pass ---- */

static enum err gather_revokes(struct replay *replay, struct journal_record *record) {
    uint64_t offset = 0;
    uint64_t bytes = 0;
    while (journal_next_revoke(record, &offset, &bytes)) {
        if (!extents_put(&replay->revoked, offset, offset + bytes, record->sequence)) {
            return op_no_memory(replay->op);
        }
    }
    replay->end = record->end;
    replay->mtime_s = record->mtime_s;
    return OK;
}

/* ---- second pass ---- */

static enum err write_piece(struct replay *replay, uint64_t offset, const uint8_t *bytes, uint64_t count) {
    struct medium *medium = replay->medium;
    int result = medium->ops->write(medium, MEDIUM_MAIN, offset, bytes, (size_t)count);
    return result ? op_fail_errno(replay->op, result, "recovering the HDF5 file") : OK;
}

/* What no later record revokes. */
static enum err apply_image(struct replay *replay, uint64_t sequence, uint64_t offset, const uint8_t *bytes,
                            size_t count) {
    const struct extents *revoked = &replay->revoked;
    uint64_t end = offset + count;
    uint64_t at = offset;
    enum err err = OK;
    for (size_t i = extents_find(revoked, at); !err && i < revoked->count; i++) {
        const struct extent *extent = &revoked->items[i];
        if (extent->start >= end) {
            break;
        }
        if (extent->tag <= sequence) {
            continue;
        }
        if (extent->start > at) {
            err = write_piece(replay, at, bytes + (at - offset), extent->start - at);
        }
        at = extent->end;
    }
    return !err && at < end ? write_piece(replay, at, bytes + (at - offset), end - at) : err;
}

static enum err apply_record(struct replay *replay, struct journal_record *record) {
    uint64_t offset = 0;
    uint64_t bytes = 0;
    while (journal_next_revoke(record, &offset, &bytes)) {
    }
    const uint8_t *image = NULL;
    size_t count = 0;
    enum err err = OK;
    while (!err && journal_next_image(record, &offset, &image, &count)) {
        err = apply_image(replay, record->sequence, offset, image, count);
    }
    return err;
}

static enum err each_record(struct replay *replay,
                            enum err (*visit)(struct replay *replay, struct journal_record *record)) {
    journal_reader_rewind(&replay->reader);
    struct journal_record record;
    bool more = true;
    enum err err = OK;
    while (!err && replay->reader.sequence <= replay->last_sequence) {
        err = journal_reader_next(&replay->reader, replay->op, &record, &more);
        if (err || !more) {
            break;
        }
        err = visit(replay, &record);
    }
    return err;
}

/* At least: behind it there may be bodies that others are still writing. */
static enum err set_end_and_sync(struct replay *replay) {
    struct medium *medium = replay->medium;
    uint64_t size = 0;
    int result = medium->ops->size(medium, MEDIUM_MAIN, &size);
    if (!result && size < replay->end) {
        result = medium->ops->set_size(medium, MEDIUM_MAIN, replay->end);
    }
    if (!result) {
        result = medium->ops->sync(medium, MEDIUM_MAIN);
    }
    if (!result && replay->mtime_s) {
        result = medium->ops->set_mtime(medium, replay->mtime_s);
    }
    return result ? op_fail_errno(replay->op, result, "recovering the HDF5 file") : OK;
}

/* As if a record behind the last one had revoked them. */
static enum err spare(struct replay *replay, const struct extents *spared) {
    for (size_t i = 0; spared && i < spared->count; i++) {
        if (!extents_put(&replay->revoked, spared->items[i].start, spared->items[i].end, UINT64_MAX)) {
            return op_no_memory(replay->op);
        }
    }
    return OK;
}

enum err recover_replay(struct op *op, struct medium *medium, uint64_t last_sequence,
                        const struct extents *spared) {
    struct replay replay = {.op = op, .medium = medium, .last_sequence = last_sequence};
    extents_init(&replay.revoked);
    enum err err = journal_reader_open(&replay.reader, op, medium);
    if (!err) {
        err = each_record(&replay, gather_revokes);
    }
    if (!err) {
        err = spare(&replay, spared);
    }
    if (!err) {
        err = each_record(&replay, apply_record);
    }
    if (!err) {
        err = set_end_and_sync(&replay);
    }
    journal_reader_close(&replay.reader);
    extents_fini(&replay.revoked);
    return err;
}

/* ---- at opening ---- */

static enum err count_commits(struct op *op, struct medium *medium, struct recover_report *report) {
    struct journal_reader reader;
    enum err err = journal_reader_open(&reader, op, medium);
    bool more = !err;
    while (more) {
        struct journal_record record;
        err = journal_reader_next(&reader, op, &record, &more);
        if (err || !more) {
            break;
        }
        report->commits++;
        report->end = record.end;
        uint64_t offset = 0;
        uint64_t bytes = 0;
        const uint8_t *image = NULL;
        size_t count = 0;
        while (journal_next_revoke(&record, &offset, &bytes)) {
        }
        while (journal_next_image(&record, &offset, &image, &count)) {
            report->bytes += count;
        }
    }
    if (!err) {
        err = journal_reader_look_behind(&reader, op, &report->lost);
    }
    report->belongs = reader.identity == medium->main_identity;
    report->is_broken = reader.is_broken || report->lost > 0;
    report->damaged = report->is_broken || reader.is_cut;
    journal_reader_close(&reader);
    return err;
}

enum err recover_inspect(struct op *op, struct medium *medium, struct recover_report *ret_report) {
    *ret_report = (struct recover_report){0};
    int result = medium->ops->open_journal(medium, false);
    if (result) {
        return result == ENOENT ? OK : op_fail_errno(op, result, "opening the HDF5 file's journal");
    }
    ret_report->present = true;
    return count_commits(op, medium, ret_report);
}

static enum err check_allowed(struct op *op, const struct medium *medium, const struct recover_report *report,
                              unsigned allowed) {
    if (report->commits && !report->belongs && !(allowed & RECOVER_ADOPT)) {
        return op_fail(
            op, REASON_POOL_FAILED,
            "the journal beside the file belongs to another file: `lailad hdf5 recover` tells more");
    }
    if (report->is_broken && !(allowed & RECOVER_ACCEPT_LOSS)) {
        const char *remedy = "`lailad hdf5 recover --accept-loss` goes on without them";
        return report->lost
                   ? op_fail(op, REASON_POOL_FAILED,
                             "the journal beside the file is damaged: after %" PRIu64
                             " whole commits, %" PRIu64 " or more are lost. %s",
                             report->commits, report->lost, remedy)
                   : op_fail(op, REASON_POOL_FAILED,
                             "the journal beside the file is damaged: its commits cannot be read. %s",
                             remedy);
    }
    if (report->commits && !medium->writable) {
        return op_fail(
            op, REASON_POOL_FAILED,
            "the file was not closed cleanly and cannot be written here: run `lailad hdf5 recover` on it");
    }
    return OK;
}

enum err recover_run(struct op *op, struct medium *medium, unsigned allowed,
                     struct recover_report *ret_report) {
    enum err err = recover_inspect(op, medium, ret_report);
    if (!err && ret_report->present) {
        err = check_allowed(op, medium, ret_report, allowed);
    }
    if (err || !ret_report->present) {
        return err;
    }
    if (ret_report->commits) {
        err = recover_replay(op, medium, UINT64_MAX - 1, NULL);
    }
    if (!err && medium->writable) {
        int result = ret_report->damaged ? medium->ops->set_journal_aside(medium)
                                         : medium->ops->remove_journal(medium);
        err = result ? op_fail_errno(op, result, "removing the HDF5 file's journal") : OK;
    }
    return err;
}
