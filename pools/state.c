/* state.c - DATA/state.db: opening it, its schema, SQLite's answers as ours. See state.h.
 *
 * SQLite in WAL mode with synchronous=FULL: a change is on disk when its COMMIT returns. The file is made with mode 0600 and its WAL and
 * index inherit that. `user_version` is the schema's version, `application_id` says that the file is ours. The lock on DATA/lock
 * is a flock: it ends with the process, however that ends.
 *
 * Read next: state_pools.c, state_wiring.c (the tables), state_seal.h (secrets).
 */
#include "pools/state_db.h"

#include "pools/base/data_dir.h"
#include "pools/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define APPLICATION_ID 0x6c61696c /* "lail" */

static const char schema[] =
    "CREATE TABLE pool (nickname TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE pool_option ("
    "  nickname TEXT NOT NULL REFERENCES pool ON DELETE CASCADE, name TEXT NOT NULL,"
    "  text TEXT, sealed BLOB, PRIMARY KEY (nickname, name),"
    "  CHECK ((text IS NULL) <> (sealed IS NULL))) WITHOUT ROWID;"
    "CREATE TABLE link ("
    "  pool TEXT NOT NULL PRIMARY KEY, origin TEXT NOT NULL, fail_on_tier_error INTEGER NOT NULL,"
    "  generation INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE wiring (one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),"
    "  generation INTEGER NOT NULL, chain_text TEXT);";

/* ---- SQLite's answers as ours ---- */

enum err state_db_fail(struct op *op, int code) {
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return op_no_memory(op);
    case SQLITE_FULL:
        return op_fail(op, REASON_NO_SPACE, "no space is left to save the service's state");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return op_fail(op, REASON_CORRUPT,
                       "state.db in the data directory is damaged; move it away to start without it");
    default:
        return op_fail(op, REASON_IO, "state.db: %s", sqlite3_errstr(code));
    }
}

enum err state_db_check(struct op *op, int code) {
    return code == SQLITE_OK || code == SQLITE_DONE ? OK : state_db_fail(op, code);
}

enum err state_execute(struct state *state, struct op *op, const char *sql) {
    return state_db_check(op, sqlite3_exec(state->db, sql, NULL, NULL, NULL));
}

enum err state_prepare(struct state *state, struct op *op, const char *sql, sqlite3_stmt **ret_statement) {
    return state_db_check(op, sqlite3_prepare_v2(state->db, sql, -1, ret_statement, NULL));
}

/* The text must live until the statement is stepped. */
void state_bind_text(sqlite3_stmt *statement, int at, const char *text) {
    (void)sqlite3_bind_text(statement, at, text, -1,
                            SQLITE_STATIC); /* a failure shows at the step: NOT NULL */
}

/* Runs a statement without rows and ends it. */
enum err state_finish(struct op *op, sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return state_db_check(op, code);
}

enum err state_begin(struct state *state, struct op *op) {
    return state_execute(state, op, "BEGIN IMMEDIATE");
}

enum err state_end(struct state *state, struct op *op, enum err err) {
    if (!err) {
        err = state_execute(state, op, "COMMIT");
    }
    if (err) {
        sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL); /* what went wrong is recorded already */
    }
    return err;
}

enum err state_read_integer(struct state *state, struct op *op, const char *sql, int64_t *ret_integer) {
    sqlite3_stmt *statement = NULL;
    enum err err = state_prepare(state, op, sql, &statement);
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_integer = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return state_db_check(op, code);
}

const char *state_column_text(sqlite3_stmt *statement, int at) {
    const unsigned char *text = sqlite3_column_text(statement, at);
    return text ? (const char *)text : "";
}

/* ---- opening ---- */

static enum err lock_directory(struct state *state, struct op *op) {
    state->lock_fd = openat(state->dir_fd, DATA_DIR_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (state->lock_fd < 0) {
        return op_fail_errno(op, errno, "opening the data directory's lock");
    }
    if (flock(state->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? op_fail(op, REASON_FILE_IN_USE, "another lailad is running on this data directory")
                   : op_fail_errno(op, errno, "locking the data directory");
    }
    return OK;
}

static enum err check_schema(struct state *state, struct op *op) {
    int64_t version = 0;
    int64_t application = 0;
    int64_t tables = 0;
    enum err err = state_read_integer(state, op, "PRAGMA user_version", &version);
    if (!err) {
        err = state_read_integer(state, op, "PRAGMA application_id", &application);
    }
    if (!err) {
        err = state_read_integer(state, op, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (err) {
        return err;
    }
    if (version == 0 && application == 0 && tables == 0) {
        char sql[sizeof schema + 128];
        snprintf(sql, sizeof sql, "%s PRAGMA user_version = %d; PRAGMA application_id = %d;", schema,
                 SCHEMA_VERSION, APPLICATION_ID);
        err = state_begin(state, op);
        return err ? err : state_end(state, op, state_execute(state, op, sql));
    }
    if (application != APPLICATION_ID || version < 1) {
        return op_fail(op, REASON_CORRUPT, "state.db in the data directory is not lailad's");
    }
    if (version > SCHEMA_VERSION) {
        return op_fail(op, REASON_UNSUPPORTED,
                       "state.db was written by a newer lailad (schema %lld, this one knows %d)",
                       (long long)version, SCHEMA_VERSION);
    }
    return OK;
}

static enum err open_database(struct state *state, struct op *op, const char *data_dir) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/" DATA_DIR_STATE, data_dir);
    if (length < 0 || (size_t)length >= sizeof path) {
        return op_fail_errno(op, ENAMETOOLONG, "opening state.db");
    }
    struct stat there;
    if (fstatat(state->dir_fd, DATA_DIR_STATE, &there, 0) == 0 && there.st_size == 0) {
        log_line(
            LOG_WARNING, "state",
            "state.db is empty: the pools registered over HTTP and the wiring it may have held are gone");
    }
    int fd = openat(state->dir_fd, DATA_DIR_STATE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return op_fail_errno(op, errno, "opening state.db");
    }
    close(fd);
    int code = sqlite3_open_v2(path, &state->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        return state_db_fail(op, code);
    }
    sqlite3_extended_result_codes(state->db, 1);
    enum err err =
        state_execute(state, op,
                      "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL;"
                      "PRAGMA synchronous = FULL;");
    int64_t sound = 0;
    if (!err) { /* the answer is the one row "ok", or rows that say what is wrong */
        err = state_read_integer(state, op, "SELECT quick_check = 'ok' FROM pragma_quick_check", &sound);
    }
    if (!err && !sound) {
        err = state_db_fail(op, SQLITE_CORRUPT);
    }
    return err ? err : check_schema(state, op);
}

enum err state_open(struct op *op, const char *data_dir, struct state **ret_state) {
    if (mkdir(data_dir, 0700) != 0 && errno != EEXIST) {
        return op_fail_errno(op, errno, "making the data directory");
    }
    AUTO(state_close) struct state *state = calloc(1, sizeof *state);
    if (!state) {
        return op_no_memory(op);
    }
    mutex_init(&state->mutex, RANK_STATE);
    state->lock_fd = -1;
    state->dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (state->dir_fd < 0) {
        return op_fail_errno(op, errno, "opening the data directory");
    }
    sealer_init(&state->sealer, state->dir_fd);
    enum err err = lock_directory(state, op);
    if (!err) {
        err = open_database(state, op, data_dir);
    }
    if (!err) {
        *ret_state = STEAL(state);
    }
    return err;
}

void state_close(struct state *state) {
    if (!state) {
        return;
    }
    sqlite3_close(state->db);
    sealer_fini(&state->sealer);
    if (state->lock_fd >= 0) {
        close(state->lock_fd);
    }
    if (state->dir_fd >= 0) {
        close(state->dir_fd);
    }
    mutex_fini(&state->mutex);
    free(state);
}
