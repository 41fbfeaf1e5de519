/* version.c - see version.h. */
#include "pools/hdf5/version.h"

#include "pools/base/must.h"
#include "pools/hdf5/h5_file.h"

#include <stdlib.h>

const char *version_default_type(enum version_kind kind) {
    return kind == VERSION_TEXT || kind == VERSION_LIBRARY_TEXT ? "application/json" : META_DEFAULT_TYPE;
}

struct version *version_new(struct h5_file *file, const struct placement *placement,
                            const struct meta *meta) {
    static const struct meta nothing;
    const struct meta *from = meta ? meta : &nothing;
    size_t type_bytes = strlen(from->content_type) + 1;
    size_t encoding_bytes = strlen(from->content_encoding) + 1;
    size_t validator_bytes = strlen(from->validator) + 1;
    struct version *version = malloc(sizeof *version + type_bytes + encoding_bytes + validator_bytes);
    if (!version) {
        return NULL;
    }
    atomic_init(&version->refs, 1);
    atomic_init(&version->verified, false);
    atomic_init(&version->touched, false);
    atomic_init(&version->retired, false);
    atomic_init(&version->damaged, false);
    atomic_init(&version->has_learned, false);
    atomic_init(&version->is_noted, false);
    version->owes_digest = false;
    version->kind = (uint8_t)placement->kind;
    version->hold = (uint8_t)from->hold;
    version->has_sha256 = from->has_sha256;
    version->file = h5_file_ref(file);
    version->address = placement->address;
    version->offset = placement->offset;
    version->length = placement->length;
    version->created_ms = from->created_ms;
    version->stored_ms = from->stored_ms;
    version->extension = from->extension ? blob_ref(from->extension) : NULL;
    version->record = NULL;
    version->hot = NULL;
    version->is_hot = false;
    version->is_resident = false;
    version->used_again = false;
    memcpy(version->sha256, from->sha256, SHA256_BYTES);
    memcpy(version->texts, from->content_type, type_bytes);
    memcpy(version->texts + type_bytes, from->content_encoding, encoding_bytes);
    memcpy(version->texts + type_bytes + encoding_bytes, from->validator, validator_bytes);
    return version;
}

struct version *version_ref(struct version *version) {
    unsigned before = atomic_fetch_add(&version->refs, 1);
    MUST(before > 0);
    return version;
}

bool version_unref(struct version *version) {
    if (!version) {
        return false;
    }
    /* Read before the count falls: afterwards the version may be gone. Retired in between, it waits for the next batch. */
    bool retired = atomic_load(&version->retired);
    unsigned before = atomic_fetch_sub(&version->refs, 1);
    MUST(before > 0);
    if (before > 1) {
        return retired && before == 2;
    }
    entry_unref(version->hot);
    blob_unref(version->extension);
    h5_file_unref(version->file);
    free(version);
    return false;
}

bool version_is_idle(const struct version *version) {
    return atomic_load(&version->refs) == 1;
}

bool version_trusts_digest(const struct version *version) {
    return (version->has_sha256 ? version->file->alone : !version->owes_digest) ||
           atomic_load(&version->verified);
}

/* The texts were those of a meta: they fit. Where the next one begins. Every hit does this; printing them took as long as finding the
 * entry. */
static const char *take_text(const char *text, char *ret_text) {
    size_t bytes = strlen(text) + 1;
    memcpy(ret_text, text, bytes);
    return text + bytes;
}

void version_meta(const struct version *version, struct meta *ret_meta) {
    meta_init(ret_meta);
    ret_meta->size_bytes = version->length;
    ret_meta->created_ms = version->created_ms;
    ret_meta->stored_ms = version->stored_ms;
    ret_meta->hold = (enum hold)version->hold;
    bool learned = atomic_load_explicit(&version->has_learned, memory_order_acquire);
    ret_meta->has_sha256 = learned || (version->has_sha256 && version_trusts_digest(version));
    memcpy(ret_meta->sha256, learned ? version->learned : version->sha256, SHA256_BYTES);
    const char *encoding = take_text(version->texts, ret_meta->content_type);
    const char *validator = take_text(encoding, ret_meta->content_encoding);
    (void)take_text(validator, ret_meta->validator);
    ret_meta->extension = version->extension ? blob_ref(version->extension) : NULL;
}

void version_learn(struct version *version, const uint8_t sha256[SHA256_BYTES]) {
    if (!atomic_load_explicit(&version->has_learned, memory_order_relaxed)) {
        memcpy(version->learned, sha256, SHA256_BYTES);
        atomic_store_explicit(&version->has_learned, true, memory_order_release);
    }
    atomic_store(&version->verified, true);
}

void version_facts(const struct version *version, struct facts *ret_facts) {
    *ret_facts = (struct facts){.placement = {.kind = (enum version_kind)version->kind,
                                              .address = version->address,
                                              .offset = version->offset,
                                              .length = version->length},
                                .hold = (enum hold)version->hold,
                                .has_sha256 = version->has_sha256};
}

static bool kind_in_one_piece(enum version_kind kind) {
    return kind == VERSION_TEXT || kind == VERSION_BYTES;
}

bool placement_in_one_piece(const struct placement *placement) {
    return kind_in_one_piece(placement->kind);
}

bool version_in_one_piece(const struct version *version) {
    return kind_in_one_piece((enum version_kind)version->kind);
}
