/* map.c - see map.h. Chains are kept sorted by hash, so a scan needs no sorting and a find stops early. */
#include "pools/base/map.h"

#include "pools/base/must.h"

#include <stdlib.h>

#define MAP_FIRST_BITS 4
#define MAP_MOST_BITS 40

static size_t bucket_of(const struct map *map, uint64_t hash) {
    return (size_t)(hash >> (64 - map->bits));
}

void map_init(struct map *map, map_equal_fn *equal) {
    *map = (struct map){.equal = equal};
}

void map_fini(struct map *map) {
    free(map->buckets);
    map->buckets = NULL;
    map->bits = 0;
    map->count = 0;
}

struct map_node *map_find(const struct map *map, uint64_t hash, const void *key) {
    if (!map->count) {
        return NULL;
    }
    struct map_node *node = map->buckets[bucket_of(map, hash)];
    while (node && node->hash < hash) {
        node = node->next;
    }
    for (; node && node->hash == hash; node = node->next) {
        if (map->equal(node, key)) {
            return node;
        }
    }
    return NULL;
}

static void chain_insert(struct map_node **link, struct map_node *node) {
    while (*link && (*link)->hash < node->hash) {
        link = &(*link)->next;
    }
    node->next = *link;
    *link = node;
}

static bool grow_to(struct map *map, unsigned bits) {
    struct map_node **buckets = calloc((size_t)1 << bits, sizeof(struct map_node *));
    if (!buckets) {
        return false;
    }
    struct map old = *map;
    map->buckets = buckets;
    map->bits = bits;
    for (size_t i = 0; old.bits && i < (size_t)1 << old.bits; i++) {
        struct map_node *node = old.buckets[i];
        while (node) {
            struct map_node *next = node->next;
            chain_insert(&map->buckets[bucket_of(map, node->hash)], node);
            node = next;
        }
    }
    free(old.buckets);
    return true;
}

void map_reserve(struct map *map, size_t count) {
    unsigned bits = MAP_FIRST_BITS;
    while (bits < MAP_MOST_BITS && (size_t)1 << bits < count) {
        bits++;
    }
    if (bits > map->bits) {
        (void)grow_to(map, bits);
    }
}

static bool grow(struct map *map) {
    return grow_to(map, map->bits ? map->bits + 1 : MAP_FIRST_BITS);
}

bool map_insert(struct map *map, struct map_node *node, uint64_t hash) {
    bool full = !map->bits || map->count >= (size_t)1 << map->bits;
    if (full && map->bits < MAP_MOST_BITS && !grow(map) && !map->bits) {
        return false; /* a table that could not grow still works, only with longer chains */
    }
    node->hash = hash;
    chain_insert(&map->buckets[bucket_of(map, hash)], node);
    map->count++;
    return true;
}

void map_remove(struct map *map, struct map_node *node) {
    MUST(map->count > 0);
    struct map_node **link = &map->buckets[bucket_of(map, node->hash)];
    while (*link != node) {
        MUST(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

void map_each(struct map *map, map_visit_fn *visit, void *context) {
    for (size_t i = 0; map->bits && i < (size_t)1 << map->bits; i++) {
        struct map_node *node = map->buckets[i];
        while (node) {
            struct map_node *next = node->next;
            visit(node, context);
            node = next;
        }
    }
}

void map_scan(const struct map *map, uint64_t from_hash, map_scan_fn *visit, void *context) {
    if (!map->count) {
        return;
    }
    for (size_t i = bucket_of(map, from_hash); i < (size_t)1 << map->bits; i++) {
        for (struct map_node *node = map->buckets[i]; node; node = node->next) {
            if (node->hash >= from_hash && !visit(node, context)) {
                return;
            }
        }
    }
}
