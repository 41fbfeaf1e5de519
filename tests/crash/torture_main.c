/* torture_main.c - the worker's process: opens the pool, runs threads in phases, opens it again between them, or looks at what there is.
 *
 *   torture_worker run DIR SEED THREADS KEYS MAX_BYTES MAX_FILE_BYTES     until killed; the pool's limits, 0 = none
 *   torture_worker check DIR                                              opens (which recovers), tells every entry, closes
 *   torture_worker open DIR                                               opens and closes
 *
 * The file is DIR/torture.h5. `check` says L<TAB>name<TAB>bytes<TAB>sha256<TAB>content type<TAB>owned|cached of each entry, then `N<TAB>done`.
 * See torture.h.
 */
#include "tests/crash/torture.h"

#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/base/log.h"
#include "pools/base/percent.h"
#include "pools/base/spool.h"
#include "pools/kinds.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_THREADS 16
#define MOST_KEYS 1024
#define SPOOL_BYTES (UINT64_C(1) << 30)
#define READ_BYTES 65536

struct place {
    const char *directory;
    struct spool_dir *spool_dir; /* of unlinked files only */
    uint64_t max_bytes, max_file_bytes;
};

static void limit(struct settings *settings, const char *name, uint64_t bytes) {
    struct op op;
    op_init(&op, 0, 0);
    if (bytes && settings_set_number(settings, &op, name, (int64_t)bytes) != OK) {
        wrong("%s: %s", name, op.fault.detail);
    }
}

static struct pool *open_pool(const struct place *place) {
    struct op op;
    op_init(&op, 0, 0);
    const struct pool_kind *kind = kinds_find("hdf5");
    AUTO(settings_free) struct settings *settings = settings_new(kind->options, kind->option_count);
    enum err err = settings ? OK : op_no_memory(&op);
    if (!err) {
        limit(settings, "max_bytes", place->max_bytes);
        limit(settings, "max_file_bytes", place->max_file_bytes);
    }
    err = err ? err : settings_finish(settings, &op);
    const struct pool_environment environment = {.data_dir = place->directory, .spool_dir = place->spool_dir};
    struct pool *pool = NULL;
    err = err ? err : kind->open(&op, &environment, "torture", settings, &pool);
    if (err) {
        wrong("the pool cannot be opened: %s: %s", err_word(err), op.fault.detail);
    }
    (void)STEAL(settings);
    pool_set_cached_evictable(pool, true);
    return pool;
}

/* ---- run ---- */

/* Ids as they come: plain, like LAILA's, with what must be escaped. */
static void name_key(struct key *key, unsigned number) {
    static const char *const prefixes[] = {
        "plain-",  "LAILA:ENTRY:GLOBAL_ID:00000000-0000-4000-8000-00000000",
        "a/../b/", "d\xc3\xa9j\xc3\xa0 vu ",
        "%41.",
    };
    struct buf name;
    buf_init(&name, sizeof key->name - 1);
    snprintf(key->id, sizeof key->id, "%s%04u", prefixes[number % ARRAY_COUNT(prefixes)], number);
    if (percent_encode(&name, key->id, strlen(key->id)) != OK) {
        wrong("an id is too long");
    }
    memcpy(key->name, name.data, name.size + 1);
    key->state = KEY_UNKNOWN;
    buf_fini(&name);
}

static void *act_in_thread(void *context) {
    struct actor *actor = context;
    for (unsigned i = 0; i < actor->operations; i++) {
        actor_act(actor);
    }
    return NULL;
}

/* Every thread does its share; the pool is in nobody's hands afterwards. */
static void run_phase(struct pool *pool, struct actor *actors, unsigned count) {
    pthread_t threads[MOST_THREADS];
    for (unsigned i = 0; i < count; i++) {
        actors[i].pool = pool;
        if (pthread_create(&threads[i], NULL, act_in_thread, &actors[i]) != 0) {
            wrong("no thread");
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

NO_RETURN static void run(const struct place *place, uint64_t seed, unsigned threads, unsigned key_count) {
    static struct key keys[MOST_KEYS];
    struct actor actors[MOST_THREADS];
    for (unsigned i = 0; i < key_count; i++) {
        name_key(&keys[i], i);
    }
    for (unsigned i = 0; i < threads; i++) {
        unsigned first = i * key_count / threads;
        actors[i] = (struct actor){
            .number = i,
            .random = seed * 1000 + i,
            .keys = &keys[first],
            .key_count = (i + 1) * key_count / threads - first,
        };
    }
    uint64_t state = ~seed;
    struct pool *pool = open_pool(place);
    say("N\topen\n");
    for (;;) {
        unsigned operations = 5 + (unsigned)random_below(&state, 120);
        for (unsigned i = 0; i < threads; i++) {
            actors[i].operations = operations;
        }
        run_phase(pool, actors, threads);
        if (random_below(&state, 3) == 0) {
            say("N\tclosing\n");
            pool_unref(pool);
            pool = open_pool(place);
            say("N\topen again\n");
        }
    }
}

/* ---- check ---- */

static void tell_entry(struct pool *pool, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct id id = id_trusted(text, strlen(text));
    struct buf name;
    buf_init(&name, KEY_NAME_BYTES);
    AUTO(reader_close) struct reader *reader = NULL;
    AUTO(digest_free) struct digest *digest = digest_new();
    uint8_t piece[READ_BYTES];
    size_t count = 0;
    enum err err = percent_encode(&name, text, strlen(text));
    err = err ? err : pool_open_reader(pool, &op, &id, NULL, &reader);
    do {
        err = err ? err : reader_read(reader, &op, piece, sizeof piece, &count);
        if (!err) {
            digest_update(digest, piece, count);
        }
    } while (!err && count);
    uint8_t sha256[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    digest_final(digest, sha256);
    digest_hex(sha256, hex);
    if (err) {
        say("L\t%s\t%s\n", name.data, err_word(err));
    } else {
        say("L\t%s\t%" PRIu64 "\t%s\t%s\t%s\n", name.data, reader->meta.size_bytes, hex,
            reader->meta.content_type, reader->meta.hold == HOLD_CACHED ? "cached" : "owned");
    }
    buf_fini(&name);
}

static void check(const struct place *place) {
    struct pool *pool = open_pool(place);
    char *cursor = NULL;
    do {
        struct op op;
        op_init(&op, 0, 0);
        struct listing listing = {0};
        enum err err = pool_list(pool, &op, "", cursor, 1000, &listing);
        if (err) {
            wrong("listing: %s: %s", err_word(err), op.fault.detail);
        }
        for (size_t i = 0; i < listing.count; i++) {
            tell_entry(pool, listing.ids[i]);
        }
        free(cursor);
        cursor = listing.next_cursor ? strdup(listing.next_cursor) : NULL;
        listing_fini(&listing);
    } while (cursor);
    pool_unref(pool);
    say("N\tdone\n");
}

static unsigned number_of(const char *text, unsigned most) {
    char *end = NULL;
    unsigned long number = strtoul(text, &end, 10);
    if (*end || number == 0 || number > most) {
        wrong("'%s' is no number from 1 to %u", text, most);
    }
    return (unsigned)number;
}

int main(int argc, char **argv) {
    hash_setup();
    log_setup(LOG_WARNING, false);
    bool is_run = argc == 8 && strcmp(argv[1], "run") == 0;
    if (!is_run && (argc != 3 || (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "open") != 0))) {
        fprintf(stderr, "usage: torture_worker run DIR SEED THREADS KEYS MAX_BYTES MAX_FILE_BYTES | check "
                        "DIR | open DIR\n");
        return 2;
    }
    struct op op;
    op_init(&op, 0, 0);
    struct place place = {.directory = argv[2]};
    if (spool_dir_open(&op, "/tmp", SPOOL_BYTES, &place.spool_dir) != OK) {
        wrong("%s", op.fault.detail);
    }
    say("N\tstart\n");
    if (is_run) {
        unsigned threads = number_of(argv[4], MOST_THREADS);
        unsigned keys = number_of(argv[5], MOST_KEYS);
        if (keys < threads) {
            wrong("fewer keys than threads");
        }
        place.max_bytes = strtoull(argv[6], NULL, 10);
        place.max_file_bytes = strtoull(argv[7], NULL, 10);
        uint64_t seed = strtoull(argv[3], NULL, 10);
        torture_small_cache(seed & 1);
        run(&place, seed, threads, keys);
    }
    if (strcmp(argv[1], "check") == 0) {
        check(&place);
    } else {
        pool_unref(open_pool(&place));
    }
    spool_dir_close(place.spool_dir);
    return 0;
}
