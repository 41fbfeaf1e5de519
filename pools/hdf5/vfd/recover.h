/* recover.h - bringing the commits of a journal into the file: at opening, at a roll back, and for the operator's commands.
 *
 * Two passes over the valid records: which stretches are revoked, and by which record last; then every image that no later record revokes, in
 * order. Then the file gets at least the length of the last commit and its time, if it bears one, and is synced, and only then the journal goes. Doing all of that twice
 * gives the same file, so a crash at any point is one more recovery.
 *
 * Threads: the medium's owner; blocks.
 */
#ifndef POOLS_HDF5_VFD_RECOVER_H
#define POOLS_HDF5_VFD_RECOVER_H

#include "pools/hdf5/vfd/extents.h"
#include "pools/hdf5/vfd/medium.h"

struct recover_report {
    bool present; /* there is a journal */
    bool belongs; /* its commits are of this very file */
    bool damaged; /* it is not as we left it: there may have been more commits */
    /* So much so that acknowledged commits are lost; otherwise the last one was cut off, which a power cut may do. */
    bool is_broken;
    uint64_t commits;
    uint64_t lost;  /* behind those, at least; 0 when nothing tells */
    uint64_t bytes; /* of images */
    uint64_t end;   /* of the file at the last commit; 0 without commits */
};

/* Changes nothing. */
enum err recover_inspect(struct op *op, struct medium *medium, struct recover_report *ret_report) MUST_USE;

/* What the operator allows. */
enum recover_allowed {
    RECOVER_OWN = 0,         /* nothing */
    RECOVER_ADOPT = 1,       /* a journal of another file: the file is a copy of that */
    RECOVER_ACCEPT_LOSS = 2, /* a broken journal: what is whole of it counts */
};
/* Replays a journal with commits and removes any; one that is damaged is set aside instead. allowed: bits of enum recover_allowed. What is
 * not allowed is REASON_POOL_FAILED and changes nothing, and so are commits when the medium is not writable: the sentence names `lailad hdf5
 * recover`. A journal without commits stays if the medium is not writable. */
enum err recover_run(struct op *op, struct medium *medium, unsigned allowed,
                     struct recover_report *ret_report) MUST_USE;

/* The records up to this number, into the file, and synced; the journal stays as it is. It must be open. Nothing is written where
 * `spared` is: bodies that no commit refers to, and that others may be reading. NULL = none. */
enum err recover_replay(struct op *op, struct medium *medium, uint64_t last_sequence,
                        const struct extents *spared) MUST_USE;

#endif
