/* state.c - DATA/state.db. See state.h.
 *
 * SQLite in WAL mode with synchronous=FULL: a change is on disk when its COMMIT returns. The file is made with mode 0600 and its WAL and
 * index inherit that. `user_version` is the schema's version, `application_id` says that the file is ours. The lock on DATA/lock
 * is a flock: it ends with the process, however that ends.
 *
 * What is read is copied out under the lock and given to visitors without it: a visitor opens pools.
 */
#include "pools/state.h"

#include "pools/base/mutex.h"
#include "pools/seal.h"

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
#define SEALED_MOST_BYTES (SEAL_MOST_TEXT_BYTES + 256)

struct state {
    struct mutex mutex;
    sqlite3 *db;
    struct sealer sealer;
    int dir_fd;
    int lock_fd;
};

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

static enum err db_fail(struct op *op, int code) {
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

static enum err db_check(struct op *op, int code) {
    return code == SQLITE_OK || code == SQLITE_DONE ? OK : db_fail(op, code);
}

static enum err execute(struct state *state, struct op *op, const char *sql) {
    return db_check(op, sqlite3_exec(state->db, sql, NULL, NULL, NULL));
}

static enum err prepare(struct state *state, struct op *op, const char *sql, sqlite3_stmt **ret_statement) {
    return db_check(op, sqlite3_prepare_v2(state->db, sql, -1, ret_statement, NULL));
}

/* The text must live until the statement is stepped. */
static void bind_text(sqlite3_stmt *statement, int at, const char *text) {
    (void)sqlite3_bind_text(statement, at, text, -1,
                            SQLITE_STATIC); /* a failure shows at the step: NOT NULL */
}

/* Runs a statement without rows and ends it. */
static enum err finish(struct op *op, sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return db_check(op, code);
}

static enum err begin(struct state *state, struct op *op) {
    return execute(state, op, "BEGIN IMMEDIATE");
}

static enum err end(struct state *state, struct op *op, enum err err) {
    if (!err) {
        err = execute(state, op, "COMMIT");
    }
    if (err) {
        struct fault fault = op->fault;
        (void)execute(state, op, "ROLLBACK"); /* what went wrong is known already */
        op->fault = fault;
    }
    return err;
}

static enum err read_integer(struct state *state, struct op *op, const char *sql, int64_t *ret_integer) {
    sqlite3_stmt *statement = NULL;
    enum err err = prepare(state, op, sql, &statement);
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_integer = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return db_check(op, code);
}

/* ---- opening ---- */

static enum err lock_directory(struct state *state, struct op *op) {
    state->lock_fd = openat(state->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
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
    enum err err = read_integer(state, op, "PRAGMA user_version", &version);
    if (!err) {
        err = read_integer(state, op, "PRAGMA application_id", &application);
    }
    if (!err) {
        err = read_integer(state, op, "SELECT count(*) FROM sqlite_schema", &tables);
    }
    if (err) {
        return err;
    }
    if (version == 0 && application == 0 && tables == 0) {
        char sql[sizeof schema + 128];
        snprintf(sql, sizeof sql, "%s PRAGMA user_version = %d; PRAGMA application_id = %d;", schema,
                 SCHEMA_VERSION, APPLICATION_ID);
        err = begin(state, op);
        return err ? err : end(state, op, execute(state, op, sql));
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
    int length = snprintf(path, sizeof path, "%s/state.db", data_dir);
    if (length < 0 || (size_t)length >= sizeof path) {
        return op_fail_errno(op, ENAMETOOLONG, "opening state.db");
    }
    int fd = openat(state->dir_fd, "state.db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return op_fail_errno(op, errno, "opening state.db");
    }
    close(fd);
    int code = sqlite3_open_v2(path, &state->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        return db_fail(op, code);
    }
    sqlite3_extended_result_codes(state->db, 1);
    enum err err = execute(state, op,
                           "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL;"
                           "PRAGMA synchronous = FULL;");
    int64_t sound = 0;
    if (!err) { /* the answer is the one row "ok", or rows that say what is wrong */
        err = read_integer(state, op, "SELECT quick_check = 'ok' FROM pragma_quick_check", &sound);
    }
    if (!err && !sound) {
        err = db_fail(op, SQLITE_CORRUPT);
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

/* ---- pools ---- */

static enum err put_option(struct state *state, struct op *op, const char *nickname,
                           const struct state_option *option) {
    struct buf sealed;
    buf_init(&sealed, SEALED_MOST_BYTES);
    sqlite3_stmt *statement = NULL;
    enum err err = option->secret ? seal_text(&state->sealer, op, option->text, &sealed) : OK;
    if (!err) {
        err = prepare(state, op, "INSERT INTO pool_option (nickname, name, text, sealed) VALUES (?, ?, ?, ?)",
                      &statement);
    }
    if (!err) {
        bind_text(statement, 1, nickname);
        bind_text(statement, 2, option->name);
        if (option->secret) {
            (void)sqlite3_bind_blob(statement, 4, sealed.data, (int)sealed.size,
                                    SQLITE_STATIC); /* CHECK tells */
        } else {
            bind_text(statement, 3, option->text);
        }
        err = finish(op, statement);
    }
    buf_fini(&sealed);
    return err;
}

static enum err drop_pool(struct state *state, struct op *op, const char *nickname) {
    sqlite3_stmt *statement = NULL;
    enum err err = prepare(state, op, "DELETE FROM pool WHERE nickname = ?", &statement);
    if (!err) {
        bind_text(statement, 1, nickname);
        err = finish(op, statement);
    }
    return err;
}

static enum err put_pool(struct state *state, struct op *op, const char *nickname, const char *kind,
                         const struct state_option *options, size_t count) {
    sqlite3_stmt *statement = NULL;
    enum err err = drop_pool(state, op, nickname);
    if (!err) {
        err = prepare(state, op, "INSERT INTO pool (nickname, kind) VALUES (?, ?)", &statement);
    }
    if (!err) {
        bind_text(statement, 1, nickname);
        bind_text(statement, 2, kind);
        err = finish(op, statement);
    }
    for (size_t i = 0; i < count && !err; i++) {
        err = put_option(state, op, nickname, &options[i]);
    }
    return err;
}

enum err state_put_pool(struct state *state, struct op *op, const char *nickname, const char *kind,
                        const struct state_option *options, size_t count) {
    mutex_lock(&state->mutex);
    enum err err = begin(state, op);
    if (!err) {
        err = end(state, op, put_pool(state, op, nickname, kind, options, count));
    }
    mutex_unlock(&state->mutex);
    return err;
}

enum err state_drop_pool(struct state *state, struct op *op, const char *nickname) {
    mutex_lock(&state->mutex);
    enum err err = drop_pool(state, op, nickname);
    mutex_unlock(&state->mutex);
    return err;
}

struct stored_pool {
    struct stored_pool *next;
    char nickname[NICKNAME_BYTES];
    char kind[NICKNAME_BYTES];
    struct state_option *options; /* names and texts are owned */
    size_t count;
};

static void free_pools(struct stored_pool *pool) {
    while (pool) {
        struct stored_pool *next = pool->next;
        for (size_t i = 0; i < pool->count; i++) {
            union {
                const char *read_only;
                char *owned;
            } name = {.read_only = pool->options[i].name}, text = {.read_only = pool->options[i].text};
            free(name.owned);
            seal_free_text(text.owned);
        }
        free(pool->options);
        free(pool);
        pool = next;
    }
}

static const char *column_text(sqlite3_stmt *statement, int at) {
    const unsigned char *text = sqlite3_column_text(statement, at);
    return text ? (const char *)text : "";
}

static enum err read_option(struct state *state, struct op *op, sqlite3_stmt *statement,
                            struct stored_pool *pool) {
    struct state_option *larger = realloc(pool->options, (pool->count + 1) * sizeof *larger);
    if (!larger) {
        return op_no_memory(op);
    }
    pool->options = larger;
    struct state_option *option = &pool->options[pool->count];
    *option = (struct state_option){.secret = sqlite3_column_type(statement, 2) == SQLITE_BLOB};
    char *name = strdup(column_text(statement, 0));
    char *text = NULL;
    if (name && option->secret) {
        /* A secret that does not open must not keep the service from starting: its pool will say so. */
        enum err err = seal_open_text(&state->sealer, op, sqlite3_column_blob(statement, 2),
                                      (size_t)sqlite3_column_bytes(statement, 2), &text);
        if (err == ERR_NO_MEMORY) {
            free(name);
            return err;
        }
    } else if (name) {
        text = strdup(column_text(statement, 1));
    }
    if (!name || (!text && !option->secret)) {
        free(name);
        return op_no_memory(op);
    }
    option->name = name;
    option->text = text;
    pool->count++;
    return OK;
}

static enum err read_options(struct state *state, struct op *op, struct stored_pool *pool) {
    sqlite3_stmt *statement = NULL;
    enum err err = prepare(
        state, op, "SELECT name, text, sealed FROM pool_option WHERE nickname = ? ORDER BY name", &statement);
    if (err) {
        return err;
    }
    bind_text(statement, 1, pool->nickname);
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW && !err; code = sqlite3_step(statement)) {
        err = read_option(state, op, statement, pool);
    }
    sqlite3_finalize(statement);
    return err ? err : db_check(op, code);
}

static enum err read_pools(struct state *state, struct op *op, struct stored_pool **ret_pools) {
    sqlite3_stmt *statement = NULL;
    enum err err = prepare(state, op, "SELECT nickname, kind FROM pool ORDER BY nickname DESC", &statement);
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW && !err; code = sqlite3_step(statement)) {
        struct stored_pool *pool = calloc(1, sizeof *pool);
        if (!pool) {
            err = op_no_memory(op);
            break;
        }
        snprintf(pool->nickname, sizeof pool->nickname, "%s", column_text(statement, 0));
        snprintf(pool->kind, sizeof pool->kind, "%s", column_text(statement, 1));
        pool->next = *ret_pools; /* descending: the list ends up ascending */
        *ret_pools = pool;
        err = read_options(state, op, pool);
    }
    sqlite3_finalize(statement);
    return err ? err : db_check(op, code);
}

enum err state_each_pool(struct state *state, struct op *op, state_pool_fn *visit, void *context) {
    struct stored_pool *pools = NULL;
    mutex_lock(&state->mutex);
    enum err err = read_pools(state, op, &pools);
    mutex_unlock(&state->mutex);
    for (struct stored_pool *pool = pools; pool && !err; pool = pool->next) {
        err = visit(context, op, pool->nickname, pool->kind, pool->options, pool->count);
    }
    free_pools(pools);
    return err;
}

/* ---- wiring ---- */

static enum err put_link(struct state *state, struct op *op, const struct state_link *link) {
    sqlite3_stmt *statement = NULL;
    enum err err = prepare(
        state, op, "INSERT INTO link (pool, origin, fail_on_tier_error, generation) VALUES (?, ?, ?, ?)",
        &statement);
    if (!err) {
        bind_text(statement, 1, link->pool);
        bind_text(statement, 2, link->origin);
        (void)sqlite3_bind_int(statement, 3, link->fail_on_tier_error); /* NOT NULL tells */
        (void)sqlite3_bind_int64(statement, 4, (sqlite3_int64)link->generation);
        err = finish(op, statement);
    }
    return err;
}

static enum err put_wiring(struct state *state, struct op *op, const struct state_wiring *wiring) {
    sqlite3_stmt *statement = NULL;
    enum err err = execute(state, op, "DELETE FROM link");
    for (size_t i = 0; i < wiring->count && !err; i++) {
        err = put_link(state, op, &wiring->links[i]);
    }
    if (!err) {
        err =
            prepare(state, op, "INSERT OR REPLACE INTO wiring (one, generation, chain_text) VALUES (1, ?, ?)",
                    &statement);
    }
    if (!err) {
        (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)wiring->generation); /* NOT NULL tells */
        bind_text(statement, 2, wiring->chain_text);
        err = finish(op, statement);
    }
    return err;
}

enum err state_save_wiring(struct state *state, struct op *op, const struct state_wiring *wiring) {
    mutex_lock(&state->mutex);
    enum err err = begin(state, op);
    if (!err) {
        err = end(state, op, put_wiring(state, op, wiring));
    }
    mutex_unlock(&state->mutex);
    return err;
}

static enum err read_links(struct state *state, struct op *op, struct state_wiring *wiring) {
    sqlite3_stmt *statement = NULL;
    int64_t most = 0;
    enum err err = read_integer(state, op, "SELECT count(*) FROM link", &most);
    if (!err && most > 0) {
        wiring->links = calloc((size_t)most, sizeof *wiring->links);
        err = wiring->links ? OK : op_no_memory(op);
    }
    if (!err) {
        err =
            prepare(state, op, "SELECT pool, origin, fail_on_tier_error, generation FROM link ORDER BY pool",
                    &statement);
    }
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW && wiring->count < (size_t)most; code = sqlite3_step(statement)) {
        struct state_link *link = &wiring->links[wiring->count++];
        snprintf(link->pool, sizeof link->pool, "%s", column_text(statement, 0));
        snprintf(link->origin, sizeof link->origin, "%s", column_text(statement, 1));
        link->fail_on_tier_error = sqlite3_column_int(statement, 2) != 0;
        link->generation = (uint64_t)sqlite3_column_int64(statement, 3);
    }
    sqlite3_finalize(statement);
    return db_check(op, code);
}

static enum err read_whole(struct state *state, struct op *op, struct state_wiring *wiring) {
    sqlite3_stmt *statement = NULL;
    enum err err = read_links(state, op, wiring);
    if (!err) {
        err = prepare(state, op, "SELECT generation, chain_text FROM wiring", &statement);
    }
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        wiring->generation = (uint64_t)sqlite3_column_int64(statement, 0);
        if (sqlite3_column_type(statement, 1) != SQLITE_NULL) {
            wiring->chain_text = strdup(column_text(statement, 1));
            err = wiring->chain_text ? OK : op_no_memory(op);
        }
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return err ? err : db_check(op, code);
}

enum err state_load_wiring(struct state *state, struct op *op, struct state_wiring *ret_wiring) {
    struct state_wiring wiring = {0};
    mutex_lock(&state->mutex);
    enum err err = read_whole(state, op, &wiring);
    mutex_unlock(&state->mutex);
    if (err) {
        free(wiring.links);
        free(wiring.chain_text);
        return err;
    }
    *ret_wiring = wiring;
    return OK;
}
