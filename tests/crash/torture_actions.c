/* torture_actions.c - what the worker does to the pool. A new kind of operation is a function and a row of `actions`.
 *
 * Threads: each actor is one thread with keys of its own; the pool is shared. Whatever a function here is answered, it tells (torture.h).
 */
#include "tests/crash/torture.h"

#include "pools/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_NS (30 * NS_PER_S)
#define READ_BYTES 65536

static const char *const content_types[] = {
    "application/octet-stream",     "application/json", "text/plain", "text/plain; charset=utf-8",
    "application/vnd.lailad+crash",
};

static const struct id *id_of(const struct key *key, struct id *ret_id) {
    *ret_id = id_trusted(key->id, strlen(key->id));
    return ret_id;
}

/* ---- writing ---- */

struct attempt {
    const struct random_body *body;
    struct meta meta;
    const struct fence *fence;
};

static enum err put_whole(struct actor *actor, struct op *op, const struct id *id,
                          const struct attempt *attempt) {
    AUTO(blob_unref) struct blob *blob = blob_copy(attempt->body->bytes, attempt->body->count);
    struct meta meta = attempt->meta;
    meta.has_sha256 = true;
    memcpy(meta.sha256, attempt->body->sha256, SHA256_BYTES);
    AUTO(entry_unref) struct entry *entry = blob ? entry_new(&meta, blob) : NULL;
    if (!entry) {
        return op_no_memory(op);
    }
    struct commit_result result = {0};
    enum err err = pool_put_entry(actor->pool, op, id, entry, NULL, attempt->fence, &result);
    if (!err) {
        meta_fini(&result.meta);
    }
    return err;
}

/* In pieces, its length told or not; `give_up` = a client that goes away before the end. */
static enum err put_stream(struct actor *actor, struct op *op, const struct id *id,
                           const struct attempt *attempt, bool give_up) {
    const struct random_body *body = attempt->body;
    struct write_options options = {.meta = attempt->meta, .fence = attempt->fence};
    options.meta.size_bytes = random_below(&actor->random, 2) ? body->count : SIZE_UNKNOWN;
    AUTO(pool_writer_close) struct pool_writer *writer = NULL;
    enum err err = pool_open_writer(actor->pool, op, id, &options, &writer);
    size_t piece = 1 + (size_t)random_below(&actor->random, 300000);
    for (size_t at = 0; !err && at < body->count; at += piece) {
        size_t left = body->count - at;
        err = pool_writer_write(writer, op, body->bytes + at, left < piece ? left : piece);
    }
    if (err || give_up) {
        return err;
    }
    struct commit_result result = {0};
    err = pool_writer_commit(writer, op, &result);
    if (!err) {
        meta_fini(&result.meta);
    }
    return err;
}

static bool is_expected(enum err err, bool is_fill) {
    return err == OK || err == ERR_NO_SPACE || err == ERR_TOO_LARGE || (is_fill && err == ERR_SUPERSEDED);
}

/* One write from what is said before it to what is said after. */
static enum err write_told(struct actor *actor, struct key *key, struct op *op, struct attempt *attempt) {
    struct id id;
    char digest[SHA256_HEX_BYTES];
    digest_hex(attempt->body->sha256, digest);
    say("B\t%u\t%s\t%s\t%zu\t%s\t%s\n", actor->number, key->name, attempt->fence ? "fill" : "put",
        attempt->body->count, digest, attempt->meta.content_type);
    bool whole = attempt->body->count < 65536 && random_below(&actor->random, 2);
    enum err err = whole ? put_whole(actor, op, id_of(key, &id), attempt)
                         : put_stream(actor, op, id_of(key, &id), attempt, false);
    say("E\t%u\t%s\n", actor->number, err ? err_word(err) : "ok");
    if (!is_expected(err, attempt->fence != NULL)) {
        wrong("a write of %s was refused: %s: %s", key->name, err_word(err), op->fault.detail);
    }
    return err;
}

static void attempt_begin(struct actor *actor, const struct random_body *body, struct attempt *ret_attempt) {
    *ret_attempt = (struct attempt){.body = body};
    meta_init(&ret_attempt->meta);
    snprintf(ret_attempt->meta.content_type, sizeof ret_attempt->meta.content_type, "%s",
             content_types[random_below(&actor->random, ARRAY_COUNT(content_types))]);
}

static void act_put(struct actor *actor, struct key *key) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    struct random_body body;
    random_body_make(&actor->random, &body);
    struct attempt attempt;
    attempt_begin(actor, &body, &attempt);
    if (write_told(actor, key, &op, &attempt) == OK) {
        key->state = KEY_OWNED;
        memcpy(key->sha256, body.sha256, SHA256_BYTES);
    }
    random_body_free(&body);
}

/* What a read through a chain leaves behind: a copy that may be evicted and may vanish in a crash. */
static void act_fill(struct actor *actor, struct key *key) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    struct random_body body;
    random_body_make(&actor->random, &body);
    if (pool_takes_fill(actor->pool, body.count)) {
        struct attempt attempt;
        attempt_begin(actor, &body, &attempt);
        attempt.meta.hold = HOLD_CACHED;
        struct id id;
        struct fence fence = {0};
        if (fence_raise(&actor->pool->fences, &op, &fence, id_of(key, &id)) != OK) {
            wrong("no fence: %s", op.fault.detail);
        }
        attempt.fence = &fence;
        fence_settling(&actor->pool->fences, &fence);
        enum err err = write_told(actor, key, &op, &attempt);
        fence_lower(&actor->pool->fences, &fence);
        if (err == OK && key->state == KEY_OWNED) {
            wrong("a copy took the place of the owned entry %s", key->name);
        }
        if (err == OK) {
            key->state = KEY_CACHED;
            memcpy(key->sha256, body.sha256, SHA256_BYTES);
        }
    }
    random_body_free(&body);
}

static void act_abort(struct actor *actor, struct key *key) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    struct random_body body;
    random_body_make(&actor->random, &body);
    struct attempt attempt;
    attempt_begin(actor, &body, &attempt);
    struct id id;
    enum err err = put_stream(actor, &op, id_of(key, &id), &attempt, true);
    if (!is_expected(err, false)) {
        wrong("an upload to %s that was given up: %s: %s", key->name, err_word(err), op.fault.detail);
    }
    random_body_free(&body);
}

static void act_delete(struct actor *actor, struct key *key) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    struct id id;
    bool existed = false;
    say("B\t%u\t%s\tdelete\n", actor->number, key->name);
    enum err err = pool_remove(actor->pool, &op, id_of(key, &id), NULL, &existed);
    say("E\t%u\t%s\n", actor->number, err ? err_word(err) : "ok");
    if (err) {
        wrong("deleting %s: %s: %s", key->name, err_word(err), op.fault.detail);
    }
    if ((key->state == KEY_OWNED && !existed) || (key->state == KEY_ABSENT && existed)) {
        wrong("deleting %s: it was %s", key->name, existed ? "there" : "not there");
    }
    key->state = KEY_ABSENT;
}

/* ---- reading ---- */

static enum err read_digest(struct actor *actor, struct op *op, const struct id *id,
                            uint8_t ret_sha256[SHA256_BYTES]) {
    AUTO(reader_close) struct reader *reader = NULL;
    AUTO(digest_free) struct digest *digest = digest_new();
    uint8_t piece[READ_BYTES];
    size_t count = 0;
    enum err err = pool_open_reader(actor->pool, op, id, NULL, &reader);
    do {
        err = err ? err : reader_read(reader, op, piece, sizeof piece, &count);
        if (!err) {
            digest_update(digest, piece, count);
        }
    } while (!err && count);
    digest_final(digest, ret_sha256);
    return err;
}

static void act_read(struct actor *actor, struct key *key) {
    struct op op;
    op_init(&op, 0, PATIENCE_NS);
    struct id id;
    uint8_t sha256[SHA256_BYTES];
    enum err err = read_digest(actor, &op, id_of(key, &id), sha256);
    if (err && err != ERR_NOT_FOUND) {
        wrong("reading %s: %s: %s", key->name, err_word(err), op.fault.detail);
    }
    if (err == ERR_NOT_FOUND ? key->state == KEY_OWNED : key->state == KEY_ABSENT) {
        wrong("reading %s: it is %s", key->name, err ? "gone" : "back");
    }
    bool known = key->state == KEY_OWNED || key->state == KEY_CACHED;
    if (!err && known && memcmp(sha256, key->sha256, SHA256_BYTES) != 0) {
        wrong("reading %s: other bytes than were written last", key->name);
    }
    if (err) {
        key->state = KEY_ABSENT;
    }
}

/* ---- the mixture ---- */

static const struct action {
    unsigned weight;
    void (*act)(struct actor *actor, struct key *key);
} actions[] = {
    {45, act_put},  {18, act_delete}, {14, act_fill}, {20, act_read},
    {3, act_abort}, {2, act_compact}, {2, act_scrub},
};

void actor_act(struct actor *actor) {
    uint64_t sum = 0;
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        sum += actions[i].weight;
    }
    uint64_t drawn = random_below(&actor->random, sum);
    size_t i = 0;
    while (drawn >= actions[i].weight) {
        drawn -= actions[i].weight;
        i++;
    }
    actions[i].act(actor, &actor->keys[random_below(&actor->random, actor->key_count)]);
}
