/* config_parts.h - what config.c and config_pools.c share. Nobody else includes it. */
#ifndef SERVER_CONFIG_PARTS_H
#define SERVER_CONFIG_PARTS_H

#include "server/config.h"
#include "server/toml_tree.h"

struct reading {
    struct config *config;
    const char *file;
    struct complaint *complaint;
};

/* Each returns false after a complaint. */
/* where: what stands before the key in a message, "[pools.a] " or "". */
bool config_set_value(const struct reading *reading, struct settings *settings, const struct toml_node *node,
                      const char *where);
bool config_read_pools(const struct reading *reading, const struct toml_node *node);
/* The memory pool that is there even when the file does not name it. */
bool config_add_alpha(const struct reading *reading);
/* After the pools: syntax, known pools, no cycle. */
bool config_read_chain(const struct reading *reading, const struct toml_node *node);
/* At the end, when the data directory is known: no pool may keep a file of the daemon's or of another pool. */
bool config_check_files(const struct reading *reading);

#endif
