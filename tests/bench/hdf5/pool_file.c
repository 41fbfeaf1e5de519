/* pool_file.c - see pool_file.h. */
#include "tests/bench/hdf5/pool_file.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/base/spool.h"
#include "pools/kinds.h"
#include "tests/bench/hdf5/program.h"
#include "tests/bench/hdf5/records.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define SPOOL_MOST_BYTES (UINT64_C(1) << 30)
#define LOAD_POLL_NS (2 * NS_PER_MS)

static void await_loaded(struct pool *pool) {
    struct pool_status status = {0};
    for (pool_get_status(pool, &status); status.state == POOL_LOADING; pool_get_status(pool, &status)) {
        struct timespec pause = {.tv_nsec = LOAD_POLL_NS};
        nanosleep(&pause, NULL);
    }
    if (status.state != POOL_OK) {
        program_give_up(pool_state_word(status.state), status.reason);
    }
}

void pool_file_open(struct pool_file *ret_file, const char *path, const char *hot_max_bytes) {
    hash_setup();
    struct op op;
    op_init(&op, 0, 0);
    char whole[PATH_MAX];
    char folder[PATH_MAX];
    if (path[0] != '/' || snprintf(whole, sizeof whole, "%s", path) >= (int)sizeof whole) {
        program_give_up(path, "is no absolute path");
    }
    memcpy(folder, whole, sizeof folder);
    const char *data_dir = dirname(folder);
    program_check(spool_dir_open(&op, data_dir, SPOOL_MOST_BYTES, &ret_file->spool_dir), &op, "spool");
    const struct pool_kind *kind = kinds_find("hdf5");
    AUTO(settings_free) struct settings *settings = settings_new(kind->options, kind->option_count);
    if (!settings) {
        program_give_up("settings", "no memory");
    }
    program_check(settings_set_text(settings, &op, "path", whole), &op, "path");
    if (hot_max_bytes) {
        program_check(settings_set_text(settings, &op, "hot_max_bytes", hot_max_bytes), &op, "hot_max_bytes");
    }
    program_check(settings_finish(settings, &op), &op, "settings");
    const struct pool_environment environment = {.data_dir = data_dir, .spool_dir = ret_file->spool_dir};
    program_check(kind->open(&op, &environment, "bench", settings, &ret_file->pool), &op, "open");
    (void)STEAL(settings);
    await_loaded(ret_file->pool);
}

void pool_file_close(struct pool_file *file) {
    pool_unref(file->pool);
    spool_dir_close(file->spool_dir);
}

const char *pool_file_promise(const struct pool_file *file) {
    return file->pool->capabilities.durable ? ", \"durable\": true" : ", \"durable\": false";
}

static struct id id_of(const char *name) {
    struct op op;
    struct id id;
    op_init(&op, 0, 0);
    program_check(id_from_bytes(&op, name, strlen(name), &id), &op, "id");
    return id;
}

void pool_file_put(struct pool_file *file, uint64_t number) {
    char name[RECORD_NAME_BYTES];
    char body[RECORD_BODY_BYTES];
    record_name(number, name);
    record_body(number, body);
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_of(name);
    struct write_options options = {0};
    meta_init(&options.meta);
    options.meta.size_bytes = sizeof body;
    snprintf(options.meta.content_type, sizeof options.meta.content_type, "application/json");
    struct commit_result result;
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    program_check(pool_open_writer(file->pool, &op, &id, &options, &writer), &op, "open_writer");
    program_check(pool_writer_write(writer, &op, body, sizeof body), &op, "write");
    program_check(pool_writer_commit(writer, &op, &result), &op, "commit");
    meta_fini(&result.meta);
}

void pool_file_read(struct pool_file *file, const struct id *id, char *ret_body) {
    struct op op;
    op_init(&op, 0, 0);
    AUTO(reader_close) struct reader *reader = NULL;
    program_check(pool_open_reader(file->pool, &op, id, NULL, &reader), &op, "open_reader");
    size_t at = 0;
    size_t count = 0;
    do {
        program_check(reader_read(reader, &op, ret_body + at, RECORD_BODY_BYTES + 1 - at, &count), &op,
                      "read");
        at += count;
    } while (count && at <= RECORD_BODY_BYTES);
    if (at != RECORD_BODY_BYTES) {
        program_give_up(id->text, "has another length");
    }
}

void pool_file_compare(struct pool_file *file, uint64_t number) {
    char name[RECORD_NAME_BYTES];
    char body[RECORD_BODY_BYTES];
    char found[RECORD_BODY_BYTES + 1];
    record_name(number, name);
    record_body(number, body);
    struct id id = id_of(name);
    pool_file_read(file, &id, found);
    if (memcmp(body, found, sizeof body) != 0) {
        program_give_up(name, "has other bytes");
    }
}
