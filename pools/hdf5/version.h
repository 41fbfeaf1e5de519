/* version.h - one stored state of an entry: where its bytes are in which file, and its metadata, packed.
 *
 * The index remembers of most entries only where they are (facts). A version is made of the entry's header when somebody wants more,
 * and there is never more than one of a state: so the store knows by its count whether anybody still reads there.
 *
 * A version is immutable but for its flags and a digest that may be learned later, and shared by reference count: the index holds one reference while it
 * keeps it, every read holds one while it copies bytes. The space of a replaced version is given back to the file
 * only when the store's own reference is the last one, so a reader never meets bytes of another entry.
 *
 * Life
 *   1 KEPT        the index shows it; kept while it is hot, among those used lately, or in use
 *   2 forgotten   nobody used it: freed; the index has the facts, and a later reader makes it anew. A learned digest that the file does not
 *                 have is forgotten with it; who was told it may name it again, so the new version owes it (version_trusts_digest)
 *   3 RETIRED     replaced or removed; the store keeps the dataset open until the readers have gone
 * The version of an entry whose header cannot be read is of kind VERSION_UNRESOLVED; only the store's thread meets it.
 */
#ifndef POOLS_HDF5_VERSION_H
#define POOLS_HDF5_VERSION_H

#include "pools/entry.h"

#include <stdatomic.h>
#include <sys/queue.h>

struct h5_file;

enum version_kind {
    VERSION_UNRESOLVED,   /* only the object's address is known */
    VERSION_TEXT,         /* a scalar fixed-length string: bytes at offset */
    VERSION_BYTES,        /* anything else that lies in one piece: bytes at offset */
    VERSION_LIBRARY_TEXT, /* a variable-length string: only the library can read it */
    VERSION_LIBRARY_BYTES /* chunked, compressed, compact ...: only the library can read it */
};

struct version {
    atomic_uint refs;
    atomic_bool verified;    /* the body was compared with sha256, or written, since the file was opened */
    atomic_bool touched;     /* read since the eviction hand last passed */
    atomic_bool retired;     /* the store waits for the last reader */
    atomic_bool damaged;     /* quarantined: the body was found not to match its digest (scrub.c) */
    atomic_bool has_learned; /* `learned` is set and counts instead of sha256 */
    atomic_bool is_noted;    /* the file has it too, as of a commit */
    bool owes_digest;        /* it was learned before, and forgotten; set before others see the version */
    uint8_t kind;
    uint8_t hold;
    bool has_sha256;
    struct h5_file *file; /* one reference */
    uint64_t address;     /* of the object's header */
    uint64_t offset;      /* of the body in the file; 0 for the library's kinds and empty bodies */
    uint64_t length;      /* of the body */
    int64_t created_ms, stored_ms;
    struct blob *extension;
    uint8_t sha256[SHA256_BYTES];
    uint8_t learned[SHA256_BYTES];
    /* index.h; the store's thread only */
    struct record *record; /* whose version it is or is to be */
    TAILQ_ENTRY(version) in_staged;
    /* hot.h, residents.h; under the index's lock until the last reference goes. In one of the two queues at most. */
    TAILQ_ENTRY(version) in_queue;
    struct entry *hot; /* one reference, NULL = none */
    bool is_hot;       /* in the queue of hot.h */
    bool is_resident;  /* in that of residents.h */
    bool used_again;   /* since the queue last passed it */
    char texts[];      /* content type, content encoding, validator: each with its NUL */
};
TAILQ_HEAD(version_queue, version);

/* The place of a body, without its metadata. */
struct placement {
    enum version_kind kind;
    uint64_t address, offset, length;
};

/* What the index remembers of an entry. */
struct facts {
    struct placement placement;
    enum hold hold;
    bool has_sha256;
};

/* What strings and other data are when nobody says (design.md 13.19). */
const char *version_default_type(enum version_kind kind);

/* One reference; takes its own references to file and meta's extension. meta NULL = unresolved. NULL when out of memory. */
struct version *version_new(struct h5_file *file, const struct placement *placement, const struct meta *meta);
struct version *version_ref(struct version *version);
/* True when the store waits for this version and its own reference is the only one left: the caller should poke it. */
bool version_unref(struct version *version);
static inline void version_drop(struct version *version) {
    (void)version_unref(version);
}
DEFINE_AUTO(struct version, version_drop)

/* Whether nobody but the store refers to it. */
bool version_is_idle(const struct version *version);
/* False for a digest that another writer may have left behind, and for one that was told before and has been forgotten: the body has to be
 * looked at first (hdf5_reader_verify). */
bool version_trusts_digest(const struct version *version);
/* ret_meta is uninitialised before. A digest that is not trusted is left out. */
void version_meta(const struct version *version, struct meta *ret_meta);
/* The body's digest as just computed; the store's thread only. Verifies the version too. */
void version_learn(struct version *version, const uint8_t sha256[SHA256_BYTES]);
void version_facts(const struct version *version, struct facts *ret_facts);
/* True when pread can serve it. */
bool placement_in_one_piece(const struct placement *placement);
bool version_in_one_piece(const struct version *version);

#endif
