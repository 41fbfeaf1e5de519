/* cases_threads.c - many threads at once: no reader sees a mix, one creator wins, a put beats a fill in every order.
 *
 * Threads report through their own struct; only the test's thread asserts.
 */
#include "tests/contract/support.h"

#include <pthread.h>

#define SEEDS 8

struct crowd {
    pthread_barrier_t start;
    atomic_uint writers_left;
    atomic_uint reads;
    atomic_uint mixes;    /* bodies that are not whole, or do not agree with their metadata */
    atomic_uint failures; /* anything else than OK and NOT_FOUND */
    unsigned rounds;
};

static bool agrees(const struct got *got) {
    if (got->meta.size_bytes != got->body.count || !body_is_whole(&got->body, SEEDS)) {
        return false;
    }
    uint8_t sha256[SHA256_BYTES];
    digest_sha256(got->body.bytes, got->body.count, sha256);
    return !got->meta.has_sha256 || memcmp(sha256, got->meta.sha256, SHA256_BYTES) == 0;
}

static void *read_main(void *argument) {
    struct crowd *crowd = argument;
    pthread_barrier_wait(&crowd->start);
    do {
        struct got got = get(fresh_op(), "shared");
        atomic_fetch_add(&crowd->reads, 1);
        atomic_fetch_add(&crowd->failures, got.err != OK && got.err != ERR_NOT_FOUND);
        atomic_fetch_add(&crowd->mixes, got.err == OK && !agrees(&got));
        got_free(&got);
        struct id id = id_trusted("shared", 6);
        AUTO(entry_unref) struct entry *entry = NULL;
        if (pool_peek(the_pool(), &id, &entry) == OK) {
            const struct got peeked = {.meta = entry->meta, .body = {entry->body->data, entry->body->size}};
            atomic_fetch_add(&crowd->mixes, !agrees(&peeked));
        }
    } while (atomic_load(&crowd->writers_left) > 0);
    return NULL;
}

static void *write_main(void *argument) {
    struct crowd *crowd = argument;
    struct body bodies[SEEDS];
    for (unsigned i = 0; i < SEEDS; i++) {
        bodies[i] = body_make(500 + 9000 * (size_t)(i % 4), i);
    }
    pthread_barrier_wait(&crowd->start);
    for (unsigned i = 0; i < crowd->rounds; i++) {
        const struct how how = {.unknown_size = i % 3 == 0, .piece = 4001, .as_entry = i % 3 == 1};
        enum err err = OK;
        if (i % 10 == 9) {
            bool existed = false;
            struct id id = id_trusted("shared", 6);
            err = pool_remove(the_pool(), fresh_op(), &id, NULL, &existed);
        } else {
            err = try_put(fresh_op(), "shared", &bodies[i % SEEDS], &how);
        }
        atomic_fetch_add(&crowd->failures, err != OK);
    }
    atomic_fetch_sub(&crowd->writers_left, 1);
    for (unsigned i = 0; i < SEEDS; i++) {
        body_free(&bodies[i]);
    }
    return NULL;
}

START_TEST(readers_never_see_a_mix) {
    enum { READERS = 3, WRITERS = 3 };
    struct crowd crowd = {.rounds = subject_rounds(120, 10)};
    atomic_init(&crowd.writers_left, WRITERS);
    pthread_barrier_init(&crowd.start, NULL, READERS + WRITERS);
    pthread_t threads[READERS + WRITERS];
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, i < READERS ? read_main : write_main, &crowd), 0);
    }
    for (unsigned i = 0; i < READERS + WRITERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&crowd.start);
    ck_assert_uint_eq(atomic_load(&crowd.mixes), 0);
    ck_assert_uint_eq(atomic_load(&crowd.failures), 0);
    ck_assert_uint_ge(atomic_load(&crowd.reads), READERS);
}
END_TEST

struct creator {
    pthread_barrier_t *start;
    struct body body;
    enum err err;
};

static void *create_main(void *argument) {
    struct creator *creator = argument;
    const struct condition absent = {.kind = CONDITION_ABSENT};
    pthread_barrier_wait(creator->start);
    creator->err = try_put(fresh_op(), "one", &creator->body, &(struct how){.condition = &absent});
    return NULL;
}

START_TEST(one_creator_wins) {
    enum { CREATORS = 6 };
    if (!the_pool()->capabilities.create_only) {
        return;
    }
    for (unsigned round = 0; round < subject_rounds(20, 3); round++) {
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, CREATORS);
        struct creator creators[CREATORS];
        pthread_t threads[CREATORS];
        for (unsigned i = 0; i < CREATORS; i++) {
            creators[i] = (struct creator){.start = &start, .body = body_make(2000, i)};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, create_main, &creators[i]), 0);
        }
        unsigned winners = 0;
        unsigned refusals = 0;
        for (unsigned i = 0; i < CREATORS; i++) {
            pthread_join(threads[i], NULL);
            if (creators[i].err == ERR_UNSUPPORTED && the_pool()->capabilities.remote) {
                refusals++; /* by a server that judges no preconditions */
                continue;
            }
            ck_assert(creators[i].err == OK || creators[i].err == ERR_PRECONDITION);
        }
        for (unsigned i = 0; i < CREATORS; i++) {
            if (creators[i].err == OK) {
                winners++;
                assert_holds("one", &creators[i].body);
            }
            body_free(&creators[i].body);
        }
        ck_assert_uint_eq(winners, refusals == CREATORS ? 0 : 1);
        pthread_barrier_destroy(&start);
        remove_id("one");
    }
}
END_TEST

struct filler {
    pthread_barrier_t *start;
    struct fill fill;
    bool as_entry;
    enum err err;
};

static void *fill_main(void *argument) {
    struct filler *filler = argument;
    pthread_barrier_wait(filler->start);
    filler->err = fill_end(&filler->fill, filler->as_entry);
    return NULL;
}

/* The fence was raised before the put or delete began: whatever the order of the two commits, the local one is what is
 * left. */
START_TEST(a_racing_fill_never_wins) {
    if (!the_pool()->capabilities.fill_fence) {
        return;
    }
    for (unsigned round = 0; round < subject_rounds(150, 5); round++) {
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 2);
        struct filler filler = {.start = &start, .as_entry = round % 2};
        fill_begin(&filler.fill, "raced", "from below");
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, fill_main, &filler), 0);
        bool is_put = round % 4 < 2;
        pthread_barrier_wait(&start);
        if (is_put) {
            put_text("raced", "local");
        } else {
            remove_id("raced");
        }
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&start);
        ck_assert(filler.err == OK || filler.err == ERR_SUPERSEDED);
        if (is_put) {
            assert_holds_text("raced", "local");
        } else {
            assert_absent("raced");
        }
        remove_id("raced");
    }
}
END_TEST

TCase *cases_threads(void) {
    TCase *tcase = tcase_create("threads");
    tcase_add_test(tcase, readers_never_see_a_mix);
    tcase_add_test(tcase, one_creator_wins);
    tcase_add_test(tcase, a_racing_fill_never_wins);
    return tcase;
}
