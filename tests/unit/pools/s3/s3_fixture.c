/* s3_fixture.c - see s3_fixture.h. */
#include "s3_fixture.h"

#include "pools/base/spool.h"

#include <check.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct op op;

struct op *fresh_op(void) {
    return fresh_op_with(0);
}

struct op *fresh_op_with(uint64_t timeout_ns) {
    op_init(&op, 0, timeout_ns);
    return &op;
}

struct id id_of(const char *text) {
    struct op own;
    struct id id;
    op_init(&own, 0, 0);
    ck_assert_int_eq(id_from_bytes(&own, text, strlen(text), &id), OK);
    return id;
}

static struct settings *settings_for(struct op *own, const struct s3_setting *more, const char *endpoint) {
    struct settings *settings = settings_new(s3_pool_kind.options, s3_pool_kind.option_count);
    ck_assert_ptr_nonnull(settings);
    const struct s3_setting base[] = {{"bucket", "bucket"},
                                      {"access_key_id", FIXTURE_ACCESS},
                                      {"secret_access_key", FIXTURE_SECRET},
                                      {"endpoint", endpoint}};
    for (size_t i = 0; i < ARRAY_COUNT(base); i++) {
        if (base[i].text) {
            ck_assert_int_eq(settings_set_text(settings, own, base[i].name, base[i].text), OK);
        }
    }
    for (; more && more->name; more++) {
        enum err err = strcmp(more->name, "max_parallel") == 0
                           ? settings_set_number(settings, own, more->name, strtoll(more->text, NULL, 10))
                           : settings_set_text(settings, own, more->name, more->text);
        ck_assert_msg(err == OK, "%s: %s", more->name, own->fault.detail);
    }
    ck_assert_int_eq(settings_finish(settings, own), OK);
    return settings;
}

static struct spool_dir *spools(void) {
    static struct spool_dir *dir;
    if (!dir) {
        struct op own;
        op_init(&own, 0, 0);
        ck_assert_int_eq(spool_dir_open(&own, "/tmp", UINT64_C(1) << 30, &dir), OK);
    }
    return dir;
}

struct pool *s3_fixture_open(const char *endpoint, const struct s3_how *how) {
    struct op own;
    op_init(&own, 0, 0);
    struct settings *settings = settings_for(&own, how ? how->settings : NULL, endpoint);
    const struct pool_environment environment = {.spool_dir = spools(),
                                                 .data_dir = how ? how->data_dir : NULL};
    struct pool *pool = NULL;
    enum err err =
        s3_pool_open_with_clock(&own, &environment, "subject", settings, how ? how->clock : NULL, &pool);
    ck_assert_msg(err == OK, "%s", own.fault.detail);
    return pool;
}

struct pool *s3_fixture_open_port(unsigned port, const struct s3_how *how) {
    char endpoint[64];
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", port);
    return s3_fixture_open(endpoint, how);
}

enum err s3_fixture_try_open(struct op *own, const struct s3_setting *more) {
    struct settings *settings = settings_for(own, more, NULL);
    const struct pool_environment environment = {.spool_dir = spools()};
    struct pool *pool = NULL;
    enum err err = s3_pool_kind.open(own, &environment, "subject", settings, &pool);
    if (err == OK) {
        pool_unref(pool);
    } else {
        settings_free(settings);
    }
    return err;
}

enum err put(struct pool *pool, const char *text, const void *bytes, size_t count,
             const struct put_how *how) {
    static const struct put_how plain;
    how = how ? how : &plain;
    struct id id = id_of(text);
    struct write_options options = {.condition = how->condition, .fence = how->fence};
    meta_init(&options.meta);
    options.meta.hold = how->hold;
    if (how->content_type) {
        snprintf(options.meta.content_type, sizeof options.meta.content_type, "%s", how->content_type);
    }
    struct commit_result result;
    enum err err;
    if (how->as_entry) {
        struct blob *body = blob_copy(bytes, count);
        options.meta.has_sha256 = true;
        digest_sha256(bytes, count, options.meta.sha256);
        struct entry *entry = entry_new(&options.meta, body);
        blob_unref(body);
        err = pool_put_entry(pool, fresh_op(), &id, entry, how->condition, how->fence, &result);
        entry_unref(entry);
    } else {
        struct pool_writer *writer = NULL;
        err = pool_open_writer(pool, fresh_op(), &id, &options, &writer);
        err = err == OK ? pool_writer_write(writer, &op, bytes, count) : err;
        err = err == OK ? pool_writer_commit(writer, &op, &result) : err;
        pool_writer_close(writer);
    }
    if (err == OK) {
        ck_assert_uint_eq(result.meta.size_bytes, count);
        meta_fini(&result.meta);
    }
    return err;
}

enum err get(struct pool *pool, const char *text, uint8_t **ret_bytes, size_t *ret_count,
             struct meta *ret_meta) {
    struct id id = id_of(text);
    struct reader *reader = NULL;
    enum err err = pool_open_reader(pool, fresh_op(), &id, NULL, &reader);
    if (err != OK) {
        return err;
    }
    size_t size = 0, cap = 65536;
    uint8_t *bytes = malloc(cap);
    for (size_t got = 1; err == OK && got > 0; size += got) {
        if (size == cap) {
            cap *= 2;
            bytes = realloc(bytes, cap);
        }
        ck_assert_ptr_nonnull(bytes);
        got = 0;
        err = reader_read(reader, &op, bytes + size, cap - size, &got);
    }
    if (err == OK) {
        *ret_bytes = bytes;
        *ret_count = size;
        if (ret_meta) {
            meta_copy(ret_meta, &reader->meta);
        }
    } else {
        free(bytes);
    }
    reader_close(reader);
    return err;
}

void expect_body(struct pool *pool, const char *id, const void *bytes, size_t count) {
    uint8_t *got = NULL;
    size_t size = 0;
    enum err err = get(pool, id, &got, &size, NULL);
    ck_assert_msg(err == OK, "%s: %s", id, op.fault.detail);
    ck_assert_uint_eq(size, count);
    ck_assert(count == 0 || memcmp(got, bytes, count) == 0);
    free(got);
}

void expect_fault(enum err got, enum err err, enum reason reason) {
    ck_assert_msg(got == err && op.fault.reason == reason, "got %s (%s: %s), expected %s (%s)", err_word(got),
                  reason_slug(op.fault.reason), op.fault.detail, err_word(err), reason_slug(reason));
    const char *const never[] = {
        FIXTURE_SECRET, FIXTURE_ACCESS, "Signature=", "AWS4", "://127", "Credential"};
    for (size_t i = 0; i < ARRAY_COUNT(never); i++) {
        ck_assert_msg(!strstr(op.fault.detail, never[i]), "%s", op.fault.detail);
    }
}
