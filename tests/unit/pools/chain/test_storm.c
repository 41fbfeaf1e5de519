/* test_storm.c - readers, writers and deleters on the same few keys, all at once; run it under the thread sanitizer.
 *
 * Nothing here orders the threads. What must hold whatever they do: a read gives a whole value that was once written under its key,
 * absence, or nothing else; what a client put into a pool stays there, owned and unchanged, until that client deletes it,
 * however many fills race with it.
 */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "tests/unit/pools/chain/chain_fixture.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READERS 6
#define WRITERS 3 /* one per tier */
#define KEYS 4
#define ROUNDS 150
#define SMALL_BYTES 100
#define LARGE_BYTES ((size_t)200 * 1024)

static struct fixture f;
static struct tiers *chains[2];

static void key_text(unsigned key, char ret_text[16]) {
    snprintf(ret_text, 16, "key-%u", key);
}

/* Values say which key they belong to, and are the same byte throughout behind that. */
static size_t make_value(unsigned key, unsigned version, char *ret_bytes) {
    size_t bytes = version % 3 == 0 ? LARGE_BYTES : SMALL_BYTES;
    memset(ret_bytes, (int)('a' + version % 26), bytes);
    ret_bytes[0] = (char)('0' + key);
    return bytes;
}

static void check_value(unsigned key, const char *bytes, size_t count) {
    MUST(count == SMALL_BYTES || count == LARGE_BYTES);
    MUST(bytes[0] == (char)('0' + key));
    for (size_t i = 2; i < count; i++) {
        MUST(bytes[i] == bytes[1]);
    }
}

static void *read_on(void *argument) {
    unsigned seed = *(unsigned *)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned key = (unsigned)rand_r(&seed) % KEYS;
        char id[16];
        key_text(key, id);
        const struct chain_read_options options = {.no_store = rand_r(&seed) % 8 == 0,
                                                   .refresh = rand_r(&seed) % 4 == 0};
        struct client client;
        client_start(&client, &f, chains[rand_r(&seed) % 2], id, &options);
        if (rand_r(&seed) % 8 == 0) {
            (void)client_poll(&client); /* and leaves */
        } else {
            enum err err = client_finish(&client);
            MUST(err == OK || err == ERR_NOT_FOUND);
            if (!err) {
                check_value(key, client.body, client.body_bytes);
            }
        }
        client_close(&client);
    }
    return NULL;
}

static void expect_mine(struct pool *pool, const char *id, const char *bytes, size_t count) {
    struct entry *entry = fake_stored(pool, id);
    MUST(entry && entry->meta.hold == HOLD_OWNED && entry->body->size == count);
    MUST(memcmp(entry->body->data, bytes, count) == 0);
    entry_unref(entry);
}

static void *write_on(void *argument) {
    unsigned tier = *(unsigned *)argument;
    unsigned seed = tier + 1;
    char *bytes = malloc(LARGE_BYTES);
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned key = (unsigned)rand_r(&seed) % KEYS;
        char text[16];
        key_text(key, text);
        struct id id = make_id(text);
        struct op op;
        op_init(&op, 0, 0);
        size_t count = make_value(key, i, bytes);
        struct blob *blob = blob_copy(bytes, count);
        struct meta meta;
        meta_init(&meta);
        meta.has_sha256 = true;
        digest_sha256(bytes, count, meta.sha256);
        struct entry *entry = entry_new(&meta, blob);
        struct commit_result result;
        MUST(pool_put_entry(f.pool[tier], &op, &id, entry, NULL, NULL, &result) == OK);
        meta_fini(&result.meta);
        entry_unref(entry);
        blob_unref(blob);
        expect_mine(f.pool[tier], text, bytes, count);
        if (i % 2) {
            bool existed = false;
            expect_mine(f.pool[tier], text, bytes, count);
            MUST(pool_remove(f.pool[tier], &op, &id, NULL, &existed) == OK && existed);
        }
    }
    free(bytes);
    return NULL;
}

START_TEST(a_storm) {
    fixture_start(&f, 3, true, 256 << 20);
    chains[0] = fixture_tiers(&f, 1, 3, 0, 1, 2);
    chains[1] = fixture_tiers(&f, 1, 2, 1, 2);
    pthread_t threads[READERS + WRITERS];
    unsigned arguments[READERS + WRITERS];
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        arguments[i] = i < WRITERS ? i : i * 7919;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i < WRITERS ? write_on : read_on, &arguments[i]),
                         0);
    }
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    }
    fixture_settle(&f);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(atomic_load(&f.pool[i]->fences.raised), 0);
        ck_assert_uint_eq(atomic_load(&f.pool[i]->fences.settling), 0);
    }
    tiers_unref(chains[0]);
    tiers_unref(chains[1]);
    fixture_stop(&f);
}
END_TEST

int main(void) {
    hash_setup();
    Suite *suite = suite_create("storm");
    TCase *tcase = tcase_create("storm");
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, a_storm);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
