/* s3_journal.c - see s3_journal.h. A record is three lines: store, object name, upload id. */
#include "pools/s3/s3_journal.h"

#include "pools/base/buf.h"
#include "pools/base/data_dir.h"
#include "pools/base/mutex.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_PREFIX "upload-"
#define MOST_LEFTOVERS 1024
#define MOST_PATH_BYTES 4096

struct s3_journal {
    struct mutex mutex;
    char *root;   /* DATA/uploads */
    char *folder; /* DATA/uploads/NICKNAME */
    char *store;
    struct s3_ticket *leftovers;
    size_t leftover_count;
};

static char *join(const char *folder, const char *file) {
    AUTO(buf_fini) struct buf path;
    buf_init(&path, MOST_PATH_BYTES);
    return buf_printf(&path, "%s/%s", folder, file) == OK ? buf_steal(&path) : NULL;
}

static void find_leftovers(struct s3_journal *journal) {
    DIR *folder = opendir(journal->folder);
    if (!folder) {
        return; /* nothing was ever uploaded in parts */
    }
    struct s3_ticket *found = calloc(MOST_LEFTOVERS, sizeof *found);
    size_t count = 0;
    for (struct dirent *item; found && count < MOST_LEFTOVERS && (item = readdir(folder));) {
        size_t bytes = strlen(item->d_name);
        if (strncmp(item->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 && bytes < sizeof found->file) {
            memcpy(found[count++].file, item->d_name, bytes + 1);
        }
    }
    closedir(folder);
    journal->leftovers = found;
    journal->leftover_count = count;
}

struct s3_journal *s3_journal_open(const char *data_dir, const char *nickname, const char *store) {
    struct s3_journal *journal = calloc(1, sizeof *journal);
    if (!journal) {
        return NULL;
    }
    mutex_init(&journal->mutex, RANK_KIND_INNER);
    journal->store = strdup(store);
    journal->root = join(data_dir, DATA_DIR_UPLOADS);
    journal->folder = journal->root ? join(journal->root, nickname) : NULL;
    if (!journal->store || !journal->folder) {
        goto fail;
    }
    find_leftovers(journal);
    return journal;
fail:
    s3_journal_close(journal);
    return NULL;
}

void s3_journal_close(struct s3_journal *journal) {
    if (!journal) {
        return;
    }
    mutex_fini(&journal->mutex);
    free(journal->leftovers);
    free(journal->store);
    free(journal->folder);
    free(journal->root);
    free(journal);
}

static bool make_folder(const char *path) {
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

void s3_journal_add(struct s3_journal *journal, const char *name, const char *upload_id,
                    struct s3_ticket *ret_ticket) {
    ret_ticket->file[0] = '\0';
    AUTO(buf_fini) struct buf record;
    buf_init(&record, S3_RECORD_BYTES - 1);
    if (!journal || !make_folder(journal->root) || !make_folder(journal->folder) ||
        buf_printf(&record, "%s\n%s\n%s\n", journal->store, name, upload_id) != OK) {
        return;
    }
    char *path = join(journal->folder, FILE_PREFIX "XXXXXX");
    int fd = path ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd >= 0) {
        bool written = write(fd, record.data, record.size) == (ssize_t)record.size;
        close(fd);
        if (written) {
            const char *file = strrchr(path, '/') + 1;
            memcpy(ret_ticket->file, file, strlen(file) + 1);
        } else {
            unlink(path);
        }
    }
    free(path);
}

void s3_journal_drop(struct s3_journal *journal, const struct s3_ticket *ticket) {
    char *path = journal && ticket->file[0] != '\0' ? join(journal->folder, ticket->file) : NULL;
    if (path) {
        unlink(path); /* a file that stays is looked at once more at the next start */
    }
    free(path);
}

/* Reads and splits a record; false when it is not whole or belongs to another store. */
static bool read_record(const struct s3_journal *journal, const struct s3_ticket *ticket,
                        char record[S3_RECORD_BYTES], const char **ret_name, const char **ret_upload_id) {
    char *path = join(journal->folder, ticket->file);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    free(path);
    if (fd < 0) {
        return false;
    }
    ssize_t bytes = read(fd, record, S3_RECORD_BYTES - 1);
    close(fd);
    if (bytes <= 0) {
        return false;
    }
    record[bytes] = '\0';
    char *line[3];
    char *at = record;
    for (size_t i = 0; i < ARRAY_COUNT(line); i++) {
        char *end = strchr(at, '\n');
        if (!end) {
            return false;
        }
        *end = '\0';
        line[i] = at;
        at = end + 1;
    }
    *ret_name = line[1];
    *ret_upload_id = line[2];
    return strcmp(line[0], journal->store) == 0;
}

bool s3_journal_has_leftovers(struct s3_journal *journal) {
    mutex_lock(&journal->mutex);
    bool any = journal->leftover_count > 0;
    mutex_unlock(&journal->mutex);
    return any;
}

void s3_journal_put_back(struct s3_journal *journal, const struct s3_ticket *ticket) {
    mutex_lock(&journal->mutex);
    journal->leftovers[journal->leftover_count++] = *ticket; /* it came from there: there is room */
    mutex_unlock(&journal->mutex);
}

bool s3_journal_take_leftover(struct s3_journal *journal, struct s3_ticket *ret_ticket,
                              char ret_record[S3_RECORD_BYTES], const char **ret_name,
                              const char **ret_upload_id) {
    for (;;) {
        mutex_lock(&journal->mutex);
        bool any = journal->leftover_count > 0;
        if (any) {
            *ret_ticket = journal->leftovers[--journal->leftover_count];
        }
        mutex_unlock(&journal->mutex);
        if (!any) {
            return false;
        }
        if (read_record(journal, ret_ticket, ret_record, ret_name, ret_upload_id)) {
            return true;
        }
    }
}
