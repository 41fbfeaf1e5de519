/* map.h - an intrusive hash table ordered by hash.
 *
 * The bucket of a node is the *top* bits of its hash, so a walk in bucket order is a walk in hash
 * order whatever the table's size: a listing cursor (the last hash seen) survives growth.
 * Not synchronised: the owner locks. Nodes are embedded in the owner's objects; the map owns only
 * its bucket array.
 */
#ifndef POOLS_BASE_MAP_H
#define POOLS_BASE_MAP_H

#include "pools/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_node {
    struct map_node *next;
    uint64_t hash;
};

typedef bool map_equal_fn(const struct map_node *node, const void *key);

struct map {
    struct map_node **buckets;
    unsigned bits;
    size_t count;
    map_equal_fn *equal;
};

/* Allocates nothing. */
void map_init(struct map *map, map_equal_fn *equal);
/* Frees the bucket array; the nodes are the owner's. */
void map_fini(struct map *map);
/* Makes room for so many nodes at once. Without memory it grows later, in steps. */
void map_reserve(struct map *map, size_t count);
struct map_node *map_find(const struct map *map, uint64_t hash, const void *key);
/* False when out of memory (then nothing was inserted). The key must not be present unless the owner wants duplicates. */
bool map_insert(struct map *map, struct map_node *node, uint64_t hash) MUST_USE;
/* The node must be in the map. */
void map_remove(struct map *map, struct map_node *node);

/* Visits every node in no stated order. The callback may remove (and free) the node it is given. */
typedef void map_visit_fn(struct map_node *node, void *context);
void map_each(struct map *map, map_visit_fn *visit, void *context);

/* Visits nodes with hash >= from_hash in rising hash order until the callback returns false. The map must not change meanwhile. */
typedef bool map_scan_fn(struct map_node *node, void *context);
void map_scan(const struct map *map, uint64_t from_hash, map_scan_fn *visit, void *context);

#endif
