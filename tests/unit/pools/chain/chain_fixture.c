/* chain_fixture.c - see chain_fixture.h. */
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct pool_capabilities fixture_remote = {.remote = true, .create_only = true, .stores_hold = true};

static void make_flights(struct fixture *fixture) {
    const struct flights_limits limits = {.entry_most_bytes = FIXTURE_ENTRY_MOST,
                                          .flight_max_bytes = FIXTURE_FLIGHT_MOST};
    fixture->flights = flights_new(fixture->executor, fixture->spool_dir, &limits);
    ck_assert_ptr_nonnull(fixture->flights);
}

static struct tiers *make_tiers(uint64_t generation, unsigned count) {
    struct tiers *tiers = calloc(1, sizeof *tiers + count * sizeof(struct tier));
    ck_assert_ptr_nonnull(tiers);
    atomic_init(&tiers->refs, 1);
    tiers->generation = generation;
    tiers->count = count;
    return tiers;
}

void fixture_start(struct fixture *fixture, unsigned pool_count, bool remote_origin, uint64_t spool_bytes) {
    const unsigned threads[LANE_COUNT] = {1, 1, 4, 4};
    struct op op;
    op_init(&op, 0, 0);
    *fixture = (struct fixture){.pool_count = pool_count};
    snprintf(fixture->dir, sizeof fixture->dir, "%s", "/tmp/lailad-chain-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(fixture->dir));
    fixture->executor = executor_new(threads);
    ck_assert_ptr_nonnull(fixture->executor);
    ck_assert_int_eq(spool_dir_open(&op, fixture->dir, spool_bytes, &fixture->spool_dir), OK);
    make_flights(fixture);
    for (unsigned i = 0; i < pool_count; i++) {
        char nickname[16];
        snprintf(nickname, sizeof nickname, "t%u", i);
        fixture->pool[i] =
            fake_pool_new(nickname, remote_origin && i + 1 == pool_count ? &fixture_remote : NULL);
    }
    fixture->chain = make_tiers(1, pool_count);
    for (unsigned i = 0; i < pool_count; i++) {
        fixture->chain->tier[i].pool = pool_ref(fixture->pool[i]);
    }
}

void fixture_replace(struct fixture *fixture, unsigned index, const struct pool_capabilities *capabilities) {
    struct pool *pool = fake_pool_new(fixture->pool[index]->nickname, capabilities);
    pool_unref(fixture->chain->tier[index].pool);
    pool_unref(fixture->pool[index]);
    fixture->pool[index] = pool;
    fixture->chain->tier[index].pool = pool_ref(pool);
}

void fixture_stop(struct fixture *fixture) {
    tiers_unref(fixture->chain); /* flights under way keep theirs */
    flights_drain(fixture->flights, false);
    flights_free(fixture->flights);
    executor_free(fixture->executor);
    spool_dir_close(fixture->spool_dir);
    for (unsigned i = 0; i < fixture->pool_count; i++) {
        ck_assert_uint_eq(atomic_load(&fixture->pool[i]->refs), 1);
        pool_unref(fixture->pool[i]);
    }
    rmdir(fixture->dir);
}

void fixture_settle(struct fixture *fixture) {
    flights_drain(fixture->flights, false);
    flights_free(fixture->flights);
    make_flights(fixture);
}

struct tiers *fixture_tiers(struct fixture *fixture, uint64_t generation, unsigned count, ...) {
    struct tiers *tiers = make_tiers(generation, count);
    va_list indexes;
    va_start(indexes, count);
    for (unsigned i = 0; i < count; i++) {
        tiers->tier[i].pool = pool_ref(fixture->pool[va_arg(indexes, unsigned)]);
    }
    va_end(indexes);
    return tiers;
}

static void wake_client(void *context) {
    struct client *client = context;
    mutex_lock(&client->mutex);
    client->is_woken = true;
    cond_broadcast(&client->woken);
    mutex_unlock(&client->mutex);
}

static void wait_for_wake(struct client *client) {
    mutex_lock(&client->mutex);
    while (!client->is_woken) {
        cond_wait_until(&client->woken, &client->mutex, 0);
    }
    client->is_woken = false;
    mutex_unlock(&client->mutex);
}

struct id make_id(const char *text) {
    return id_trusted(text, strlen(text));
}

void client_start(struct client *client, struct fixture *fixture, struct tiers *tiers, const char *id,
                  const struct chain_read_options *options) {
    memset(client, 0, sizeof *client);
    mutex_init(&client->mutex, RANK_EXCHANGE);
    cond_init(&client->woken);
    op_init(&client->op, 1, 0);
    struct id view = make_id(id);
    const struct waker waker = {.wake = wake_client, .context = client};
    ck_assert_int_eq(
        chain_read_start(fixture->flights, &client->op, tiers, &view, options, waker, &client->read), OK);
}

void client_begin(struct client *client, struct fixture *fixture, struct tiers *tiers, const char *id) {
    client_start(client, fixture, tiers, id, NULL);
    enum err err = client_poll(client);
    ck_assert(err == OK || err == ERR_AGAIN);
}

enum err client_poll(struct client *client) {
    return chain_read_poll(client->read, &client->op);
}

enum err client_wait(struct client *client) {
    enum err err;
    while ((err = client_poll(client)) == ERR_AGAIN) {
        wait_for_wake(client);
    }
    return err;
}

enum err client_wait_now(struct client *client) {
    for (;;) {
        bool needs_lane = false;
        enum err err = chain_read_poll_now(client->read, &client->op, &needs_lane);
        if (err != ERR_AGAIN || needs_lane) {
            return err;
        }
        wait_for_wake(client);
    }
}

enum err client_next(struct client *client, void *ret_bytes, size_t cap, size_t *ret_count) {
    enum err err;
    while ((err = chain_read_next(client->read, &client->op, ret_bytes, cap, ret_count)) == ERR_AGAIN) {
        wait_for_wake(client);
    }
    return err;
}

enum err client_finish(struct client *client) {
    enum err err = client_wait(client);
    size_t count = 1;
    while (!err && count) {
        client->body = realloc(client->body, client->body_bytes + 8192);
        err = client_next(client, client->body + client->body_bytes, 8192, &count);
        client->body_bytes += err ? 0 : count;
    }
    return err;
}

const struct tier_report *client_report(const struct client *client, unsigned tier) {
    const struct tier_report *reports = NULL;
    ck_assert_uint_gt(chain_read_reports(client->read, &reports), tier);
    return &reports[tier];
}

void client_close(struct client *client) {
    chain_read_close(client->read);
    free(client->body);
    cond_fini(&client->woken);
    mutex_fini(&client->mutex);
}

void client_read(struct client *client, struct fixture *fixture, const char *id,
                 const struct chain_read_options *options, enum err expected) {
    client_start(client, fixture, fixture->chain, id, options);
    ck_assert_int_eq(client_finish(client), expected);
}

void expect_body(const struct client *client, const void *body, size_t bytes) {
    ck_assert_uint_eq(client->body_bytes, bytes);
    ck_assert(bytes == 0 || memcmp(client->body, body, bytes) == 0);
}

void expect_read(struct fixture *fixture, struct tiers *tiers, const char *id, const void *body,
                 size_t bytes) {
    struct client client;
    client_start(&client, fixture, tiers, id, NULL);
    ck_assert_int_eq(client_finish(&client), OK);
    expect_body(&client, body, bytes);
    client_close(&client);
}

void expect_stored(struct pool *pool, const char *id, const void *body, size_t bytes, enum hold hold) {
    struct entry *entry = fake_stored(pool, id);
    ck_assert_msg(entry != NULL, "%s does not hold %s", pool->nickname, id);
    ck_assert_uint_eq(entry->body->size, bytes);
    ck_assert(bytes == 0 || memcmp(entry->body->data, body, bytes) == 0);
    ck_assert_int_eq(entry->meta.hold, hold);
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(body, bytes, sha256);
    ck_assert(entry->meta.has_sha256);
    ck_assert_mem_eq(entry->meta.sha256, sha256, sizeof sha256);
    entry_unref(entry);
}

void expect_absent(struct pool *pool, const char *id) {
    struct entry *entry = fake_stored(pool, id);
    ck_assert_msg(entry == NULL, "%s holds %s", pool->nickname, id);
}

void expect_stat(struct pool *pool, const char *id, enum err expected) {
    struct op op;
    op_init(&op, 0, 0);
    struct id view = make_id(id);
    struct meta meta;
    enum err err = pool_stat(pool, &op, &view, &meta);
    ck_assert_int_eq(err, expected);
    if (!err) {
        meta_fini(&meta);
    }
}

void empty_pool(struct pool *pool) {
    struct op op;
    op_init(&op, 0, 0);
    uint64_t removed = 0;
    ck_assert_int_eq(pool_empty(pool, &op, &removed), OK);
}

char *make_body(size_t bytes, unsigned seed) {
    char *body = malloc(bytes ? bytes : 1);
    ck_assert_ptr_nonnull(body);
    for (size_t i = 0; i < bytes; i++) {
        body[i] = (char)((i * 31 + i / 251 + seed) & 0xff);
    }
    return body;
}
