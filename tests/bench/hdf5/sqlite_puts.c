/* sqlite_puts.c - the same entries as hdf5_puts into SQLite: WAL, synchronous=FULL, the table that LAILA's SQLite pool makes (with rowids).
 *
 *     sqlite_puts FILE WRITERS BATCH SECONDS FIRST COUNT
 *
 * Each writer is a thread with its own connection, which waits for the others as long as it takes (busy timeout), and commits BATCH entries
 * in each transaction.
 */
#include "tests/bench/hdf5/crowd.h"
#include "tests/bench/hdf5/program.h"
#include "tests/bench/hdf5/records.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

#define BUSY_MS 60000

struct connection {
    sqlite3 *database;
    sqlite3_stmt *begin;
    sqlite3_stmt *put;
    sqlite3_stmt *commit;
};

struct puts {
    struct connection *connections;
    atomic_uint_fast64_t next;
    uint64_t end;
    uint64_t batch;
};

static sqlite3_stmt *prepare(sqlite3 *database, const char *text) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(database, text, -1, &statement, NULL) != SQLITE_OK) {
        program_give_up(text, sqlite3_errmsg(database));
    }
    return statement;
}

static void run(sqlite3 *database, sqlite3_stmt *statement) {
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK) {
        program_give_up(sqlite3_sql(statement), sqlite3_errmsg(database));
    }
}

static void connect_to(struct connection *ret_connection, const char *path) {
    static const char setup[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS "
        "laila_pool_entries(key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)";
    sqlite3 *database = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &database, flags, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(database, BUSY_MS) != SQLITE_OK ||
        sqlite3_exec(database, setup, NULL, NULL, NULL) != SQLITE_OK) {
        program_give_up(path, sqlite3_errmsg(database));
    }
    static const char upsert[] = "INSERT INTO laila_pool_entries(key, value) VALUES(?1, ?2) "
                                 "ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    *ret_connection = (struct connection){.database = database,
                                          .begin = prepare(database, "BEGIN IMMEDIATE"),
                                          .put = prepare(database, upsert),
                                          .commit = prepare(database, "COMMIT")};
}

static void disconnect(struct connection *connection) {
    sqlite3_finalize(connection->begin);
    sqlite3_finalize(connection->put);
    sqlite3_finalize(connection->commit);
    if (sqlite3_close(connection->database) != SQLITE_OK) {
        program_give_up("close", sqlite3_errmsg(connection->database));
    }
}

static void put(const struct connection *connection, uint64_t number) {
    char name[RECORD_NAME_BYTES];
    char body[RECORD_BODY_BYTES];
    record_name(number, name);
    record_body(number, body);
    if (sqlite3_bind_text(connection->put, 1, name, sizeof name - 1, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(connection->put, 2, body, sizeof body, SQLITE_STATIC) != SQLITE_OK) {
        program_give_up("bind", sqlite3_errmsg(connection->database));
    }
    run(connection->database, connection->put);
}

static bool put_batch(void *context, unsigned worker, uint64_t turn) {
    (void)turn;
    struct puts *puts = context;
    const struct connection *connection = &puts->connections[worker];
    uint64_t number = atomic_fetch_add(&puts->next, puts->batch);
    if (number >= puts->end) {
        return false;
    }
    if (puts->batch == 1) { /* a statement alone is its own transaction */
        put(connection, number);
        return true;
    }
    run(connection->database, connection->begin);
    for (uint64_t i = 0; i < puts->batch && number + i < puts->end; i++) {
        put(connection, number + i);
    }
    run(connection->database, connection->commit);
    return true;
}

int main(int argc, char **argv) {
    program_want(argc, 6, "sqlite_puts FILE WRITERS BATCH SECONDS FIRST COUNT");
    unsigned writers = (unsigned)program_number(argv[2]);
    uint64_t first = program_number(argv[5]);
    struct puts puts = {.connections = calloc(writers, sizeof *puts.connections),
                        .end = first + program_number(argv[6]),
                        .batch = program_number(argv[3])};
    if (!puts.connections || !puts.batch) {
        program_give_up("start", "no writers or no batch");
    }
    atomic_init(&puts.next, first);
    for (unsigned i = 0; i < writers; i++) {
        connect_to(&puts.connections[i], argv[1]);
    }
    struct crowd_result result;
    crowd_run(writers, program_seconds_ns(argv[4]), put_batch, &puts, &result);
    crowd_print(&result, (unsigned)puts.batch, "");
    for (unsigned i = 0; i < writers; i++) {
        disconnect(&puts.connections[i]);
    }
    free(puts.connections);
    return 0;
}
