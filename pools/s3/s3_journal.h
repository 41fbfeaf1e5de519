/* s3_journal.h - which multipart uploads this daemon has begun, so that a crash leaves none for ever.
 *
 * One small file per upload under DATA/uploads/NICKNAME, written when the upload begins and removed when it ends. What is there
 * at open is of an earlier life (the data directory has one daemon) and is aborted in the background (s3_sweep.c). Uploads of others to the same bucket are never touched, which a search of
 * the bucket for "old" uploads could not promise.
 *
 * The files are no record of entries: losing them costs storage at the provider, nothing else. So they are not synced.
 *
 * Threads: any; one mutex (RANK_KIND_INNER) guards the list of leftovers.
 */
#ifndef POOLS_S3_S3_JOURNAL_H
#define POOLS_S3_S3_JOURNAL_H

#include "pools/base/op.h"

#include <stdbool.h>

#define S3_RECORD_BYTES 4096

struct s3_journal;

/* `store` (endpoint and bucket) is written with each upload: leftovers of another store are left alone. NULL = out of memory. */
struct s3_journal *s3_journal_open(const char *data_dir, const char *nickname, const char *store);
void s3_journal_close(struct s3_journal *journal);

struct s3_ticket {
    char file[32]; /* "" = nothing was written */
};
/* Failures are not the upload's: without a file the upload is merely not remembered. journal may be NULL. */
void s3_journal_add(struct s3_journal *journal, const char *name, const char *upload_id,
                    struct s3_ticket *ret_ticket);
void s3_journal_drop(struct s3_journal *journal, const struct s3_ticket *ticket);

/* A leftover that was taken and could not be aborted, for another time. */
void s3_journal_put_back(struct s3_journal *journal, const struct s3_ticket *ticket);

bool s3_journal_has_leftovers(struct s3_journal *journal);
/* Takes one leftover out of the list; false when there are no more. ret_record holds both texts. The caller drops the ticket once
 * the upload is gone. */
bool s3_journal_take_leftover(struct s3_journal *journal, struct s3_ticket *ret_ticket,
                              char ret_record[S3_RECORD_BYTES], const char **ret_name,
                              const char **ret_upload_id);

#endif
