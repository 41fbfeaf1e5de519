/* compact_fixture.c - see compact_fixture.h. */
#include "compact_fixture.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct fixture fixture;

static void set_up(void) {
    fixture_open(&fixture);
}

static void tear_down(void) {
    fixture_close(&fixture);
}

TCase *new_case(Suite *suite, const char *name) {
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

int run_suite(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int64_t size_of(const char *name) {
    char *path = fixture_path(&fixture, name);
    struct stat status;
    int64_t bytes = stat(path, &status) == 0 ? (int64_t)status.st_size : -1;
    free(path);
    return bytes;
}

enum err ask(enum upkeep_action action) {
    struct op op;
    op_init(&op, 0, 0);
    return pool_upkeep(fixture.pool, &op, UPKEEP_COMPACT, action);
}

struct upkeep_status look(void) {
    struct op op;
    op_init(&op, 0, 0);
    struct upkeep_status status;
    ck_assert_int_eq(pool_get_upkeep(fixture.pool, &op, UPKEEP_COMPACT, &status), OK);
    upkeep_status_fini(&status);
    return status;
}

struct upkeep_status await(enum upkeep_state state) {
    struct upkeep_status status = look();
    while (status.state != state) {
        bool under_way = status.state == UPKEEP_RUNNING || status.state == UPKEEP_NOT_STARTED;
        ck_assert_msg(under_way, "%s: %s", upkeep_state_word(status.state), status.fault.detail);
        sched_yield();
        status = look();
    }
    return status;
}

struct upkeep_status compact(void) {
    ck_assert_int_eq(ask(UPKEEP_START), OK);
    return await(UPKEEP_FINISHED);
}

char *make_body(size_t bytes, unsigned seed) {
    char *body = malloc(bytes + 1);
    uint32_t state = seed * 2654435761u + 1;
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525u + 1013904223u;
        body[i] = seed % 2 ? (char)(state >> 24) : (char)('a' + (state >> 24) % 26);
    }
    body[bytes] = '\0';
    return body;
}

void put_made(const char *id, size_t bytes, unsigned seed, enum hold hold) {
    char *body = make_body(bytes, seed);
    ck_assert_int_eq(put_as(fixture.pool, id, body, bytes, hold, NULL, NULL, NULL), OK);
    free(body);
}

void expect_made(const char *id, size_t bytes, unsigned seed) {
    char *body = make_body(bytes, seed);
    size_t got_bytes = 0;
    char *got = get(fixture.pool, id, &got_bytes);
    ck_assert_msg(got != NULL, "%s is gone", id);
    ck_assert_uint_eq(got_bytes, bytes);
    ck_assert_msg(memcmp(got, body, bytes) == 0, "%s is another", id);
    free(got);
    free(body);
}

static const struct {
    const char *id;
    size_t bytes;
    unsigned seed;
    enum hold hold;
} shapes[SHAPES] = {
    {"text", 1000, 2, HOLD_OWNED},
    {"bytes", 1000, 3, HOLD_OWNED},
    {"empty", 0, 4, HOLD_OWNED},
    {"one", 1, 6, HOLD_OWNED},
    {".", 10, 8, HOLD_OWNED},
    {"a/b c%2F\xc3\xa4", 20, 10, HOLD_OWNED},
    {"large text", 3000000, 12, HOLD_OWNED},
    {"large bytes", 5000001, 13, HOLD_OWNED},
    {"just large", 262144, 14, HOLD_OWNED},
    {"just not", 262143, 15, HOLD_OWNED},
    {"a copy", 500, 16, HOLD_CACHED},
    {"a large copy", 700000, 17, HOLD_CACHED},
};

void put_shapes(void) {
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        put_made(shapes[i].id, shapes[i].bytes, shapes[i].seed, shapes[i].hold);
    }
}

void expect_shape_bodies(void) {
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        expect_made(shapes[i].id, shapes[i].bytes, shapes[i].seed);
    }
}

void expect_shapes(void) {
    expect_shape_bodies();
    for (size_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        struct op op;
        op_init(&op, 0, 0);
        struct meta meta;
        struct id id = id_of(shapes[i].id);
        ck_assert_int_eq(pool_stat(fixture.pool, &op, &id, &meta), OK);
        ck_assert_int_eq(meta.hold, shapes[i].hold);
        ck_assert(meta.has_sha256);
        meta_fini(&meta);
    }
    ck_assert_uint_eq(count_listed(fixture.pool, "", 3), ARRAY_COUNT(shapes));
}
