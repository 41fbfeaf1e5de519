/* hdf5_tool.h - what an operator does to the file of an hdf5 pool while no daemon has it: look, recover, compact, export.
 *
 * For the process's command (server/hdf5_command.c); no pool, no registry. Each opens the file under its lock: one that a daemon or
 * another program holds is ERR_CONFLICT (REASON_FILE_IN_USE). Faults name no path.
 *
 * Threads: one call at a time; blocks until all is done.
 */
#ifndef POOLS_HDF5_TOOL_H
#define POOLS_HDF5_TOOL_H

#include "pools/upkeep.h"

struct hdf5_journal {
    bool present;
    bool missing; /* of a check: there was to be one, so commits may be lost */
    bool belongs; /* to this very file; only of one with commits */
    bool damaged; /* it was cut off or overwritten: there may have been more commits */
    uint64_t commits;
    uint64_t lost;  /* behind those, at least */
    uint64_t bytes; /* that they bring into the file */
};

struct hdf5_report {
    struct hdf5_journal journal;
    uint64_t entries, foreign;
    uint64_t file_bytes, live_bytes; /* on the disk; of bodies */
    struct upkeep_status scrub;      /* of check: how many were compared, and which are damaged */
};
void hdf5_report_fini(struct hdf5_report *report);
static inline void hdf5_report_fini_auto(struct hdf5_report *held) {
    hdf5_report_fini(held);
}

/* Only the journal beside the file; changes nothing. */
enum err hdf5_tool_inspect(struct op *op, const char *path, struct hdf5_journal *ret_journal) MUST_USE;
/* Every entry is compared with its digest; changes nothing. ERR_UNAVAILABLE (REASON_POOL_FAILED) when it cannot be opened like that. */
enum err hdf5_tool_check(struct op *op, const char *path, struct hdf5_report *ret_report) MUST_USE;
/* Brings the journal's commits into the file and removes the journal; *ret_journal is as it was before. A damaged journal is kept as
 * `<path>-journal.rejected`; one that has lost acknowledged commits is refused unless accept_loss says that what is whole of it shall count. A
 * journal of another file is refused unless adopt says that this one is a copy of that. Nothing to do is OK. What is no HDF5 file is not touched (REASON_POOL_FAILED). */
enum err hdf5_tool_recover(struct op *op, const char *path, bool adopt, bool accept_loss,
                           struct hdf5_journal *ret_journal) MUST_USE;
/* The file is copied and the copy takes its place; one that must not be written in place is kept as <path>.original. */
enum err hdf5_tool_compact(struct op *op, const char *path, struct upkeep_status *ret_status) MUST_USE;
/* A plain file of all entries at `out`, where nothing may be yet. */
enum err hdf5_tool_export(struct op *op, const char *path, const char *out, uint64_t *ret_entries) MUST_USE;

#endif
