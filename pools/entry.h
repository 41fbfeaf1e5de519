/* entry.h - what a pool holds under an id: metadata and an opaque body.
 *
 * struct meta is plain data plus one optional shared blob (extension); meta_copy / meta_fini keep its
 * count right. struct entry is a whole entry in memory: immutable, reference counted, read by any
 * thread. Two tiers share a body blob but each has its own entry (stored time and hold differ).
 * Bodies are never parsed or re-encoded (design.md section 1).
 */
#ifndef POOLS_ENTRY_H
#define POOLS_ENTRY_H

#include "pools/base/blob.h"
#include "pools/base/digest.h"
#include "pools/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define SIZE_UNKNOWN UINT64_MAX
#define META_TYPE_BYTES 256      /* content type and the NUL */
#define META_ENCODING_BYTES 64   /* content encoding and the NUL */
#define META_VALIDATOR_BYTES 128 /* "<kind>-<backend validator>" and the NUL */
#define META_EXTENSION_MOST_BYTES 2048
#define META_DEFAULT_TYPE "application/octet-stream"

/* Who put it there: a client (owned, never evicted) or a read on its way back (cached). */
enum hold { HOLD_OWNED, HOLD_CACHED, HOLD_PINNED /* reserved */ };

struct meta {
    uint64_t size_bytes; /* of the body; SIZE_UNKNOWN while a stream's length is not known */
    int64_t created_ms;  /* wall clock, when the entry came into being; 0 = unknown */
    int64_t stored_ms;   /* wall clock, when this tier got it; 0 = unknown */
    enum hold hold;
    bool has_sha256;
    uint8_t sha256[SHA256_BYTES];
    char content_type[META_TYPE_BYTES];         /* never empty in an entry */
    char content_encoding[META_ENCODING_BYTES]; /* "" = none */
    char validator[META_VALIDATOR_BYTES];       /* origin's validator without quotes, "" = none */
    struct blob *extension;                     /* opaque, at most META_EXTENSION_MOST_BYTES; NULL = none */
};

/* All zero, size unknown, META_DEFAULT_TYPE, owned. */
void meta_init(struct meta *meta);
void meta_fini(struct meta *meta);
void meta_copy(struct meta *ret_meta, const struct meta *from); /* ret_meta is uninitialised before */

/* The strong entity tag with its quotes: "<sha-256 hex>" when known, else "<validator>"; "" when neither
 * is known (design.md 13.13). */
#define ETAG_BYTES (META_VALIDATOR_BYTES + 2)
void meta_etag(const struct meta *meta, char ret_etag[ETAG_BYTES]);

/* Something another layer keeps with an entry for as long as it lives (the server's finished response). */
struct entry_note {
    void (*free_note)(void *note);
};

struct entry {
    atomic_uint refs;
    _Atomic(struct entry_note *) note; /* set once by entry_set_note; freed with the entry */
    struct meta meta;                  /* size_bytes == body->size */
    struct blob *body;
};

/* One reference. Copies meta (sets its size), takes a new reference to body. NULL when out of memory. */
struct entry *entry_new(const struct meta *meta, struct blob *body);
struct entry *entry_ref(struct entry *entry);
void entry_unref(struct entry *entry);
DEFINE_AUTO(struct entry, entry_unref)
/* True and the entry owns the note; false when another thread was first (the caller keeps its note). */
bool entry_set_note(struct entry *entry, struct entry_note *note);
/* Memory one entry takes beside its body, in bytes (for accounting). */
size_t entry_overhead_bytes(const struct entry *entry);

#endif
