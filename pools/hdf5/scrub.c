/* scrub.c - every entry is read and compared with its digest, in the background. See store.h and pools/upkeep.h.
 *
 * A thread of its own reads and hashes: neither the store's thread nor a request waits for that. It rests as long as it has
 * worked, so that it takes half of a core and of the disk at most. A reference to the version keeps the place of a body that is being
 * looked at from being given to others; what is found wrong is put right by the store's thread, and only if the entry is still that version.
 *
 * What is found: a cached copy that does not match is removed, so the chain fetches it again. An owned one is quarantined: the
 * version is marked, it leaves the memory of small entries, and reads answer ERR_CORRUPT before the first byte, ranges too. In a
 * file that others wrote as well (h5_file.h) a digest may be out of date: there the body counts, and the digest is learned anew.
 */
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "pools/hdf5/dataset.h"

#include <stdlib.h>

#define PIECE_BYTES ((size_t)256 << 10)
#define IDS_AT_ONCE 256u
/* Between two rests. */
#define STRETCH_NS (5 * NS_PER_MS)

struct scrub {
    struct store *store;
    struct work *work;
    struct blob *piece;
    uint64_t since_ns; /* it works since then without a rest */
};

static bool pace(struct scrub *scrub) {
    uint64_t now_ns = clock_now_ns();
    uint64_t worked_ns = now_ns - scrub->since_ns;
    if (worked_ns < STRETCH_NS) {
        return work_wish(scrub->work) == WORK_GO_ON || work_goes_on(scrub->work, 0);
    }
    bool goes_on = work_goes_on(scrub->work, worked_ns);
    scrub->since_ns = clock_now_ns();
    return goes_on;
}

/* ERR_CANCELLED when the scrub shall end. */
static enum err digest_pieces(struct scrub *scrub, struct op *op, const struct version *version,
                              uint8_t ret_sha256[SHA256_BYTES]) {
    AUTO(digest_free) struct digest *digest = digest_new();
    if (!digest) {
        return op_no_memory(op);
    }
    uint64_t at = 0;
    while (at < version->length) {
        uint64_t left = version->length - at;
        size_t count = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        enum err err = pace(scrub)
                           ? h5_file_pread(version->file, op, version->offset + at, scrub->piece->data, count)
                           : op_fail(op, REASON_CANCELLED, "the scrub was cancelled");
        if (err) {
            return err;
        }
        digest_update(digest, scrub->piece->data, count);
        at += count;
    }
    digest_final(digest, ret_sha256);
    return OK;
}

static enum err digest_body(struct scrub *scrub, struct op *op, const struct version *version,
                            uint8_t ret_sha256[SHA256_BYTES]) {
    if (version_in_one_piece(version)) {
        return digest_pieces(scrub, op, version, ret_sha256);
    }
    AUTO(blob_unref) struct blob *body = NULL;
    enum err err = dataset_read(version, op, &body);
    if (!err) {
        digest_sha256(body->data, body->size, ret_sha256);
    }
    return err;
}

/* ---- what the store's thread does about it ---- */
static bool learn(struct scrub *scrub, const struct id *id, struct version *version,
                  const uint8_t sha256[SHA256_BYTES]) {
    struct op op;
    op_init(&op, 0, 0);
    struct store_request request = {.action = STORE_LEARN, .id = id, .version = version, .sha256 = sha256};
    return store_submit(scrub->store, &op, &request) == OK;
}

/* Whether it could be done at all; *ret_existed false = the entry is not this version any more. */
static bool drop_copy(struct scrub *scrub, const struct id *id, struct version *version, bool *ret_existed) {
    struct op op;
    op_init(&op, 0, 0);
    struct store_request request = {.action = STORE_REMOVE, .id = id, .version = version};
    bool done = store_submit(scrub->store, &op, &request) == OK;
    *ret_existed = request.existed;
    return done;
}

/* False when the entry is not this version any more. */
static bool quarantine(struct scrub *scrub, const struct id *id, struct version *version) {
    struct op op;
    op_init(&op, 0, 0);
    struct store_request request = {
        .request = {.urgent = true}, .action = STORE_QUARANTINE, .id = id, .version = version};
    bool marked = store_submit(scrub->store, &op, &request) == OK && request.existed;
    if (marked) {
        work_found_corrupt(scrub->work, id->text);
    }
    return marked;
}

/* False when there is nothing to judge: it was replaced, or a compaction moved it, while it was read. */
static bool judge(struct scrub *scrub, const struct id *id, struct version *version,
                  const uint8_t sha256[SHA256_BYTES]) {
    struct upkeep_status *status = &scrub->work->status;
    bool learned = atomic_load_explicit(&version->has_learned, memory_order_acquire);
    const uint8_t *known = learned ? version->learned : version->has_sha256 ? version->sha256 : NULL;
    if (known && memcmp(known, sha256, SHA256_BYTES) == 0) {
        atomic_store(&version->verified, true);
        return true;
    }
    bool out_of_date = known && !learned && !version->file->alone && version->hold != HOLD_CACHED;
    if (!known || out_of_date) {
        if (learn(scrub, id, version, sha256)) {
            work_found(scrub->work, &status->learned);
        }
        return true;
    }
    bool existed = false;
    if (version->hold == HOLD_CACHED && drop_copy(scrub, id, version, &existed)) {
        if (existed) {
            work_found(scrub->work, &status->dropped);
        }
        return existed;
    }
    return quarantine(scrub, id, version);
}

/* ---- the walk ---- */
enum look { LOOKED, LOOK_AGAIN, LOOK_STOPPED };

static enum look look_at_body(struct scrub *scrub, struct op *op, const struct id *id,
                              struct version *version) {
    uint8_t sha256[SHA256_BYTES];
    enum err err = digest_body(scrub, op, version, sha256);
    if (err == ERR_CANCELLED) {
        return LOOK_STOPPED;
    }
    bool judged = true;
    if (!err) {
        judged = judge(scrub, id, version, sha256);
    } else if (err == ERR_CORRUPT) {
        judged = quarantine(scrub, id, version); /* the file ends inside it */
    } else {
        work_found(scrub->work, &scrub->work->status.unreadable);
    }
    if (judged) {
        work_done(scrub->work, 1, version->length);
    }
    return judged ? LOOKED : LOOK_AGAIN;
}

static enum look look_at(struct scrub *scrub, const struct id *id) {
    struct op op;
    op_init(&op, 0, 0);
    struct version *version = NULL;
    enum err err = store_get(scrub->store, &op, id, &version);
    if (err == ERR_NOT_FOUND) {
        return LOOKED; /* removed meanwhile */
    }
    if (err) {
        if (err == ERR_CORRUPT) {
            work_found_corrupt(scrub->work, id->text); /* its header: reads tell the same */
        } else {
            work_found(scrub->work, &scrub->work->status.unreadable);
        }
        work_done(scrub->work, 1, 0);
        return LOOKED;
    }
    enum look look = look_at_body(scrub, &op, id, version);
    store_release_version(scrub->store, version);
    return look;
}

/* One page of ids. *ret_cursor is replaced; NULL = the end. */
static enum err look_at_page(struct scrub *scrub, struct op *op, char **ret_cursor) {
    struct listing page = {0};
    enum err err = index_list(&scrub->store->index, op, "", *ret_cursor, IDS_AT_ONCE, &page);
    free(*ret_cursor);
    *ret_cursor = NULL;
    for (size_t i = 0; !err && i < page.count; i++) {
        if (!pace(scrub)) {
            err = op_fail(op, REASON_CANCELLED, "the scrub was cancelled");
            break;
        }
        struct id id = id_trusted(page.ids[i], strlen(page.ids[i]));
        bool again = true;
        while (again) {
            again = look_at(scrub, &id) == LOOK_AGAIN && pace(scrub);
        }
    }
    if (!err) {
        *ret_cursor = STEAL(page.next_cursor);
    }
    listing_fini(&page);
    return err;
}

static enum err scrub_all(struct scrub *scrub, struct op *op) {
    enum err err = store_await_all_loaded(scrub->store, op, scrub->work); /* what is there counts */
    struct index *index = &scrub->store->index;
    work_set_totals(scrub->work, atomic_load(&index->entries), atomic_load(&index->bytes));
    char *cursor = NULL;
    do {
        err = err ? err : look_at_page(scrub, op, &cursor);
    } while (!err && cursor);
    free(cursor);
    while (!err && !work_begin_end(scrub->work)) {
        if (!work_goes_on(scrub->work, 0)) {
            err = op_fail(op, REASON_CANCELLED, "the scrub was cancelled");
        }
    }
    return err;
}

static void *run(void *context) {
    struct store *store = context;
    struct op op;
    op_init(&op, 0, 0);
    h5_enter();
    struct scrub scrub = {.store = store,
                          .work = &store->work[UPKEEP_SCRUB],
                          .piece = blob_new(PIECE_BYTES),
                          .since_ns = clock_now_ns()};
    enum err err = scrub.piece ? scrub_all(&scrub, &op) : op_no_memory(&op);
    blob_unref(scrub.piece);
    work_end(scrub.work, err ? &op.fault : NULL);
    return NULL;
}

void store_scrub_begin(struct store *store) {
    store_scrub_join(store);   /* the one before has ended */
    mutex_lock(&store->mutex); /* the thread may end, and another start join it, before we have noted it */
    int failed = pthread_create(&store->scrub_thread, NULL, run, store);
    store->scrub_began = !failed;
    mutex_unlock(&store->mutex);
    if (failed) {
        struct op op;
        op_init(&op, 0, 0);
        (void)op_fail_errno(&op, failed, "starting a thread");
        work_end(&store->work[UPKEEP_SCRUB], &op.fault);
    }
}

void store_scrub_join(struct store *store) {
    mutex_lock(&store->mutex);
    bool began = store->scrub_began;
    pthread_t thread = store->scrub_thread;
    store->scrub_began = false;
    mutex_unlock(&store->mutex);
    if (began) {
        MUST(pthread_join(thread, NULL) == 0);
    }
}
