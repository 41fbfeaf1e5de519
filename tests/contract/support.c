/* support.c - see support.h. */
#include "tests/contract/support.h"

#include "pools/base/clock.h"

#include <stdio.h>

/* ---- the pool of the running test ---- */

static struct place fixture_place;
static struct pool *fixture_pool;

void fixture_setup(void) {
    place_make(&fixture_place);
    fixture_pool = subject_open(&fixture_place, NULL, 0);
}

void fixture_teardown(void) {
    pool_unref(fixture_pool);
    fixture_pool = NULL;
    place_remove(&fixture_place);
}

struct pool *the_pool(void) {
    return fixture_pool;
}

const struct place *the_place(void) {
    return &fixture_place;
}

void reopen_with(const struct setting *settings, size_t count) {
    pool_unref(fixture_pool);
    fixture_pool = subject_open(&fixture_place, settings, count);
}

struct op *fresh_op(void) {
    static _Thread_local struct op op;
    op_init(&op, 0, 60 * NS_PER_S);
    return &op;
}

struct id id_of(const char *text) {
    struct id id = {0};
    struct op op;
    op_init(&op, 0, 0);
    ck_assert_msg(id_from_bytes(&op, text, strlen(text), &id) == OK, "%s", op.fault.detail);
    return id;
}

/* ---- bodies ---- */

static uint8_t pattern_byte(size_t count, uint64_t seed, size_t index) {
    uint64_t word =
        (index / 8 + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (seed + 1) * UINT64_C(0xbf58476d1ce4e5b9) ^ count;
    word ^= word >> 29;
    word *= UINT64_C(0x94d049bb133111eb);
    return (uint8_t)(word >> (8 * (index % 8)));
}

struct body body_make(size_t count, uint64_t seed) {
    struct body body = {.bytes = malloc(count + 1), .count = count};
    ck_assert_ptr_nonnull(body.bytes);
    for (size_t i = 0; i < count; i++) {
        body.bytes[i] = pattern_byte(count, seed, i);
    }
    return body;
}

struct body body_text(const char *text) {
    struct body body = {.bytes = (uint8_t *)strdup(text), .count = strlen(text)};
    ck_assert_ptr_nonnull(body.bytes);
    return body;
}

void body_free(struct body *body) {
    free(body->bytes);
    *body = (struct body){0};
}

bool body_is_whole(const struct body *body, uint64_t seeds) {
    for (uint64_t seed = 0; seed < seeds; seed++) {
        size_t i = 0;
        while (i < body->count && body->bytes[i] == pattern_byte(body->count, seed, i)) {
            i++;
        }
        if (i == body->count) {
            return true;
        }
    }
    return false;
}

bool body_equal(const struct body *a, const struct body *b) {
    return a->count == b->count && (a->count == 0 || memcmp(a->bytes, b->bytes, a->count) == 0);
}

/* ---- writing ---- */

static enum err put_entry(struct op *op, const struct id *id, const struct body *body, const struct how *how,
                          const struct meta *meta, struct commit_result *ret_result) {
    AUTO(blob_unref) struct blob *blob = blob_copy(body->bytes, body->count);
    struct meta full = *meta;
    full.has_sha256 = true;
    digest_sha256(body->bytes, body->count, full.sha256);
    AUTO(entry_unref) struct entry *entry = entry_new(&full, blob);
    return pool_put_entry(the_pool(), op, id, entry, how->condition, how->fence, ret_result);
}

static enum err put_stream(struct op *op, const struct id *id, const struct body *body, const struct how *how,
                           const struct meta *meta, struct commit_result *ret_result) {
    struct write_options options = {.meta = *meta, .condition = how->condition, .fence = how->fence};
    options.meta.size_bytes = how->unknown_size ? SIZE_UNKNOWN : body->count;
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    enum err err = pool_open_writer(the_pool(), op, id, &options, &writer);
    size_t piece = how->piece ? how->piece : body->count;
    for (size_t at = 0; err == OK && at < body->count; at += piece) {
        size_t left = body->count - at;
        err = pool_writer_write(writer, op, body->bytes + at, left < piece ? left : piece);
    }
    return err ? err : pool_writer_commit(writer, op, ret_result);
}

enum err try_put(struct op *op, const char *id_text, const struct body *body, const struct how *how) {
    static const struct how plain = {0};
    how = how ? how : &plain;
    struct meta meta;
    meta_init(&meta);
    if (how->fence) {
        meta.hold = HOLD_CACHED;
    }
    if (how->meta) {
        meta = *how->meta;
    }
    struct id id = id_of(id_text);
    struct commit_result result = {0};
    enum err err = how->as_entry ? put_entry(op, &id, body, how, &meta, &result)
                                 : put_stream(op, &id, body, how, &meta, &result);
    if (err == OK) {
        if (how->ret_created) {
            *how->ret_created = result.created;
        }
        meta_fini(&result.meta);
    }
    return err;
}

void put_how(const char *id, const struct body *body, const struct how *how) {
    struct op *op = fresh_op();
    enum err err = try_put(op, id, body, how);
    ck_assert_msg(err == OK, "put of %.80s: %s: %s", id, err_word(err), op->fault.detail);
}

void put(const char *id, const struct body *body) {
    put_how(id, body, NULL);
}

void put_text(const char *id, const char *text) {
    struct body body = body_text(text);
    put(id, &body);
    body_free(&body);
}

void assert_put_fails(const char *id, const struct body *body, const struct how *how, enum err expected) {
    struct op *op = fresh_op();
    ck_assert_err(try_put(op, id, body, how), expected);
    ck_assert_int_eq(reason_kind(op->fault.reason), expected);
    ck_assert_msg(op->fault.detail[0] != '\0', "the fault has no sentence");
}

void fill_begin(struct fill *ret_fill, const char *id_text, const char *text) {
    *ret_fill = (struct fill){.body = body_text(text)};
    snprintf(ret_fill->id, sizeof ret_fill->id, "%s", id_text);
    struct id id = id_of(ret_fill->id);
    ck_assert_err(fence_raise(&the_pool()->fences, fresh_op(), &ret_fill->fence, &id), OK);
}

enum err fill_end(struct fill *fill, bool as_entry) {
    const struct how how = {.fence = &fill->fence, .as_entry = as_entry};
    fence_settling(&the_pool()->fences, &fill->fence);
    enum err err = try_put(fresh_op(), fill->id, &fill->body, &how);
    fence_lower(&the_pool()->fences, &fill->fence);
    body_free(&fill->body);
    return err;
}

void fill_text(const char *id, const char *text) {
    struct fill fill;
    fill_begin(&fill, id, text);
    ck_assert_err(fill_end(&fill, false), OK);
}

/* ---- reading ---- */

enum err read_all(struct op *op, struct reader *reader, size_t piece, struct body *ret_body) {
    size_t room = 4096;
    struct body body = {.bytes = malloc(room)};
    for (;;) {
        if (room - body.count < piece) {
            room = room * 2 + piece;
            body.bytes = realloc(body.bytes, room);
        }
        size_t count = 0;
        enum err err = reader_read(reader, op, body.bytes + body.count, piece, &count);
        if (err != OK) {
            body_free(&body);
            return err;
        }
        if (count == 0) {
            *ret_body = body;
            return OK;
        }
        body.count += count;
    }
}

static struct got get_with(struct op *op, const char *id_text, const struct read_options *options) {
    struct got got = {0};
    struct id id = id_of(id_text);
    AUTO(reader_close) struct reader *reader = NULL;
    got.err = pool_open_reader(the_pool(), op, &id, options, &reader);
    if (got.err == OK) {
        got.err = read_all(op, reader, 65536, &got.body);
    }
    if (got.err == OK) {
        meta_copy(&got.meta, &reader->meta);
    }
    return got;
}

struct got get(struct op *op, const char *id) {
    return get_with(op, id, NULL);
}

struct got get_range(struct op *op, const char *id, uint64_t offset, uint64_t length) {
    const struct read_options options = {.offset = offset, .length = length};
    return get_with(op, id, &options);
}

void got_free(struct got *got) {
    if (got->err == OK) {
        meta_fini(&got->meta);
        body_free(&got->body);
    }
}

void assert_holds(const char *id, const struct body *body) {
    struct op *op = fresh_op();
    struct got got = get(op, id);
    ck_assert_msg(got.err == OK, "read of %.80s: %s: %s", id, err_word(got.err), op->fault.detail);
    ck_assert_uint_eq(got.body.count, body->count);
    ck_assert_msg(body_equal(&got.body, body), "%.80s holds other bytes", id);
    ck_assert_uint_eq(got.meta.size_bytes, body->count);
    got_free(&got);
}

void assert_holds_text(const char *id, const char *text) {
    struct body body = body_text(text);
    assert_holds(id, &body);
    body_free(&body);
}

void assert_absent(const char *id_text) {
    struct op *op = fresh_op();
    struct got got = get(op, id_text);
    ck_assert_err(got.err, ERR_NOT_FOUND);
    ck_assert_int_eq(op->fault.reason, REASON_ENTRY_NOT_FOUND);
    struct id id = id_of(id_text);
    struct meta meta;
    ck_assert_err(pool_stat(the_pool(), fresh_op(), &id, &meta), ERR_NOT_FOUND);
    struct entry *entry = NULL;
    enum err peeked = pool_peek(the_pool(), &id, &entry);
    ck_assert_msg(peeked == ERR_NOT_FOUND || peeked == ERR_AGAIN, "peek: %s", err_word(peeked));
}

struct meta stat_of(const char *id_text) {
    struct id id = id_of(id_text);
    struct meta meta;
    struct op *op = fresh_op();
    enum err err = pool_stat(the_pool(), op, &id, &meta);
    ck_assert_msg(err == OK, "stat of %.80s: %s: %s", id_text, err_word(err), op->fault.detail);
    return meta;
}

void assert_hold(const char *id, enum hold hold) {
    struct meta meta = stat_of(id);
    ck_assert_int_eq(meta.hold, hold);
    meta_fini(&meta);
}

bool remove_id(const char *id_text) {
    struct id id = id_of(id_text);
    bool existed = false;
    struct op *op = fresh_op();
    enum err err = pool_remove(the_pool(), op, &id, NULL, &existed);
    ck_assert_msg(err == OK, "remove of %.80s: %s: %s", id_text, err_word(err), op->fault.detail);
    return existed;
}

/* ---- listing ---- */

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err try_list(struct op *op, const char *prefix, unsigned limit, struct names *ret_names) {
    struct names names = {0};
    char *cursor = NULL;
    for (;;) {
        struct listing listing = {0};
        enum err err = pool_list(the_pool(), op, prefix, cursor, limit, &listing);
        free(cursor);
        if (err != OK || listing.count > limit) {
            listing_fini(&listing);
            names_free(&names);
            return err != OK ? err : ERR_INTERNAL;
        }
        names.pages++;
        names.names = realloc(names.names, (names.count + listing.count + 1) * sizeof *names.names);
        for (size_t i = 0; i < listing.count; i++) {
            names.names[names.count++] = listing.ids[i];
            listing.ids[i] = NULL;
        }
        cursor = listing.next_cursor ? strdup(listing.next_cursor) : NULL;
        listing_fini(&listing);
        if (!cursor) {
            break;
        }
    }
    if (names.count > 0) {
        qsort(names.names, names.count, sizeof *names.names, compare_names);
    }
    *ret_names = names;
    return OK;
}

struct names list(const char *prefix, unsigned limit) {
    struct names names = {0};
    struct op *op = fresh_op();
    enum err err = try_list(op, prefix, limit, &names);
    ck_assert_msg(err == OK, "list: %s: %s", err_word(err), op->fault.detail);
    return names;
}

void names_free(struct names *names) {
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i]);
    }
    free(names->names);
    *names = (struct names){0};
}

size_t names_count(const struct names *names, const char *name) {
    size_t count = 0;
    for (size_t i = 0; i < names->count; i++) {
        count += strcmp(names->names[i], name) == 0;
    }
    return count;
}
