/* test_registry.c - live pools by nickname: declared, registered over HTTP, restored, broken, removed. */
#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/kinds.h"
#include "pools/registry_slots.h"
#include "tests/fakes/fake_kind.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];
static struct op op;
static struct state *state;
static struct registry *registry;

/* What ${PASSWORD} stands for; NULL = nothing any more. */
static const char *password = "hunter2";

static const char *find_secret(void *context, const char *name) {
    (void)context;
    return strcmp(name, "PASSWORD") == 0 ? password : NULL;
}

static void open_all(void) {
    const struct pool_environment environment = {.data_dir = dir};
    ck_assert_int_eq(state_open(&op, dir, &state), OK);
    const struct secret_names names = {.find = find_secret};
    registry = registry_new(&environment, &names, state);
    ck_assert_ptr_nonnull(registry);
}

static void close_all(void) {
    registry_free(registry);
    state_close(state);
}

static void setup(void) {
    snprintf(dir, sizeof dir, "%s", "/tmp/lailad-registry-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    op_init(&op, 0, 0);
    open_all();
}

static void teardown(void) {
    static const char *const names[] = {"state.db", "state.db-wal", "state.db-shm", "state.key", "lock"};
    close_all();
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static struct settings *memory_settings(const char *max_bytes) {
    const struct pool_kind *memory = kinds_find("memory");
    struct settings *settings = settings_new(memory->options, memory->option_count);
    ck_assert_int_eq(settings_set_text(settings, &op, "max_bytes", max_bytes), OK);
    ck_assert_int_eq(settings_finish(settings, &op), OK);
    return settings;
}

static void declare(const char *nickname, bool fail) {
    bool opened = false;
    ck_assert_int_eq(
        registry_declare(registry, &op, nickname, &fake_kind, fake_settings(fail, NULL), &opened), OK);
    ck_assert(opened == !fail);
}

static void add_memory(const char *nickname) {
    struct pool *pool = NULL;
    ck_assert_int_eq(registry_add(registry, &op, nickname, kinds_find("memory"), memory_settings("1MiB"),
                                  NULL, NULL, &pool),
                     OK);
    ck_assert_str_eq(pool->nickname, nickname);
    pool_unref(pool);
}

static void expect_status(const char *nickname, enum pool_state wanted, const char *reason) {
    struct pool *pool = NULL;
    ck_assert_int_eq(registry_find(registry, &op, nickname, &pool), OK);
    struct pool_status status;
    pool_get_status(pool, &status);
    ck_assert_int_eq(status.state, wanted);
    ck_assert_msg(strstr(status.reason, reason) != NULL, "%s", status.reason);
    pool_unref(pool);
}

static enum err not_in_use(void *context, struct op *use_op, const char *nickname) {
    (void)use_op;
    (void)nickname;
    ++*(unsigned *)context;
    return OK;
}

static enum err in_use(void *context, struct op *use_op, const char *nickname) {
    (void)context;
    return op_fail(use_op, REASON_POOL_IN_USE, "'alpha' proxies to '%s'", nickname);
}

static enum err drop_from_state(void *context, struct op *use_op, const char *nickname) {
    (void)context;
    const struct state_wiring none = {0};
    return state_save_wiring(state, use_op, &none, nickname);
}

static enum err cannot_drop(void *context, struct op *use_op, const char *nickname) {
    (void)context;
    ck_assert_ptr_null(registry_get(registry, nickname)); /* reserved: nobody can link to it any more */
    return op_fail(use_op, REASON_IO, "scripted not to be dropped");
}

START_TEST(declared_pools_are_found_and_not_removed) {
    declare("alpha", false);
    declare("beta", false);
    struct pool *pool = registry_get(registry, "beta");
    ck_assert_ptr_nonnull(pool);
    pool_unref(pool);
    ck_assert_ptr_null(registry_get(registry, "gamma"));
    ck_assert_int_eq(registry_find(registry, &op, "gamma", &pool), ERR_NOT_FOUND);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_NOT_FOUND);
    ck_assert(registry_is_declared(registry, "beta"));
    ck_assert(!registry_is_declared(registry, "gamma"));
    unsigned asked = 0;
    ck_assert_int_eq(registry_remove(registry, &op, "alpha", not_in_use, drop_from_state, &asked),
                     ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_PERMANENT);
    ck_assert_int_eq(registry_remove(registry, &op, "beta", not_in_use, drop_from_state, &asked),
                     ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_DECLARED_IN_CONFIG);
    ck_assert_int_eq(registry_remove(registry, &op, "gamma", not_in_use, drop_from_state, &asked),
                     ERR_NOT_FOUND);
}
END_TEST

START_TEST(all_is_sorted) {
    static const char *const nicknames[] = {"m", "z", "a", "b10", "b1"};
    for (size_t i = 0; i < ARRAY_COUNT(nicknames); i++) {
        declare(nicknames[i], false);
    }
    struct pool **pools = NULL;
    size_t count = 0;
    ck_assert_int_eq(registry_all(registry, &op, &pools, &count), OK);
    ck_assert_uint_eq(count, 5);
    static const char *const sorted[] = {"a", "b1", "b10", "m", "z"};
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(pools[i]->nickname, sorted[i]);
        pool_unref(pools[i]);
    }
    free(pools);
}
END_TEST

START_TEST(nicknames_are_checked_and_unique) {
    declare("alpha", false);
    bool opened;
    struct pool *pool = NULL;
    struct settings *settings = fake_settings(false, NULL);
    ck_assert_int_eq(registry_add(registry, &op, "alpha", &fake_kind, settings, NULL, NULL, &pool),
                     ERR_EXISTS);
    ck_assert_int_eq(registry_declare(registry, &op, "alpha", &fake_kind, settings, &opened), ERR_EXISTS);
    ck_assert_int_eq(registry_add(registry, &op, "no/pe", &fake_kind, settings, NULL, NULL, &pool),
                     ERR_INVALID);
    ck_assert_int_eq(registry_add(registry, &op, "", &fake_kind, settings, NULL, NULL, &pool), ERR_INVALID);
    ck_assert_ptr_null(pool);
    settings_free(settings); /* still ours after a failure */
}
END_TEST

START_TEST(a_declared_pool_that_cannot_be_opened_is_there_and_says_why) {
    declare("bad", true);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "scripted not to open"));
    expect_status("bad", POOL_FAILED, "scripted not to open");
    struct pool *pool = registry_get(registry, "bad");
    ck_assert_str_eq(pool->ops->kind, "fake");
    ck_assert(settings_flag(pool->settings, "fail"));
    struct id id = id_trusted("k", 1);
    struct entry *entry = NULL;
    struct reader *reader = NULL;
    struct meta meta;
    uint64_t removed = 0;
    bool existed = false;
    ck_assert_int_eq(pool_peek(pool, &id, &entry), ERR_AGAIN);
    ck_assert_int_eq(pool_open_reader(pool, &op, &id, NULL, &reader), ERR_UNAVAILABLE);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_FAILED);
    ck_assert_str_eq(op.fault.pool, "bad");
    ck_assert_int_eq(pool_stat(pool, &op, &id, &meta), ERR_UNAVAILABLE);
    ck_assert_int_eq(pool_remove(pool, &op, &id, NULL, &existed), ERR_UNAVAILABLE);
    ck_assert_int_eq(pool_empty(pool, &op, &removed), ERR_UNAVAILABLE);
    struct listing listing = {0};
    ck_assert_int_eq(pool_list(pool, &op, "", NULL, 10, &listing), ERR_UNAVAILABLE);
    struct write_options options = {.condition = NULL};
    meta_init(&options.meta);
    struct pool_writer *writer = NULL;
    ck_assert_int_eq(pool_open_writer(pool, &op, &id, &options, &writer), ERR_UNAVAILABLE);
    ck_assert(!pool_proves_not_owned(pool, &id));
    pool_unref(pool);
}
END_TEST

START_TEST(a_registered_pool_that_cannot_be_opened_is_refused) {
    struct pool *pool = NULL;
    struct settings *settings = fake_settings(true, NULL);
    ck_assert_int_eq(registry_add(registry, &op, "bad", &fake_kind, settings, NULL, NULL, &pool),
                     ERR_UNAVAILABLE);
    ck_assert_ptr_null(registry_get(registry, "bad"));
    settings_free(settings);
    add_memory("bad"); /* the nickname is free again */
}
END_TEST

/* A kind whose one file somebody holds: it is in use until nobody does any more. */
static struct pool *holder; /* given back at the next opening */
static unsigned openings;
static bool is_held;

static enum err open_held(struct op *open_op, const struct pool_environment *environment,
                          const char *nickname, struct settings *settings, struct pool **ret_pool) {
    openings++;
    if (is_held) {
        is_held = holder == NULL;
        pool_unref(holder); /* the registry's reference is the last */
        holder = NULL;
        return op_fail(open_op, REASON_FILE_IN_USE, "scripted to be in use");
    }
    return fake_kind.open(open_op, environment, nickname, settings, ret_pool);
}

static enum err add_held(void) {
    struct pool_kind kind = fake_kind;
    kind.open = open_held;
    struct pool *pool = NULL;
    struct settings *settings = fake_settings(false, NULL);
    openings = 0;
    enum err err = registry_add(registry, &op, "held", &kind, settings, NULL, NULL, &pool);
    if (err) {
        settings_free(settings);
    }
    pool_unref(pool);
    return err;
}

START_TEST(a_registration_waits_for_the_close_of_what_was_removed) {
    unsigned asked = 0;
    is_held = false;
    ck_assert_int_eq(add_held(), OK);
    holder = registry_get(registry, "held");
    ck_assert_int_eq(registry_remove(registry, &op, "held", not_in_use, drop_from_state, &asked), OK);
    is_held = true;
    ck_assert_int_eq(add_held(), OK);
    ck_assert_uint_eq(openings, 2);
}
END_TEST

START_TEST(but_not_for_others_and_not_for_ever) {
    unsigned asked = 0;
    is_held = true;
    holder = NULL;
    ck_assert_int_eq(add_held(), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_FILE_IN_USE);
    ck_assert_uint_eq(openings, 1); /* nothing is about to be closed */
    add_memory("used");
    struct pool *used = registry_get(registry, "used");
    ck_assert_int_eq(registry_remove(registry, &op, "used", not_in_use, drop_from_state, &asked), OK);
    op_init(&op, 0, 100 * NS_PER_MS);
    ck_assert_int_eq(add_held(), ERR_CONFLICT);
    ck_assert_uint_eq(openings, 1);
    ck_assert_int_eq(op.fault.reason, REASON_FILE_IN_USE);
    op_init(&op, 0, 0);
    pool_unref(used);
}
END_TEST

START_TEST(registered_pools_are_restored) {
    add_memory("one");
    add_memory("two");
    close_all();
    open_all();
    declare("two", false); /* now in the configuration: it wins */
    ck_assert_int_eq(registry_restore(registry, &op), OK);
    struct pool *pool = registry_get(registry, "one");
    ck_assert_str_eq(pool->ops->kind, "memory");
    ck_assert_uint_eq(settings_number(pool->settings, "max_bytes"), 1 << 20);
    pool_unref(pool);
    ck_assert(!registry_is_declared(registry, "one"));
    pool = registry_get(registry, "two");
    ck_assert_str_eq(pool->ops->kind, "fake");
    pool_unref(pool);
}
END_TEST

START_TEST(what_cannot_be_restored_is_broken_or_left_out) {
    const struct state_option too_small = {"max_bytes", "1MiB", false};
    const struct state_option fills[] = {{"max_bytes", "1MiB", false}, {"max_fill_bytes", "2MiB", false}};
    const struct state_option vanished = {"no_such_option", "x", false};
    ck_assert_int_eq(state_put_pool(state, &op, "good", "memory", &too_small, 1), OK);
    ck_assert_int_eq(state_put_pool(state, &op, "bad", "memory", fills, 2), OK);
    ck_assert_int_eq(state_put_pool(state, &op, "odd", "memory", &vanished, 1), OK);
    ck_assert_int_eq(state_put_pool(state, &op, "alien", "no-such-kind", NULL, 0), OK);
    ck_assert_int_eq(registry_restore(registry, &op), OK);
    expect_status("good", POOL_OK, "");
    expect_status("bad", POOL_FAILED, "max_fill_bytes");
    expect_status("odd", POOL_FAILED, "no_such_option");
    ck_assert_ptr_null(registry_get(registry, "alien"));
}
END_TEST

/* ---- ${NAME} ---- */

static struct settings *named_settings(const char *reference) {
    struct settings *settings = settings_new(fake_kind.options, fake_kind.option_count);
    ck_assert_int_eq(settings_set_reference(settings, &op, "secret", reference), OK);
    ck_assert_int_eq(settings_finish(settings, &op), OK);
    return settings;
}

static enum err see_secret(void *context, struct op *visit_op, const char *nickname, const char *kind,
                           const struct state_option *options, size_t count) {
    (void)visit_op, (void)nickname, (void)kind;
    char *seen = context;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(options[i].name, "secret") == 0) {
            snprintf(seen, 64, "%s%s", options[i].sealed ? "sealed " : "", options[i].text);
        }
    }
    return OK;
}

/* The pool has the value, state.db the name. */
START_TEST(a_named_secret_is_stored_by_name) {
    struct pool *pool = NULL;
    ck_assert_int_eq(
        registry_add(registry, &op, "one", &fake_kind, named_settings("${PASSWORD}"), NULL, NULL, &pool), OK);
    ck_assert_str_eq(settings_text(pool->settings, "secret"), "hunter2");
    pool_unref(pool);
    char seen[64] = "";
    ck_assert_int_eq(state_each_pool(state, &op, see_secret, seen), OK);
    ck_assert_str_eq(seen, "${PASSWORD}");
    close_all();
    char path[128];
    snprintf(path, sizeof path, "%s/state.key", dir);
    ck_assert_int_eq(access(path, F_OK), -1); /* nothing was sealed */
    open_all();
}
END_TEST

START_TEST(a_literal_secret_is_stored_sealed) {
    struct pool *pool = NULL;
    ck_assert_int_eq(
        registry_add(registry, &op, "one", &fake_kind, fake_settings(false, "literal"), NULL, NULL, &pool),
        OK);
    pool_unref(pool);
    char seen[64] = "";
    ck_assert_int_eq(state_each_pool(state, &op, see_secret, seen), OK);
    ck_assert_str_eq(seen, "sealed literal");
}
END_TEST

START_TEST(a_name_without_a_value_is_refused) {
    struct pool *pool = NULL;
    struct settings *settings = named_settings("${OTHER}");
    ck_assert_int_eq(registry_add(registry, &op, "one", &fake_kind, settings, NULL, NULL, &pool),
                     ERR_INVALID);
    ck_assert_int_eq(op.fault.reason, REASON_INVALID_CONFIG);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "${OTHER}"));
    ck_assert_ptr_null(registry_get(registry, "one"));
    settings_free(settings);
}
END_TEST

/* fake_kind is not in the table of kinds; the state of a pool of one that is will do. */
static void expect_restored(const char *reference, enum pool_state wanted, const char *says) {
    const struct state_option options[] = {{"access_key_id", "id", true},
                                           {"bucket", "b", false},
                                           {"endpoint", "http://127.0.0.1:9", false},
                                           {"region", "r", false},
                                           {"secret_access_key", reference, false}};
    ck_assert_int_eq(state_put_pool(state, &op, "one", "s3", options, ARRAY_COUNT(options)), OK);
    close_all();
    open_all();
    ck_assert_int_eq(registry_restore(registry, &op), OK);
    expect_status("one", wanted, says);
}

START_TEST(a_named_secret_is_looked_up_at_every_start) {
    expect_restored("${PASSWORD}", POOL_OK, "");
    struct pool *pool = registry_get(registry, "one");
    ck_assert_str_eq(settings_text(pool->settings, "secret_access_key"), "hunter2");
    pool_unref(pool);
    password = "changed";
    expect_restored("${PASSWORD}", POOL_OK, "");
    pool = registry_get(registry, "one");
    ck_assert_str_eq(settings_text(pool->settings, "secret_access_key"), "changed");
    pool_unref(pool);
    password = NULL; /* the configuration does not allow it any more, or it has no value */
    expect_restored("${PASSWORD}", POOL_NEEDS_CREDENTIALS, "${PASSWORD}");
    password = "hunter2";
    expect_restored("in the clear", POOL_NEEDS_CREDENTIALS, "secret_access_key");
}
END_TEST

START_TEST(a_pool_in_use_stays) {
    add_memory("one");
    ck_assert_int_eq(registry_remove(registry, &op, "one", in_use, drop_from_state, NULL), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_IN_USE);
    struct pool *pool = registry_get(registry, "one");
    ck_assert_ptr_nonnull(pool);
    unsigned asked = 0;
    ck_assert_int_eq(registry_remove(registry, &op, "one", not_in_use, drop_from_state, &asked), OK);
    ck_assert_uint_eq(asked, 2);
    ck_assert_ptr_null(registry_get(registry, "one"));
    /* Whoever held the pool finishes on it. */
    struct pool_status status;
    pool_get_status(pool, &status);
    ck_assert_int_eq(status.state, POOL_OK);
    pool_unref(pool);
    close_all();
    open_all();
    ck_assert_int_eq(registry_restore(registry, &op), OK);
    ck_assert_ptr_null(registry_get(registry, "one"));
}
END_TEST

START_TEST(a_removed_pool_is_closed_by_who_reaps_not_by_its_last_reader) {
    add_memory("one");
    add_memory("two");
    unsigned asked = 0;
    struct pool *pool = registry_get(registry, "one");
    ck_assert_int_eq(registry_remove(registry, &op, "one", not_in_use, drop_from_state, &asked), OK);
    ck_assert_int_eq(registry_remove(registry, &op, "two", not_in_use, drop_from_state, &asked), OK);
    ck_assert_uint_eq(atomic_load(&registry->retired_count), 1); /* nobody held the second */
    registry_reap(registry);
    ck_assert_uint_eq(atomic_load(&registry->retired_count), 1);
    pool_unref(pool);
    ck_assert_uint_eq(atomic_load(&pool->refs), 1);
    registry_reap(registry);
    ck_assert_uint_eq(atomic_load(&registry->retired_count), 0);
    /* One that nobody reaps goes with the registry. */
    add_memory("one");
    pool = registry_get(registry, "one");
    ck_assert_int_eq(registry_remove(registry, &op, "one", not_in_use, drop_from_state, &asked), OK);
    pool_unref(pool);
}
END_TEST

START_TEST(a_pool_that_cannot_be_dropped_stays) {
    add_memory("one");
    unsigned asked = 0;
    ck_assert_int_eq(registry_remove(registry, &op, "one", not_in_use, cannot_drop, &asked), ERR_UNAVAILABLE);
    expect_status("one", POOL_OK, "");
    close_all();
    open_all();
    ck_assert_int_eq(registry_restore(registry, &op), OK);
    expect_status("one", POOL_OK, "");
    ck_assert_int_eq(registry_remove(registry, &op, "one", not_in_use, drop_from_state, &asked), OK);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("registry");
    TCase *tcase = tcase_create("registry");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, declared_pools_are_found_and_not_removed);
    tcase_add_test(tcase, all_is_sorted);
    tcase_add_test(tcase, nicknames_are_checked_and_unique);
    tcase_add_test(tcase, a_declared_pool_that_cannot_be_opened_is_there_and_says_why);
    tcase_add_test(tcase, a_registered_pool_that_cannot_be_opened_is_refused);
    tcase_add_test(tcase, a_registration_waits_for_the_close_of_what_was_removed);
    tcase_add_test(tcase, but_not_for_others_and_not_for_ever);
    tcase_add_test(tcase, registered_pools_are_restored);
    tcase_add_test(tcase, what_cannot_be_restored_is_broken_or_left_out);
    tcase_add_test(tcase, a_named_secret_is_stored_by_name);
    tcase_add_test(tcase, a_literal_secret_is_stored_sealed);
    tcase_add_test(tcase, a_name_without_a_value_is_refused);
    tcase_add_test(tcase, a_named_secret_is_looked_up_at_every_start);
    tcase_add_test(tcase, a_pool_in_use_stays);
    tcase_add_test(tcase, a_removed_pool_is_closed_by_who_reaps_not_by_its_last_reader);
    tcase_add_test(tcase, a_pool_that_cannot_be_dropped_stays);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
