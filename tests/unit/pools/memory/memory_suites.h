/* memory_suites.h - the suites of pools/memory. What every pool must do is in tests/contract; here is what only this one promises. */
#ifndef TESTS_UNIT_POOLS_MEMORY_SUITES_H
#define TESTS_UNIT_POOLS_MEMORY_SUITES_H

#include "pools/memory/memory_store.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *limits_suite(void);
Suite *s3fifo_suite(void);
Suite *store_suite(void);

/* An entry of `count` bytes with this hold. */
static inline struct entry *entry_make(size_t count, enum hold hold) {
    struct meta meta;
    meta_init(&meta);
    meta.hold = hold;
    meta.has_sha256 = true;
    struct blob *body = blob_new(count);
    memset(body->data, 'x', count);
    struct entry *entry = entry_new(&meta, body);
    blob_unref(body);
    return entry;
}

/* Puts one under "<prefix><number>". */
static inline enum err store_put(struct memory_store *store, const char *prefix, unsigned number,
                                 size_t count, enum hold hold) {
    struct op op;
    op_init(&op, 0, 0);
    char text[64];
    struct id id = id_trusted(text, (size_t)snprintf(text, sizeof text, "%s%u", prefix, number));
    struct entry *entry = entry_make(count, hold);
    bool created = false;
    enum err err = memory_store_put(store, &op, &id, entry, NULL, NULL, &created);
    entry_unref(entry);
    return err;
}

static inline bool store_has(struct memory_store *store, const char *prefix, unsigned number) {
    char text[64];
    struct id id = id_trusted(text, (size_t)snprintf(text, sizeof text, "%s%u", prefix, number));
    struct entry *entry = memory_store_get(store, &id);
    entry_unref(entry);
    return entry != NULL;
}

#endif
