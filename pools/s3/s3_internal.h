/* s3_internal.h - the instance and what the files of this folder share. Nobody else includes it.
 *
 * struct s3_pool is immutable after open but for the atomics, the health text and the leftovers, whose locks are named
 * beside them. Option texts are borrowed from the pool's settings and live as long.
 */
#ifndef POOLS_S3_S3_INTERNAL_H
#define POOLS_S3_S3_INTERNAL_H

#include "pools/base/mutex.h"
#include "pools/base/spool.h"
#include "pools/object_store/http_client.h"
#include "pools/object_store/retry.h"
#include "pools/object_store/sigv4.h"
#include "pools/pool.h"
#include "pools/s3/s3_journal.h"
#include "pools/s3/s3_key.h"
#include "pools/s3/s3_pool.h"

#define S3_POOL_MAGIC 0x53335031u
#define S3_HOST_BYTES 512
#define S3_MULTIPART_ABOVE_BYTES (UINT64_C(64) << 20)
#define S3_SINGLE_MOST_BYTES (UINT64_C(5) << 30) /* of one PUT: S3's own limit */
#define S3_OBJECT_MOST_BYTES (UINT64_C(5) << 40)
#define S3_PART_LEAST_BYTES (UINT64_C(16) << 20)
#define S3_MOST_PARTS 10000
#define S3_SPOOL_RAM_BYTES (UINT64_C(1) << 20)

/* Aborting what a crash left. */
struct s3_sweep {
    pthread_t thread;
    bool has_thread;
    atomic_bool busy; /* the thread is at it */
    struct op op;     /* the thread's; cancelled at close */
};

struct s3_pool {
    struct pool pool;
    unsigned magic;
    struct http_client *client;
    struct spool_dir *spool_dir;
    s3_clock_fn *clock;

    /* Options; sign_* are NULL when the pool has no credentials */
    const char *bucket;
    const char *prefix;
    const char *region;
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;         /* NULL = none */
    char base_url[S3_HOST_BYTES + 16]; /* "https://host[:port]" */
    char host[S3_HOST_BYTES];          /* as the Host field says it */
    char bucket_path[S3_HOST_BYTES]; /* "/bucket" or "" (virtual addressing), after the endpoint's own path */

    /* What the store turned out to be unable to do: create-only PUT. Set once. */
    atomic_bool no_create_only;

    struct mutex mutex;           /* RANK_KIND */
    struct sigv4_key signing_key; /* under the mutex */

    /* Health: from what calls met. reason is under the mutex. */
    atomic_bool down;
    char down_reason[OP_DETAIL_BYTES];
    atomic_bool foreign_known;
    atomic_uint_fast64_t foreign;

    struct s3_journal *journal; /* multipart uploads under way; NULL = no data directory */
    struct s3_sweep sweep;
};

struct s3_pool *s3_pool_checked(struct pool *pool);

/* ---- s3_call.c: one signed request, repeated while that helps ---- */

#define S3_MOST_FIELDS 40
#define S3_MOST_QUERY 8

struct s3_call {
    const char *method;
    const char *name; /* object name; NULL = the bucket */
    unsigned query_count;
    struct sigv4_pair query[S3_MOST_QUERY];
    unsigned field_count;
    struct http_field field[S3_MOST_FIELDS];
    const struct http_body *body;
    const char *payload_hash;  /* hex; NULL = of no body */
    bool conditional;          /* carries If-Match or If-None-Match */
    const struct fence *fence; /* of a fill: no attempt is begun once it is broken. NULL = none */
    /* The answer's body is collected inside the attempt, so that a break in it is retried too: always (must_collect: more is a bad
     * answer), or when its length is known and at most this. 0 = never. */
    size_t collect_most_bytes;
    bool must_collect;
    bool may_fail_late; /* with must_collect: a 200 may have an error document for its body */
};

struct s3_answer {
    struct http_exchange *exchange; /* status and fields; the body too unless collected */
    bool collected;
    struct buf body;
    /* The request may have been carried out by an attempt whose answer was lost, before the one that ended the call. */
    bool ambiguous;
    char code[64]; /* the store's own word for the refusal that ended the call; "" = none */
};
void s3_answer_init(struct s3_answer *answer);
void s3_answer_fini(struct s3_answer *answer);
static inline void s3_answer_fini_auto(struct s3_answer *answer) {
    s3_answer_fini(answer);
}

/* The values are borrowed until the call is sent. */
void s3_call_query(struct s3_call *call, const char *name, const char *value);
void s3_call_field(struct s3_call *call, const char *name, const char *value);
/* The buffer as a body; it must not change until the call is sent. */
struct http_body s3_call_body(struct buf *buf);
/* OK for a status of 2xx only; ret_answer (initialised) is filled then, `ambiguous` and `code` always. Notes the pool's health. */
enum err s3_call_send(struct s3_pool *s3, struct op *op, const struct s3_call *call,
                      struct s3_answer *ret_answer) MUST_USE;
/* The same for answers without interest. */
enum err s3_call_send_only(struct s3_pool *s3, struct op *op, const struct s3_call *call) MUST_USE;

/* ---- s3_meta.c: metadata and header fields ---- */

#define S3_META_MOST_PIECES 12 /* of the extension: 2 KiB in base64 by 240 */
struct s3_meta_fields {
    char sha256[SHA256_HEX_BYTES];
    char created[24];
    char piece[S3_META_MOST_PIECES][256];
};
/* Whether an object can carry the entry's texts: ERR_INVALID (REASON_INVALID_HEADER) for control bytes and what is no ASCII. */
enum err s3_meta_check(struct op *op, const struct meta *meta) MUST_USE;
/* Adds what describes the entry to a call that makes an object; `fields` holds the texts until it is sent. Fails as s3_meta_check. */
enum err s3_meta_to_call(struct op *op, const struct meta *meta, struct s3_meta_fields *ret_fields,
                         struct s3_call *call) MUST_USE;
/* From an answer to GET or HEAD. Foreign objects give what S3 itself knows. ret_meta is uninitialised before. */
void s3_meta_from_answer(const struct http_exchange *exchange, struct meta *ret_meta);
/* Copies an ETag's opaque part; "" when there is none or it is too long. */
#define S3_ETAG_BYTES (META_VALIDATOR_BYTES - 4)
void s3_meta_etag(const struct http_exchange *exchange, char ret_etag[S3_ETAG_BYTES]);

/* ---- slots ---- */
enum err s3_open_reader(struct pool *pool, struct op *op, const struct id *id,
                        const struct read_options *options, struct reader **ret_reader);
enum err s3_stat(struct pool *pool, struct op *op, const struct id *id, struct meta *ret_meta);
enum err s3_open_writer(struct pool *pool, struct op *op, const struct id *id,
                        const struct write_options *options, struct writer **ret_writer);
enum err s3_put_entry(struct pool *pool, struct op *op, const struct id *id, struct entry *entry,
                      const struct condition *condition, const struct fence *fence,
                      struct commit_result *ret_result);
enum err s3_remove(struct pool *pool, struct op *op, const struct id *id, const struct condition *condition,
                   bool *ret_existed);
enum err s3_list(struct pool *pool, struct op *op, const char *prefix, const char *cursor, unsigned limit,
                 struct listing *ret_listing);
enum err s3_empty(struct pool *pool, struct op *op, uint64_t *ret_removed);

/* ---- shared steps ---- */
/* HEAD by name, the etag beside the metadata (either may be NULL). */
enum err s3_head(struct s3_pool *s3, struct op *op, const char *name, struct meta *ret_meta,
                 char ret_etag[S3_ETAG_BYTES]) MUST_USE;
/* Judges the condition on what is there now and gives the etag to send as If-Match: "" = the object is absent. */
enum err s3_condition_judge(struct s3_pool *s3, struct op *op, const char *name,
                            const struct condition *condition, char ret_etag[S3_ETAG_BYTES]) MUST_USE;

/* What to store: s3_commit.c decides how. */
struct s3_upload {
    const char *name;
    struct meta meta; /* size and sha256 set; borrowed */
    struct http_body body;
    const struct condition *condition; /* not looked at when there is a fence */
    const struct fence *fence;         /* not NULL = a fill */
};
/* Whether the object of that name is the one that is to be stored: same body, time of making and hold. */
enum err s3_upload_is_there(struct s3_pool *s3, struct op *op, const struct s3_upload *upload, bool *ret_ours,
                            char ret_etag[S3_ETAG_BYTES]) MUST_USE;
enum err s3_commit(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                   struct commit_result *ret_result) MUST_USE;
/* s3_multipart.c: the object in parts, published by the last request. */
enum err s3_multipart_put(struct s3_pool *s3, struct op *op, const struct s3_upload *upload,
                          char ret_etag[S3_ETAG_BYTES]) MUST_USE;
#define S3_ABORT_MOST_NS (10 * NS_PER_S)
/* True when the store has no such upload any more; else op says why. */
bool s3_multipart_abort(struct s3_pool *s3, struct op *op, const char *name, const char *upload_id);

/* ---- s3_sweep.c: uploads that a crash of this daemon left ---- */
/* Aborts them in the background. */
void s3_sweep_start(struct s3_pool *s3);
/* Ends that; legal when it was never started. */
void s3_sweep_stop(struct s3_pool *s3);
/* Aborts one of those that stayed; for calls that just succeeded. Failures are left for the next start. */
void s3_sweep_one(struct s3_pool *s3);

#endif
