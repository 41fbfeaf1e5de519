/* pool.h - THE CONTRACT between the storage domain and its backends, and the front door to a pool.
 *
 * A backend (one directory per kind) fills a `static const struct pool_ops` and embeds struct pool in
 * its instance. Everybody else calls the front door (pool_*, implemented in pool.c), which checks
 * arguments and capabilities, breaks fences, counts, hashes, and then calls the slot. A backend may
 * assume that it is asked only what it declared.
 *
 * Rules for backends (the contract suite, tests/contract, holds every kind to them)
 *  - Any thread may call any slot concurrently. A reader or writer is used by one thread at a time but may move.
 *  - Only ERR_NOT_FOUND is a miss. A missing bucket is ERR_CONFIG, refused credentials are ERR_DENIED.
 *  - Nothing is visible before commit. close without commit leaves no trace.
 *  - remove of a missing id succeeds. list of nothing is empty.
 *  - Outputs are set on success only. Faults are recorded in the op by whoever discovers them.
 *  - A slot may block until the op's deadline, except peek. No lock is held while waiting for a network.
 *  - A backend never calls the front door, chain, jobs, registry or another backend, starts no request threads,
 *    and logs nothing above debug except from its own background threads.
 *
 * Read next: memory/memory_pool.c is the smallest whole backend; chain/flight.h is the main caller.
 */
#ifndef POOLS_POOL_H
#define POOLS_POOL_H

#include "pools/base/op.h"
#include "pools/condition.h"
#include "pools/entry.h"
#include "pools/fence.h"
#include "pools/id.h"
#include "pools/settings.h"
#include "pools/upkeep.h"

#include <stdatomic.h>

struct pool;

/* ---- what a kind can do: facts and limits, not wishes ---- */
struct pool_capabilities {
    bool ranges;       /* open_reader honours offset and length */
    bool create_only;  /* CONDITION_ABSENT is atomic */
    bool if_match;     /* CONDITION_MATCH / PRESENT / NONE_MATCH are atomic */
    bool fill_fence;   /* fence check and commit are one step; false = stat-then-put */
    bool durable;      /* 2xx on a write survives power loss */
    bool never_blocks; /* every slot answers from memory */
    bool remote;      /* behind a network: request work goes to LANE_REMOTE, fills finish in the background */
    bool stores_hold; /* keeps owned / cached */
    bool stores_meta; /* keeps content type, encoding, sha-256 and times of what we write */
    bool tells_created;        /* commit knows whether the entry was new */
    bool evicts;               /* may evict cached copies */
    bool compacts, scrubs;     /* upkeep.h: which of the two can be asked for */
    uint64_t max_object_bytes; /* 0 = no limit */
    size_t max_key_bytes;      /* of the id as the backend encodes it; 0 = no limit */
    unsigned max_parallel;     /* concurrent slots that make sense; 0 = no limit */
};

enum pool_state {
    POOL_OK,
    POOL_LOADING,     /* answers by name meanwhile, lists late */
    POOL_UNAVAILABLE, /* remote, down, being retried */
    POOL_FAILED,      /* could not be opened */
    POOL_READ_ONLY,
    POOL_POISONED, /* a failed sync: no writes until reopened */
    POOL_NEEDS_CREDENTIALS
};

struct pool_status {
    enum pool_state state;
    char reason[OP_DETAIL_BYTES]; /* "" when OK; no file paths, no secrets */
    bool counts_known;
    uint64_t entries;
    uint64_t bytes; /* of bodies */
    bool foreign_known;
    uint64_t foreign; /* keys in the store that are no entries */
};

/* ---- readers ---- */
/* length UINT64_MAX = to the end; both need capability ranges unless 0 and MAX. An offset at or behind the end is ERR_RANGE
 * (REASON_RANGE), except offset 0 of an empty body, which reads nothing. */
struct read_options {
    uint64_t offset;
    uint64_t length;
};

struct reader;
struct reader_ops {
    /* Up to cap (> 0) bytes; *ret_count 0 = end, a short count is not an error. A body that ends before its
     * promised size is ERR_CORRUPT (REASON_BAD_ANSWER), never a short success. */
    enum err (*read)(struct reader *reader, struct op *op, void *ret_bytes, size_t cap, size_t *ret_count);
    void (*close)(struct reader *reader); /* exactly once, at any point */
    /* Optional; legal on poll threads: what `read` would give, as far as it can be had without waiting. OK and a count > 0, or ERR_AGAIN
     * in every other case (it would wait, the end, a failure): ask `read` on a lane. The place moves on only with OK. */
    enum err (*read_now)(struct reader *reader, void *ret_bytes, size_t cap, size_t *ret_count);
    /* Optional: the next `count` (> 0) bytes as memory, good until close. Only the kernel may look at them, as the bytes of a send():
     * there a page that cannot be had any more is an error, for a program it is a signal. OK, or ERR_AGAIN: there are not so many, they are
     * not all in memory, or it is not worth it; then read them. The place does not move on. */
    enum err (*map)(struct reader *reader, size_t count, const void **ret_bytes);
};
struct reader {
    const struct reader_ops *ops;
    struct meta meta; /* of the whole entry, set at open; the backend's close calls meta_fini */
    bool at_hand;     /* the body came with the open: `read` waits for nothing */
};

/* ---- writers ---- */
struct write_options {
    /* type, encoding, hold, created_ms, extension; size_bytes if known; sha256 if the sender
                       * declared it (checked by the front door). Borrowed for the call. */
    struct meta meta;
    const struct condition *condition; /* NULL = none; borrowed until close */
    const struct fence *fence;         /* not NULL = this is a fill: see fence.h */
};

struct commit_result {
    struct meta meta; /* as stored; the caller calls meta_fini */
    bool created;     /* only meaningful with tells_created */
};

struct writer;
struct writer_ops {
    /* Accepts all or fails. */
    enum err (*write)(struct writer *writer, struct op *op, const void *bytes, size_t count);
    /* Publishes. Every byte has been written; size and sha256 are the whole body's. ERR_SUPERSEDED when the fence does
     * not hold or an owned entry stands in a fill's way, ERR_PRECONDITION when the condition does not hold. */
    enum err (*commit)(struct writer *writer, struct op *op, uint64_t size_bytes,
                       const uint8_t sha256[SHA256_BYTES], struct commit_result *ret_result);
    void (*close)(struct writer *writer); /* exactly once; without a successful commit = abort */
};
struct writer {
    const struct writer_ops *ops;
};

/* ---- listing ---- */
struct listing {
    char **ids; /* each owned, NUL-terminated */
    size_t count;
    char *next_cursor; /* owned; NULL = no more */
};
void listing_fini(struct listing *listing);
/* Appends a copy of the id. */
enum err listing_add(struct listing *listing, struct op *op, const char *id, size_t bytes) MUST_USE;

/* ---- the method table ---- */
struct pool_ops {
    const char *kind;
    /* Required */
    enum err (*open_reader)(struct pool *pool, struct op *op, const struct id *id,
                            const struct read_options *options, struct reader **ret_reader);
    enum err (*open_writer)(struct pool *pool, struct op *op, const struct id *id,
                            const struct write_options *options, struct writer **ret_writer);
    enum err (*stat)(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta);
    enum err (*remove)(struct pool *pool, struct op *op, const struct id *id,
                       const struct condition *condition, bool *ret_existed);
    /* prefix is on the decoded id ("" = all), cursor NULL = from the start, at most `limit` ids. An id present
     * throughout appears exactly once over the pages. A cursor that is not ours: ERR_INVALID (REASON_INVALID_QUERY). */
    enum err (*list)(struct pool *pool, struct op *op, const char *prefix, const char *cursor, unsigned limit,
                     struct listing *ret_listing);
    /* Removes every entry; *ret_removed counts also on failure. */
    enum err (*empty)(struct pool *pool, struct op *op, uint64_t *ret_removed);
    void (*status)(struct pool *pool, struct pool_status *ret_status); /* cheap, never blocks */
    void (*close)(struct pool *pool); /* last reference gone: ends background threads, frees the instance */
    /* Optional */
    /* Legal on poll threads: OK and a referenced entry, ERR_NOT_FOUND, or ERR_AGAIN = ask open_reader on a lane. Never blocks. */
    enum err (*peek)(struct pool *pool, const struct id *id, struct entry **ret_entry);
    /* The metadata only, same answers as peek. */
    enum err (*peek_meta)(struct pool *pool, const struct id *id, struct meta *ret_meta);
    /* A whole entry without a writer; entry->meta is what to store (hold included) and may be shared, not changed. */
    enum err (*put_entry)(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                          const struct condition *condition, const struct fence *fence,
                          struct commit_result *ret_result);
    /* Whether the pool's own index proves, without its storage, that it has no owned entry of this id. */
    bool (*proves_not_owned)(struct pool *pool, const struct id *id);
    /* Whether a copy of this size (SIZE_UNKNOWN) has a chance; false = a fill is not even begun. Cheap, never blocks, takes no lock.
     * NULL = always. */
    bool (*takes_fill)(struct pool *pool, uint64_t size_bytes);
    /* Told when the pool gets or loses a proxy_to: only then may cached copies be evicted. */
    void (*set_cached_evictable)(struct pool *pool, bool evictable);
    /* With compacts or scrubs. Only begins and steers: never waits for the work. What stands in its way at once is told here (read-only,
     * poisoned, no room on the disk); the rest shows in the status. */
    enum err (*upkeep)(struct pool *pool, struct op *op, enum upkeep_kind kind, enum upkeep_action action);
    /* ret_status comes empty; the caller calls upkeep_status_fini. Never blocks. */
    enum err (*upkeep_status)(struct pool *pool, struct op *op, enum upkeep_kind kind,
                              struct upkeep_status *ret_status);
    /* Just opened, and refused for another reason before anybody could find it: what its opening made in its storage goes with its close. */
    void (*abandon)(struct pool *pool);
};

struct pool_stats {
    atomic_uint_fast64_t hits, misses, writes, removes, fills, fill_failures, skips, failures;
};

struct pool {
    const struct pool_ops *ops;
    struct pool_capabilities capabilities;
    struct settings *settings; /* owned by the pool */
    char nickname[NICKNAME_BYTES];
    atomic_uint refs;
    struct fence_table fences;
    struct pool_stats stats;
};

/* ---- what a kind is to kinds.c ---- */
struct pool_environment {
    const char *data_dir;        /* absolute */
    struct spool_dir *spool_dir; /* bodies on their way to a backend */
    bool from_rest;              /* stricter paths (design.md 13.4) */
};

struct pool_kind {
    const char *name;
    const struct option *options;
    size_t option_count;
    /* Opens one pool. On success the pool owns `settings` and ret_pool has one reference, made by pool_init. Local kinds touch
     * their storage here; remote kinds wait for nobody. On failure the caller keeps `settings`. */
    enum err (*open)(struct op *op, const struct pool_environment *environment, const char *nickname,
                     struct settings *settings, struct pool **ret_pool);
    /* Optional: what the options' types cannot tell. Pure; open judges the same. The fault begins with the option's name. */
    enum err (*check)(struct op *op, const struct settings *settings);
    /* Optional, of kinds that keep one file: which one a pool with these settings would open, under one name whatever links and dots lead
     * to it. Opens nothing: the configuration is checked with it. ret_path has PATH_MAX bytes. */
    enum err (*file_path)(struct op *op, const struct pool_environment *environment, const char *nickname,
                          const struct settings *settings, char *ret_path);
};

/* ---- for backends ---- */
/* Sets the common part; asserts that required slots are there and agree with the capabilities. */
void pool_init(struct pool *pool, const struct pool_ops *ops, const struct pool_capabilities *capabilities,
               const char *nickname, struct settings *settings);
/* Frees the common part, settings included; the backend's close calls it last before free(instance). */
void pool_fini(struct pool *pool);

/* ---- the front door ---- */
struct pool *pool_ref(struct pool *pool);
void pool_unref(struct pool *pool);
DEFINE_AUTO(struct pool, pool_unref)

/* ERR_AGAIN also when the kind has no peek, and while a fill of the key settles: what it brings may replace what is there. */
enum err pool_peek(struct pool *pool, const struct id *id, struct entry **ret_entry) MUST_USE;
enum err pool_peek_meta(struct pool *pool, const struct id *id, struct meta *ret_meta) MUST_USE;
/* Whether that says that the pool does not have the entry: then it counts as a miss. */
bool pool_peek_absent(struct pool *pool, const struct id *id);
/* Each of these first waits (bounded) for a settling fill of the key, except pool_open_reader_unfenced, which the
 * flight that raised the fence itself uses. options NULL = all of it. */
enum err pool_open_reader(struct pool *pool, struct op *op, const struct id *id,
                          const struct read_options *options, struct reader **ret_reader) MUST_USE;
enum err pool_open_reader_unfenced(struct pool *pool, struct op *op, const struct id *id,
                                   const struct read_options *options, struct reader **ret_reader) MUST_USE;
enum err pool_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta) MUST_USE;
/* Breaks the key's fences, then removes. */
enum err pool_remove(struct pool *pool, struct op *op, const struct id *id, const struct condition *condition,
                     bool *ret_existed) MUST_USE;
/* Removes one cached copy, the one with this entity tag ("" = whatever copy there is), on behalf of a refresh, which found that it is
 * outdated and has nothing to put in its place. ERR_PRECONDITION: there is another or none. Judged in one step with the removal
 * (local kinds), so nothing newer can be hit and no fence is asked. */
enum err pool_drop_copy(struct pool *pool, struct op *op, const struct id *id, const char *etag) MUST_USE;
enum err pool_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor, unsigned limit,
                   struct listing *ret_listing) MUST_USE;
enum err pool_empty(struct pool *pool, struct op *op, uint64_t *ret_removed) MUST_USE;
void pool_get_status(struct pool *pool, struct pool_status *ret_status);
void pool_set_cached_evictable(struct pool *pool, bool evictable);
bool pool_takes_fill(struct pool *pool, uint64_t size_bytes);
/* ERR_UNSUPPORTED for what the pool has not declared. */
enum err pool_upkeep(struct pool *pool, struct op *op, enum upkeep_kind kind,
                     enum upkeep_action action) MUST_USE;
enum err pool_get_upkeep(struct pool *pool, struct op *op, enum upkeep_kind kind,
                         struct upkeep_status *ret_status) MUST_USE;
bool pool_proves_not_owned(struct pool *pool, const struct id *id);
const char *pool_state_word(enum pool_state state); /* "ok", "loading", ... */

/* ERR_AGAIN also when the kind has no read_now. */
enum err reader_read_now(struct reader *reader, void *ret_bytes, size_t cap, size_t *ret_count) MUST_USE;
/* ERR_AGAIN also when the kind has no map. Lanes only. */
enum err reader_map(struct reader *reader, size_t count, const void **ret_bytes) MUST_USE;
enum err reader_read(struct reader *reader, struct op *op, void *ret_bytes, size_t cap,
                     size_t *ret_count) MUST_USE;
void reader_close(struct reader *reader); /* NULL allowed */
DEFINE_AUTO(struct reader, reader_close)

/* What pool_open_writer refuses without asking the backend: an id or a size that the pool can never hold, a condition that it cannot
 * judge. Never blocks. */
enum err pool_check_write(struct pool *pool, struct op *op, const struct id *id,
                          const struct write_options *options) MUST_USE;
/* The front door's writer: counts, hashes, checks a declared size and digest (ERR_INVALID: REASON_BODY_INCOMPLETE,
 * REASON_DIGEST_MISMATCH; ERR_TOO_LARGE), breaks fences at commit (unless it is a fill), then commits. */
struct pool_writer;
enum err pool_open_writer(struct pool *pool, struct op *op, const struct id *id,
                          const struct write_options *options, struct pool_writer **ret_writer) MUST_USE;
enum err pool_writer_write(struct pool_writer *writer, struct op *op, const void *bytes,
                           size_t count) MUST_USE;
/* A digest that became known after the open (a trailer): checked at commit as if declared. Another than the declared one is
 * REASON_DIGEST_MISMATCH at once. */
enum err pool_writer_expect_sha256(struct pool_writer *writer, struct op *op,
                                   const uint8_t sha256[SHA256_BYTES]) MUST_USE;
enum err pool_writer_commit(struct pool_writer *writer, struct op *op,
                            struct commit_result *ret_result) MUST_USE;
void pool_writer_close(struct pool_writer *writer);
DEFINE_AUTO(struct pool_writer, pool_writer_close)
/* A whole entry: put_entry where the kind has it, else a writer. entry->meta.has_sha256 must be true. */
enum err pool_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                        const struct condition *condition, const struct fence *fence,
                        struct commit_result *ret_result) MUST_USE;

#endif
