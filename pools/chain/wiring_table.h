/* wiring_table.h - struct wiring as wiring.c (changes, questions) and tiers.c (what readers take) share it. */
#ifndef POOLS_CHAIN_WIRING_TABLE_H
#define POOLS_CHAIN_WIRING_TABLE_H

#include "pools/base/map.h"
#include "pools/base/mutex.h"
#include "pools/chain/wiring_links.h"

struct wiring {
    struct registry *registry;
    struct state *state;
    struct mutex mutex;
    struct cond settled; /* a reservation ended */
    bool changing;
    struct links links;
    char *chain_text;  /* the config's, saved along */
    struct map chains; /* remembered_chain by head, dropped at every change */
};

/* An empty table of remembered chains / drops what one holds. Dropping may close pools: never under the lock. */
void tiers_table_init(struct map *chains);
void tiers_table_drop(struct map *chains);

#endif
