/* hdf5_fixture.c - see hdf5_fixture.h. */
#include "hdf5_fixture.h"

#include "pools/settings.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char *fixture_path(const struct fixture *fixture, const char *name) {
    char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/%s", fixture->dir, name), 0);
    return path;
}

enum err fixture_try_open(struct fixture *fixture, struct op *op, const char *const *pairs,
                          struct pool **ret_pool) {
    op_init(op, 0, 0);
    struct settings *settings = settings_new(hdf5_pool_kind.options, hdf5_pool_kind.option_count);
    for (; pairs && *pairs; pairs++) {
        char name[64];
        const char *equals = strchr(*pairs, '=');
        snprintf(name, sizeof name, "%.*s", (int)(equals - *pairs), *pairs);
        ck_assert_int_eq(settings_set_stored(settings, op, name, equals + 1), OK);
    }
    ck_assert_int_eq(settings_finish(settings, op), OK);
    struct pool_environment environment = {.data_dir = fixture->dir, .spool_dir = fixture->spool_dir};
    enum err err = hdf5_pool_kind.open(op, &environment, "p", settings, ret_pool);
    if (err) {
        settings_free(settings);
    }
    return err;
}

void fixture_open(struct fixture *fixture) {
    *fixture = (struct fixture){0};
    snprintf(fixture->dir, sizeof fixture->dir, "/tmp/lailad-hdf5-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fixture->dir));
    struct op op;
    op_init(&op, 0, 0);
    char *spool = fixture_path(fixture, "spool");
    ck_assert_int_eq(spool_dir_open(&op, spool, UINT64_C(1) << 30, &fixture->spool_dir), OK);
    free(spool);
    fixture_reopen(fixture, NULL);
}

void fixture_reopen(struct fixture *fixture, const char *const *pairs) {
    pool_unref(fixture->pool);
    fixture->pool = NULL;
    struct op op;
    enum err err = fixture_try_open(fixture, &op, pairs, &fixture->pool);
    ck_assert_msg(err == OK, "open: %s", op.fault.detail);
}

void fixture_close(struct fixture *fixture) {
    pool_unref(fixture->pool);
    spool_dir_close(fixture->spool_dir);
    DIR *dir = opendir(fixture->dir);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;) {
        char *path = fixture_path(fixture, entry->d_name);
        if (unlink(path) != 0) {
            rmdir(path);
        }
        free(path);
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(fixture->dir), 0);
}

struct id id_of(const char *text) {
    return id_trusted(text, strlen(text));
}

enum err put_as(struct pool *pool, const char *id, const void *bytes, size_t count, enum hold hold,
                const char *type, const struct condition *condition, const struct fence *fence) {
    struct op op;
    op_init(&op, 0, 0);
    struct id key = id_of(id);
    struct write_options options = {.condition = condition, .fence = fence};
    meta_init(&options.meta);
    options.meta.size_bytes = count;
    options.meta.hold = hold;
    if (type) {
        snprintf(options.meta.content_type, sizeof options.meta.content_type, "%s", type);
    }
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    enum err err = pool_open_writer(pool, &op, &key, &options, &writer);
    const char *at = bytes;
    for (size_t left = count; !err && left;) {
        size_t piece = left < 100000 ? left : 100000;
        err = pool_writer_write(writer, &op, at, piece);
        at += piece;
        left -= piece;
    }
    struct commit_result result;
    if (!err) {
        err = pool_writer_commit(writer, &op, &result);
    }
    if (!err) {
        ck_assert_uint_eq(result.meta.size_bytes, count);
        ck_assert(result.meta.has_sha256);
        meta_fini(&result.meta);
    }
    return err;
}

void put_text(struct pool *pool, const char *id, const char *text) {
    ck_assert_int_eq(put_as(pool, id, text, strlen(text), HOLD_OWNED, "application/json", NULL, NULL), OK);
}

void put_cached(struct pool *pool, const char *id, const char *text) {
    ck_assert_int_eq(put_as(pool, id, text, strlen(text), HOLD_CACHED, "application/json", NULL, NULL), OK);
}

char *get(struct pool *pool, const char *id, size_t *ret_bytes) {
    struct op op;
    op_init(&op, 0, 0);
    struct id key = id_of(id);
    AUTO(reader_close) struct reader *reader = NULL;
    enum err err = pool_open_reader(pool, &op, &key, NULL, &reader);
    if (err == ERR_NOT_FOUND) {
        return NULL;
    }
    ck_assert_msg(err == OK, "open_reader: %s: %s", err_word(err), op.fault.detail);
    char *body = malloc(reader->meta.size_bytes + 1);
    size_t at = 0;
    for (size_t count = 1; count; at += count) {
        err = reader_read(reader, &op, body + at, reader->meta.size_bytes + 1 - at, &count);
        ck_assert_msg(err == OK, "read: %s: %s", err_word(err), op.fault.detail);
    }
    ck_assert_uint_eq(at, reader->meta.size_bytes);
    body[at] = '\0';
    if (ret_bytes) {
        *ret_bytes = at;
    }
    return body;
}

void expect_text(struct pool *pool, const char *id, const char *text) {
    char *body = get(pool, id, NULL);
    ck_assert_ptr_nonnull(body);
    ck_assert_str_eq(body, text);
    free(body);
}

void expect_absent(struct pool *pool, const char *id) {
    ck_assert_ptr_null(get(pool, id, NULL));
}

void drop(struct pool *pool, const char *id) {
    struct op op;
    op_init(&op, 0, 0);
    struct id key = id_of(id);
    bool existed = false;
    ck_assert_int_eq(pool_remove(pool, &op, &key, NULL, &existed), OK);
}

static int by_text(const void *a, const void *b) {
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

size_t count_listed(struct pool *pool, const char *prefix, unsigned limit) {
    struct op op;
    op_init(&op, 0, 0);
    struct listing all = {0};
    char *cursor = NULL;
    do {
        struct listing page = {0};
        ck_assert_int_eq(pool_list(pool, &op, prefix, cursor, limit, &page), OK);
        ck_assert_uint_le(page.count, limit);
        for (size_t i = 0; i < page.count; i++) {
            ck_assert_int_eq(listing_add(&all, &op, page.ids[i], strlen(page.ids[i])), OK);
        }
        free(cursor);
        cursor = page.next_cursor;
        page.next_cursor = NULL;
        listing_fini(&page);
    } while (cursor);
    if (all.count) {
        qsort(all.ids, all.count, sizeof *all.ids, by_text);
    }
    for (size_t i = 1; i < all.count; i++) {
        ck_assert_str_ne(all.ids[i - 1], all.ids[i]);
    }
    size_t count = all.count;
    listing_fini(&all);
    return count;
}
