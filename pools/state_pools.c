/* state_pools.c - the pools registered over HTTP, in state.db. See state.h.
 *
 * What is read is copied out under the lock and given to the visitor without it: a visitor opens pools.
 */
#include "pools/state_db.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEALED_MOST_BYTES (SEAL_MOST_TEXT_BYTES + 256)

static enum err put_option(struct state *state, struct op *op, const char *nickname,
                           const struct state_option *option) {
    struct buf sealed;
    buf_init(&sealed, SEALED_MOST_BYTES);
    sqlite3_stmt *statement = NULL;
    enum err err = option->sealed ? seal_text(&state->sealer, op, option->text, &sealed) : OK;
    if (!err) {
        err = state_prepare(state, op,
                            "INSERT INTO pool_option (nickname, name, text, sealed) VALUES (?, ?, ?, ?)",
                            &statement);
    }
    if (!err) {
        state_bind_text(statement, 1, nickname);
        state_bind_text(statement, 2, option->name);
        if (option->sealed) {
            (void)sqlite3_bind_blob(statement, 4, sealed.data, (int)sealed.size,
                                    SQLITE_STATIC); /* CHECK tells */
        } else {
            state_bind_text(statement, 3, option->text);
        }
        err = state_finish(op, statement);
    }
    buf_fini(&sealed);
    return err;
}

enum err state_delete_pool(struct state *state, struct op *op, const char *nickname) {
    sqlite3_stmt *statement = NULL;
    enum err err = state_prepare(state, op, "DELETE FROM pool WHERE nickname = ?", &statement);
    if (!err) {
        state_bind_text(statement, 1, nickname);
        err = state_finish(op, statement);
    }
    return err;
}

static enum err put_pool(struct state *state, struct op *op, const char *nickname, const char *kind,
                         const struct state_option *options, size_t count) {
    sqlite3_stmt *statement = NULL;
    enum err err = state_delete_pool(state, op, nickname);
    if (!err) {
        err = state_prepare(state, op, "INSERT INTO pool (nickname, kind) VALUES (?, ?)", &statement);
    }
    if (!err) {
        state_bind_text(statement, 1, nickname);
        state_bind_text(statement, 2, kind);
        err = state_finish(op, statement);
    }
    for (size_t i = 0; i < count && !err; i++) {
        err = put_option(state, op, nickname, &options[i]);
    }
    return err;
}

enum err state_put_pool(struct state *state, struct op *op, const char *nickname, const char *kind,
                        const struct state_option *options, size_t count) {
    mutex_lock(&state->mutex);
    enum err err = state_begin(state, op);
    if (!err) {
        err = state_end(state, op, put_pool(state, op, nickname, kind, options, count));
    }
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

static enum err read_option(struct state *state, struct op *op, sqlite3_stmt *statement,
                            struct stored_pool *pool) {
    struct state_option *larger = realloc(pool->options, (pool->count + 1) * sizeof *larger);
    if (!larger) {
        return op_no_memory(op);
    }
    pool->options = larger;
    struct state_option *option = &pool->options[pool->count];
    *option = (struct state_option){.sealed = sqlite3_column_type(statement, 2) == SQLITE_BLOB};
    char *name = strdup(state_column_text(statement, 0));
    char *text = NULL;
    if (name && option->sealed) {
        /* A secret that does not open must not keep the service from starting: its pool will say so. */
        enum err err = seal_open_text(&state->sealer, op, sqlite3_column_blob(statement, 2),
                                      (size_t)sqlite3_column_bytes(statement, 2), &text);
        if (err == ERR_NO_MEMORY) {
            free(name);
            return err;
        }
    } else if (name) {
        text = strdup(state_column_text(statement, 1));
    }
    if (!name || (!text && !option->sealed)) {
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
    enum err err = state_prepare(
        state, op, "SELECT name, text, sealed FROM pool_option WHERE nickname = ? ORDER BY name", &statement);
    if (err) {
        return err;
    }
    state_bind_text(statement, 1, pool->nickname);
    int code = sqlite3_step(statement);
    for (; code == SQLITE_ROW && !err; code = sqlite3_step(statement)) {
        err = read_option(state, op, statement, pool);
    }
    sqlite3_finalize(statement);
    return err ? err : state_db_check(op, code);
}

static enum err read_pools(struct state *state, struct op *op, struct stored_pool **ret_pools) {
    sqlite3_stmt *statement = NULL;
    enum err err =
        state_prepare(state, op, "SELECT nickname, kind FROM pool ORDER BY nickname DESC", &statement);
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
        snprintf(pool->nickname, sizeof pool->nickname, "%s", state_column_text(statement, 0));
        snprintf(pool->kind, sizeof pool->kind, "%s", state_column_text(statement, 1));
        pool->next = *ret_pools; /* descending: the list ends up ascending */
        *ret_pools = pool;
        err = read_options(state, op, pool);
    }
    sqlite3_finalize(statement);
    return err ? err : state_db_check(op, code);
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
