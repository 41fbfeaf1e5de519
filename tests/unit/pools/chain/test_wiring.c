/* test_wiring.c - links, cycles, generations, restarts; and what a read sees of a change. */
#include "pools/base/hash.h"
#include "pools/chain/wiring.h"
#include "pools/kinds.h"
#include "tests/fakes/fake_kind.h"
#include "tests/fakes/fake_pool.h"

#include <check.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64];
static struct op op;
static struct state *state;
static struct registry *registry;
static struct wiring *wiring;

static struct settings *memory_settings(void) {
    const struct pool_kind *memory = kinds_find("memory");
    struct settings *settings = settings_new(memory->options, memory->option_count);
    ck_assert_int_eq(settings_finish(settings, &op), OK);
    return settings;
}

static void open_pools(unsigned count) {
    const struct pool_environment environment = {.data_dir = dir};
    ck_assert_int_eq(state_open(&op, dir, &state), OK);
    registry = registry_new(&environment, NULL, state);
    for (unsigned i = 0; i < count; i++) {
        char nickname[16];
        bool opened;
        snprintf(nickname, sizeof nickname, "p%u", i);
        ck_assert_int_eq(
            registry_declare(registry, &op, nickname, &fake_kind, fake_settings(false, NULL), &opened), OK);
    }
    wiring = wiring_new(registry, state);
}

static void close_all(void) {
    wiring_free(wiring);
    registry_free(registry);
    state_close(state);
}

static void start(unsigned pools, const char *chain_text) {
    open_pools(pools);
    ck_assert_msg(wiring_start(wiring, &op, chain_text) == OK, "%s", op.fault.detail);
}

static void restart(unsigned pools, const char *chain_text) {
    close_all();
    start(pools, chain_text);
}

static void setup(void) {
    snprintf(dir, sizeof dir, "%s", "/tmp/lailad-wiring-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    op_init(&op, 0, 0);
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

static uint64_t expect_text(const char *expected) {
    struct buf buf;
    uint64_t generation = 0;
    buf_init(&buf, EXPR_MOST_BYTES);
    ck_assert_int_eq(wiring_text(wiring, &op, &buf, &generation), OK);
    ck_assert_str_eq(buf.data ? buf.data : "", expected);
    buf_fini(&buf);
    return generation;
}

static uint64_t generation_of(const char *nickname) {
    struct link link;
    ck_assert_int_eq(wiring_get(wiring, &op, nickname, &link), OK);
    return link.generation;
}

static enum err set(const char *nickname, const char *origin) {
    struct link link;
    enum err err = wiring_set(wiring, &op, nickname, origin, false, GENERATION_ANY, &link);
    if (!err) {
        ck_assert_str_eq(link.origin, origin ? origin : "");
    }
    return err;
}

static enum err apply(const char *text, bool replace) {
    struct expr_links links = {0};
    ck_assert_int_eq(expr_parse(&op, text, strlen(text), &links), OK);
    enum err err = wiring_apply(wiring, &op, &links, replace, GENERATION_ANY);
    expr_links_fini(&links);
    return err;
}

static struct tiers *tiers_of(const char *nickname) {
    struct pool *head = registry_get(registry, nickname);
    struct tiers *tiers = NULL;
    ck_assert_int_eq(wiring_tiers(wiring, &op, head, &tiers), OK);
    ck_assert_ptr_eq(tiers->tier[0].pool, head);
    pool_unref(head);
    return tiers;
}

static void expect_tiers(const char *nickname, unsigned count) {
    struct tiers *tiers = tiers_of(nickname);
    ck_assert_uint_eq(tiers->count, count);
    tiers_unref(tiers);
}

static bool is_evictable(const char *nickname) {
    struct pool *pool = registry_get(registry, nickname);
    bool evictable = fake_is_evictable(pool);
    pool_unref(pool);
    return evictable;
}

START_TEST(links_are_set_changed_and_cleared) {
    start(3, "");
    expect_text("");
    expect_tiers("p0", 1);
    ck_assert_int_eq(set("p0", "p1"), OK);
    ck_assert_int_eq(set("p1", "p2"), OK);
    expect_text("p0 << p1 << p2\n");
    expect_tiers("p0", 3);
    expect_tiers("p2", 1);
    ck_assert(is_evictable("p0") && is_evictable("p1") && !is_evictable("p2"));
    ck_assert_int_eq(set("p0", "p2"), OK);
    expect_text("p0 << p2\np1 << p2\n");
    ck_assert_int_eq(set("p0", NULL), OK);
    expect_text("p1 << p2\n");
    ck_assert(!is_evictable("p0"));
    ck_assert_int_eq(set("p0", "nobody"), ERR_NOT_FOUND);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_NOT_FOUND);
    ck_assert_int_eq(set("nobody", "p0"), ERR_NOT_FOUND);
    struct link link;
    ck_assert_int_eq(wiring_get(wiring, &op, "nobody", &link), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_cycle_is_refused_with_its_path) {
    start(3, "p0 << p1 << p2");
    uint64_t before = expect_text("p0 << p1 << p2\n");
    ck_assert_int_eq(set("p2", "p0"), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_PROXY_CYCLE);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "p0 << p1 << p2 << p0"));
    ck_assert_int_eq(set("p0", "p0"), ERR_CONFLICT);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "p0 << p0"));
    ck_assert_int_eq(apply("p1 << p0", false), ERR_CONFLICT);
    for (int replace = 0; replace < 2; replace++) { /* a cycle of one pool is a cycle by every road */
        ck_assert_int_eq(apply("p0 << p0", replace), ERR_CONFLICT);
        ck_assert_int_eq(op.fault.reason, REASON_PROXY_CYCLE);
        ck_assert_ptr_nonnull(strstr(op.fault.detail, "p0 << p0"));
    }
    ck_assert_uint_eq(expect_text("p0 << p1 << p2\n"), before);
    ck_assert_int_eq(apply("p2 << p1 << p0", true),
                     OK); /* the other way round is no cycle when it replaces */
    expect_text("p2 << p1 << p0\n");
}
END_TEST

START_TEST(every_change_raises_the_generation) {
    start(3, "");
    struct link link;
    ck_assert_int_eq(wiring_set(wiring, &op, "p0", "p1", false, generation_of("p0"), &link), OK);
    uint64_t first = link.generation;
    ck_assert_int_eq(set("p0", "p1"), OK); /* the same again is a change too */
    ck_assert_uint_gt(generation_of("p0"), first);
    ck_assert_int_eq(wiring_set(wiring, &op, "p0", "p2", false, first, &link), ERR_PRECONDITION);
    expect_text("p0 << p1\n");
    uint64_t second = generation_of("p0");
    ck_assert_int_eq(set("p1", "p2"), OK);
    ck_assert_uint_eq(generation_of("p0"), second); /* another pool's change is none of this one's */
    ck_assert_int_eq(wiring_set(wiring, &op, "p0", NULL, false, second, &link), OK);
    ck_assert_uint_gt(link.generation, second);

    uint64_t global = expect_text("p1 << p2\n");
    struct expr_links none = {0};
    ck_assert_int_eq(wiring_apply(wiring, &op, &none, true, global - 1), ERR_PRECONDITION);
    ck_assert_int_eq(wiring_apply(wiring, &op, &none, true, global), OK);
    ck_assert_uint_gt(expect_text(""), global);
}
END_TEST

START_TEST(applying_is_all_or_nothing) {
    start(4, "p0 << p1");
    uint64_t before = expect_text("p0 << p1\n");
    ck_assert_int_eq(apply("p1 << p2\np2 << nobody", false), ERR_NOT_FOUND);
    ck_assert_int_eq(apply("p1 << p2\np2 << p0", true), OK);
    expect_text("p1 << p2 << p0\n");
    ck_assert_int_eq(apply("p0 << p3", false), OK); /* adds */
    expect_text("p1 << p2 << p0 << p3\n");
    ck_assert_int_eq(apply("p1 << p3", false), OK); /* a new origin replaces the old one */
    expect_text("p1 << p3\np2 << p0 << p3\n");
    ck_assert_uint_gt(expect_text("p1 << p3\np2 << p0 << p3\n"), before);
}
END_TEST

START_TEST(on_tier_error_belongs_to_the_link) {
    start(3, "p0 << p1 << p2");
    struct link link;
    ck_assert_int_eq(wiring_set(wiring, &op, "p1", "p2", true, GENERATION_ANY, &link), OK);
    ck_assert(link.fail_on_tier_error);
    struct tiers *tiers = tiers_of("p0");
    ck_assert(!tiers->tier[0].fail_on_error && tiers->tier[1].fail_on_error && !tiers->tier[2].fail_on_error);
    tiers_unref(tiers);
    ck_assert_int_eq(apply("p0 << p1 << p2", true), OK); /* says nothing of it */
    restart(3, "p0 << p1 << p2");
    ck_assert_int_eq(wiring_get(wiring, &op, "p1", &link), OK);
    ck_assert(link.fail_on_tier_error);
    ck_assert_int_eq(set("p1", NULL), OK);
    ck_assert_int_eq(wiring_get(wiring, &op, "p1", &link), OK);
    ck_assert(!link.fail_on_tier_error);
}
END_TEST

START_TEST(the_wiring_survives_a_restart_unless_the_config_changed) {
    start(3, "p0 << p1");
    ck_assert_int_eq(set("p0", "p2"), OK);
    ck_assert_int_eq(set("p1", "p2"), OK);
    ck_assert_int_eq(set("p1", NULL), OK);
    uint64_t global = expect_text("p0 << p2\n");
    uint64_t p0 = generation_of("p0");
    uint64_t p1 = generation_of("p1");
    restart(3, "p0 << p1");
    ck_assert_uint_eq(expect_text("p0 << p2\n"), global);
    ck_assert_uint_eq(generation_of("p0"), p0);
    ck_assert_uint_eq(generation_of("p1"), p1); /* also of a link that is cleared */
    ck_assert(is_evictable("p0") && !is_evictable("p1"));
    restart(3, "p1 << p2");
    ck_assert_uint_gt(expect_text("p1 << p2\n"), global);
    ck_assert_uint_gt(generation_of("p0"), p0);
    restart(3, "p1 << p2");
    expect_text("p1 << p2\n");
    restart(3, NULL); /* no chain in the config is a text too */
    expect_text("");
}
END_TEST

START_TEST(links_to_vanished_pools_are_cleared) {
    start(4, "p0 << p1 << p2\np3 << p1");
    uint64_t p1 = generation_of("p1");
    restart(2, "p0 << p1 << p2\np3 << p1");
    expect_text("p0 << p1\n");
    ck_assert_uint_gt(generation_of("p1"), p1);
    expect_tiers("p0", 2);
    close_all();
    open_pools(2); /* a text that names a pool that is not there is an error of the config */
    ck_assert_int_eq(wiring_start(wiring, &op, "p0 << p7"), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "p7"));
    ck_assert_int_eq(wiring_start(wiring, &op, "p0 << p1 << p0"), ERR_CONFLICT);
    ck_assert_int_eq(wiring_start(wiring, &op, "p0 <"), ERR_INVALID);
}
END_TEST

START_TEST(tiers_are_remembered_until_a_change_and_then_kept_by_their_readers) {
    start(3, "p0 << p1");
    struct tiers *before = tiers_of("p0");
    struct tiers *same = tiers_of("p0");
    ck_assert_ptr_eq(before, same);
    ck_assert_int_eq(set("p0", "p2"), OK);
    struct tiers *after = tiers_of("p0");
    ck_assert_uint_gt(after->generation, before->generation);
    ck_assert_str_eq(before->tier[1].pool->nickname, "p1");
    ck_assert_str_eq(after->tier[1].pool->nickname, "p2");
    tiers_unref(before);
    tiers_unref(same);
    tiers_unref(after);
}
END_TEST

static enum err remove_pool(const char *nickname) {
    return registry_remove(registry, &op, nickname, wiring_in_use, wiring_drop_pool, wiring);
}

/* Beside the daemon's own connection. */
static void change_database(const char *sql) {
    char path[128];
    sqlite3 *database = NULL;
    snprintf(path, sizeof path, "%s/state.db", dir);
    ck_assert_int_eq(sqlite3_open(path, &database), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(database));
    sqlite3_close(database);
}

/* Pool and link go together or stay together, whichever of the two cannot be written. */
START_TEST(a_pool_that_cannot_be_dropped_keeps_its_link) {
    static const char *const tables[] = {"pool", "link"};
    start(2, "");
    struct pool *pool = NULL;
    ck_assert_int_eq(
        registry_add(registry, &op, "rest", kinds_find("memory"), memory_settings(), NULL, NULL, &pool), OK);
    pool_unref(pool);
    ck_assert_int_eq(set("rest", "p1"), OK);
    char sql[128];
    snprintf(sql, sizeof sql, "CREATE TRIGGER no BEFORE DELETE ON %s BEGIN SELECT RAISE(ABORT, 'no'); END",
             tables[_i]);
    change_database(sql);
    ck_assert_int_eq(remove_pool("rest"), ERR_UNAVAILABLE);
    expect_text("rest << p1\n");
    change_database("DROP TRIGGER no");
    close_all();
    open_pools(2);
    ck_assert_int_eq(registry_restore(registry, &op), OK);
    ck_assert_int_eq(wiring_start(wiring, &op, ""), OK);
    expect_text("rest << p1\n");
    ck_assert_int_eq(remove_pool("rest"), OK);
    expect_text("");
}
END_TEST

/* As on a full disk: a start that changes nothing must not need to write. */
START_TEST(a_start_saves_only_what_differs) {
    start(3, "p0 << p1");
    ck_assert_int_eq(set("p1", "p2"), OK);
    change_database("CREATE TRIGGER full BEFORE INSERT ON wiring BEGIN SELECT RAISE(ABORT, 'full'); END");
    restart(3, "p0 << p1");
    expect_text("p0 << p1 << p2\n");
    ck_assert(is_evictable("p0") && is_evictable("p1"));
    close_all();
    open_pools(3);
    ck_assert_int_eq(wiring_start(wiring, &op, "p0 << p2"), ERR_UNAVAILABLE);
    close_all();
    open_pools(2); /* p2 has vanished */
    ck_assert_int_eq(wiring_start(wiring, &op, "p0 << p1"), ERR_UNAVAILABLE);
    change_database("DROP TRIGGER full");
    restart(2, "p0 << p1");
    expect_text("p0 << p1\n");
}
END_TEST

START_TEST(a_first_start_without_a_chain_saves_nothing) {
    open_pools(2);
    change_database("CREATE TRIGGER full BEFORE INSERT ON wiring BEGIN SELECT RAISE(ABORT, 'full'); END");
    ck_assert_int_eq(wiring_start(wiring, &op, ""), OK);
    expect_text("");
    change_database("DROP TRIGGER full");
    ck_assert_int_eq(set("p0", "p1"), OK);
    restart(2, "");
    expect_text("p0 << p1\n");
}
END_TEST

START_TEST(a_pool_that_is_proxied_to_cannot_go) {
    start(2, "");
    struct pool *pool = NULL;
    ck_assert_int_eq(
        registry_add(registry, &op, "rest", &fake_kind, fake_settings(false, "s"), NULL, NULL, &pool), OK);
    pool_unref(pool);
    ck_assert_int_eq(set("p0", "rest"), OK);
    ck_assert_int_eq(set("rest", "p1"), OK);
    ck_assert_int_eq(remove_pool("rest"), ERR_CONFLICT);
    ck_assert_int_eq(op.fault.reason, REASON_POOL_IN_USE);
    ck_assert_ptr_nonnull(strstr(op.fault.detail, "'p0' proxies to 'rest'"));
    ck_assert_int_eq(set("p0", NULL), OK);
    expect_tiers("rest", 2);
    ck_assert_int_eq(remove_pool("rest"), OK);
    expect_text("");
    ck_assert_int_eq(set("p0", "rest"), ERR_NOT_FOUND);
}
END_TEST

static unsigned asked_in_use;

/* The first answer is wrong on purpose: the pool is then hidden, as when a link to it comes between the two questions. */
static enum err in_use_at_second(void *context, struct op *use_op, const char *nickname) {
    if (++asked_in_use == 1) {
        return OK;
    }
    struct pool *head = registry_get(registry, "p0");
    struct tiers *tiers = NULL;
    ck_assert_ptr_null(registry_get(registry, nickname));
    ck_assert_int_eq(wiring_tiers(wiring, use_op, head, &tiers), ERR_BUSY);
    ck_assert_int_eq(use_op->fault.reason, REASON_BUSY);
    ck_assert_ptr_nonnull(strstr(use_op->fault.detail, nickname));
    ck_assert_ptr_null(tiers);
    pool_unref(head);
    return wiring_in_use(context, use_op, nickname);
}

/* A shorter chain would tell that an entry is nowhere, and, remembered, would go on telling it. */
START_TEST(a_chain_that_meets_a_leaving_pool_is_not_cut_short) {
    start(2, "");
    struct pool *pool = NULL;
    ck_assert_int_eq(
        registry_add(registry, &op, "rest", kinds_find("memory"), memory_settings(), NULL, NULL, &pool), OK);
    pool_unref(pool);
    ck_assert_int_eq(set("p0", "rest"), OK);
    asked_in_use = 0;
    ck_assert_int_eq(registry_remove(registry, &op, "rest", in_use_at_second, wiring_drop_pool, wiring),
                     ERR_CONFLICT);
    ck_assert_uint_eq(asked_in_use, 2);
    expect_tiers("p0", 2);
}
END_TEST

/* Who still holds a removed pool may read on; the wiring does not keep it open. */
START_TEST(a_removed_pool_is_not_remembered) {
    start(1, "");
    struct pool *pool = NULL;
    ck_assert_int_eq(
        registry_add(registry, &op, "rest", kinds_find("memory"), memory_settings(), NULL, NULL, &pool), OK);
    expect_tiers("rest", 1);
    ck_assert_uint_gt(atomic_load(&pool->refs), 2); /* ours, the registry's, the remembered chain's */
    ck_assert_int_eq(remove_pool("rest"), OK);
    ck_assert_uint_eq(atomic_load(&pool->refs), 2); /* ours, and the registry's until it is the only one */
    struct tiers *tiers = NULL;
    ck_assert_int_eq(wiring_tiers(wiring, &op, pool, &tiers), OK);
    ck_assert_ptr_eq(tiers->tier[0].pool, pool);
    tiers_unref(tiers);
    ck_assert_uint_eq(atomic_load(&pool->refs), 2);
    pool_unref(pool);
}
END_TEST

START_TEST(sixty_four_tiers_and_not_too_many) {
    start(TIERS_MOST + 1, "");
    struct buf text;
    buf_init(&text, EXPR_MOST_BYTES);
    ck_assert_int_eq(buf_append_text(&text, "p0"), OK);
    for (int i = 1; i < 64; i++) {
        ck_assert_int_eq(buf_printf(&text, " << p%d", i), OK);
    }
    ck_assert_int_eq(apply(text.data, true), OK);
    expect_tiers("p0", 64);
    for (int i = 64; i < TIERS_MOST; i++) {
        ck_assert_int_eq(buf_printf(&text, " << p%d", i), OK);
    }
    ck_assert_int_eq(apply(text.data, true), OK);
    expect_tiers("p0", TIERS_MOST);
    char last[16];
    char beyond[16];
    snprintf(last, sizeof last, "p%d", TIERS_MOST - 1);
    snprintf(beyond, sizeof beyond, "p%d", TIERS_MOST);
    ck_assert_int_eq(set(last, beyond), ERR_INVALID);
    ck_assert_int_eq(set(last, "p5"), ERR_CONFLICT);
    buf_fini(&text);
}
END_TEST

static void *rewire(void *argument) {
    const char *const *pools = argument;
    struct op own;
    op_init(&own, 0, 0);
    for (int i = 0; i < 30; i++) {
        struct link link;
        ck_assert_int_eq(
            wiring_set(wiring, &own, pools[0], i % 2 ? pools[1] : NULL, false, GENERATION_ANY, &link), OK);
    }
    return NULL;
}

START_TEST(changes_from_many_threads_lose_nothing) {
    start(6, "");
    const char *pairs[3][2] = {{"p0", "p1"}, {"p2", "p3"}, {"p4", "p5"}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, rewire, pairs[i]), 0);
    }
    for (int i = 0; i < 200; i++) {
        struct tiers *tiers = tiers_of("p0");
        ck_assert(tiers->count == 1 || tiers->count == 2);
        tiers_unref(tiers);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    uint64_t generation = expect_text("p0 << p1\np2 << p3\np4 << p5\n");
    ck_assert_uint_ge(generation, 90);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("wiring");
    TCase *tcase = tcase_create("wiring");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, links_are_set_changed_and_cleared);
    tcase_add_test(tcase, a_cycle_is_refused_with_its_path);
    tcase_add_test(tcase, every_change_raises_the_generation);
    tcase_add_test(tcase, applying_is_all_or_nothing);
    tcase_add_test(tcase, on_tier_error_belongs_to_the_link);
    tcase_add_test(tcase, the_wiring_survives_a_restart_unless_the_config_changed);
    tcase_add_test(tcase, links_to_vanished_pools_are_cleared);
    tcase_add_test(tcase, tiers_are_remembered_until_a_change_and_then_kept_by_their_readers);
    tcase_add_test(tcase, a_start_saves_only_what_differs);
    tcase_add_test(tcase, a_first_start_without_a_chain_saves_nothing);
    tcase_add_test(tcase, a_pool_that_is_proxied_to_cannot_go);
    tcase_add_loop_test(tcase, a_pool_that_cannot_be_dropped_keeps_its_link, 0, 2);
    tcase_add_test(tcase, a_chain_that_meets_a_leaving_pool_is_not_cut_short);
    tcase_add_test(tcase, a_removed_pool_is_not_remembered);
    tcase_add_test(tcase, sixty_four_tiers_and_not_too_many);
    tcase_add_test(tcase, changes_from_many_threads_lose_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
