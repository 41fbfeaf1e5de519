/* state_wiring.c - the wiring in state.db: the whole of it, in one transaction. See state.h. */
#include "pools/state_db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err put_link(struct state *state, struct op *op, const struct state_link *link) {
    sqlite3_stmt *statement = NULL;
    enum err err = state_prepare(
        state, op, "INSERT INTO link (pool, origin, fail_on_tier_error, generation) VALUES (?, ?, ?, ?)",
        &statement);
    if (!err) {
        state_bind_text(statement, 1, link->pool);
        state_bind_text(statement, 2, link->origin);
        (void)sqlite3_bind_int(statement, 3, link->fail_on_tier_error); /* NOT NULL tells */
        (void)sqlite3_bind_int64(statement, 4, (sqlite3_int64)link->generation);
        err = state_finish(op, statement);
    }
    return err;
}

static enum err put_wiring(struct state *state, struct op *op, const struct state_wiring *wiring) {
    sqlite3_stmt *statement = NULL;
    enum err err = state_execute(state, op, "DELETE FROM link");
    for (size_t i = 0; i < wiring->count && !err; i++) {
        err = put_link(state, op, &wiring->links[i]);
    }
    if (!err) {
        err = state_prepare(state, op,
                            "INSERT OR REPLACE INTO wiring (one, generation, chain_text) VALUES (1, ?, ?)",
                            &statement);
    }
    if (!err) {
        (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)wiring->generation); /* NOT NULL tells */
        state_bind_text(statement, 2, wiring->chain_text);
        err = state_finish(op, statement);
    }
    return err;
}

static enum err put_wiring_without(struct state *state, struct op *op, const struct state_wiring *wiring,
                                   const char *dropped_pool) {
    enum err err = dropped_pool ? state_delete_pool(state, op, dropped_pool) : OK;
    return err ? err : put_wiring(state, op, wiring);
}

enum err state_save_wiring(struct state *state, struct op *op, const struct state_wiring *wiring,
                           const char *dropped_pool) {
    mutex_lock(&state->mutex);
    enum err err = state_begin(state, op);
    if (!err) {
        err = state_end(state, op, put_wiring_without(state, op, wiring, dropped_pool));
    }
    mutex_unlock(&state->mutex);
    return err;
}

static enum err read_links(struct state *state, struct op *op, struct state_wiring *wiring) {
    sqlite3_stmt *statement = NULL;
    int64_t most = 0;
    enum err err = state_read_integer(state, op, "SELECT count(*) FROM link", &most);
    if (err || most <= 0) {
        return err;
    }
    wiring->links = calloc((size_t)most, sizeof *wiring->links);
    if (!wiring->links) {
        return op_no_memory(op);
    }
    err = state_prepare(
        state, op, "SELECT pool, origin, fail_on_tier_error, generation FROM link ORDER BY pool", &statement);
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW && wiring->count < (size_t)most; code = sqlite3_step(statement)) {
        struct state_link *link = &wiring->links[wiring->count++];
        snprintf(link->pool, sizeof link->pool, "%s", state_column_text(statement, 0));
        snprintf(link->origin, sizeof link->origin, "%s", state_column_text(statement, 1));
        link->fail_on_tier_error = sqlite3_column_int(statement, 2) != 0;
        link->generation = (uint64_t)sqlite3_column_int64(statement, 3);
    }
    sqlite3_finalize(statement);
    return state_db_check(op, code);
}

static enum err read_whole(struct state *state, struct op *op, struct state_wiring *wiring) {
    sqlite3_stmt *statement = NULL;
    enum err err = read_links(state, op, wiring);
    if (!err) {
        err = state_prepare(state, op, "SELECT generation, chain_text FROM wiring", &statement);
    }
    if (err) {
        return err;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        wiring->generation = (uint64_t)sqlite3_column_int64(statement, 0);
        if (sqlite3_column_type(statement, 1) != SQLITE_NULL) {
            wiring->chain_text = strdup(state_column_text(statement, 1));
            err = wiring->chain_text ? OK : op_no_memory(op);
        }
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return err ? err : state_db_check(op, code);
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
