/* state_db.h - state.db as the state*.c files see it: one connection and a few lines around SQLite.
 *
 * All of them are called with the state's mutex held. Binding is not checked: a value that could not be bound is NULL, and every
 * column that must not be NULL says so in the schema.
 */
#ifndef POOLS_STATE_DB_H
#define POOLS_STATE_DB_H

#include "pools/base/mutex.h"
#include "pools/state.h"
#include "pools/state_seal.h"

struct sqlite3;
struct sqlite3_stmt;

struct state {
    struct mutex mutex;
    struct sqlite3 *db;
    struct sealer sealer;
    int dir_fd;
    int lock_fd;
};

/* A result code as ours: state_db_check takes SQLITE_OK and SQLITE_DONE for OK. */
enum err state_db_fail(struct op *op, int code);
enum err state_db_check(struct op *op, int code) MUST_USE;
enum err state_execute(struct state *state, struct op *op, const char *sql) MUST_USE;
enum err state_prepare(struct state *state, struct op *op, const char *sql,
                       struct sqlite3_stmt **ret_statement) MUST_USE;
/* The text must live until the statement is stepped. NULL binds NULL. */
void state_bind_text(struct sqlite3_stmt *statement, int at, const char *text);
/* Never NULL; valid until the next step. */
const char *state_column_text(struct sqlite3_stmt *statement, int at);
/* Runs a statement without rows and ends it. */
enum err state_finish(struct op *op, struct sqlite3_stmt *statement) MUST_USE;
/* The first column of the first row; untouched when there is no row. */
enum err state_read_integer(struct state *state, struct op *op, const char *sql,
                            int64_t *ret_integer) MUST_USE;
enum err state_begin(struct state *state, struct op *op) MUST_USE;
/* Within a transaction; of no pool is fine. */
enum err state_delete_pool(struct state *state, struct op *op, const char *nickname) MUST_USE;
/* Commits when err is OK, else rolls back and returns err. */
enum err state_end(struct state *state, struct op *op, enum err err) MUST_USE;

#endif
