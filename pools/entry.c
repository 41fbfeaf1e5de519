/* entry.c - see entry.h. */
#include "pools/entry.h"

#include "pools/base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void meta_init(struct meta *meta) {
    memset(meta, 0, sizeof *meta);
    meta->size_bytes = SIZE_UNKNOWN;
    meta->hold = HOLD_OWNED;
    snprintf(meta->content_type, sizeof meta->content_type, "%s", META_DEFAULT_TYPE);
}

void meta_fini(struct meta *meta) {
    blob_unref(meta->extension);
    meta->extension = NULL;
}

void meta_copy(struct meta *ret_meta, const struct meta *from) {
    *ret_meta = *from;
    if (from->extension) {
        blob_ref(from->extension);
    }
}

void meta_etag(const struct meta *meta, char ret_etag[ETAG_BYTES]) {
    if (meta->has_sha256) {
        ret_etag[0] = '"';
        digest_hex(meta->sha256, ret_etag + 1);
        ret_etag[SHA256_HEX_BYTES] = '"';
        ret_etag[SHA256_HEX_BYTES + 1] = '\0';
    } else if (meta->validator[0]) {
        snprintf(ret_etag, ETAG_BYTES, "\"%s\"", meta->validator);
    } else {
        ret_etag[0] = '\0';
    }
}

struct entry *entry_new(const struct meta *meta, struct blob *body) {
    struct entry *entry = malloc(sizeof *entry);
    if (!entry) {
        return NULL;
    }
    atomic_init(&entry->refs, 1);
    atomic_init(&entry->note, NULL);
    meta_copy(&entry->meta, meta);
    entry->meta.size_bytes = body->size;
    entry->body = blob_ref(body);
    return entry;
}

struct entry *entry_ref(struct entry *entry) {
    unsigned before = atomic_fetch_add_explicit(&entry->refs, 1, memory_order_relaxed);
    MUST(before > 0);
    return entry;
}

void entry_unref(struct entry *entry) {
    if (!entry) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel);
    MUST(before > 0);
    if (before > 1) {
        return;
    }
    struct entry_note *note = atomic_load_explicit(&entry->note, memory_order_acquire);
    if (note) {
        note->free_note(note);
    }
    meta_fini(&entry->meta);
    blob_unref(entry->body);
    free(entry);
}

bool entry_set_note(struct entry *entry, struct entry_note *note) {
    struct entry_note *none = NULL;
    return atomic_compare_exchange_strong_explicit(&entry->note, &none, note, memory_order_acq_rel,
                                                   memory_order_acquire);
}

size_t entry_overhead_bytes(const struct entry *entry) {
    size_t extension_bytes = entry->meta.extension ? sizeof(struct blob) + entry->meta.extension->size : 0;
    return sizeof *entry + sizeof(struct blob) + extension_bytes;
}
