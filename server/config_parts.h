/* config_parts.h - what the config*.c files share. Nobody else includes it. */
#ifndef SERVER_CONFIG_PARTS_H
#define SERVER_CONFIG_PARTS_H

#include "server/config.h"
#include "server/toml_tree.h"

struct reading {
    struct config *config;
    const char *file; /* or the variable that is read like one */
    struct complaint *complaint;
};

/* What an option's row says of a value, without the option's name, which the message has already. */
const char *config_sentence(const struct op *op, const char *key);
void config_set_place(struct config *config, const char *param, struct config_place place);
bool config_is_param(const char *key);
bool config_is_list(const char *key); /* chain, rest_secrets, allowed_hosts, cors_origins */
void config_free_names(char **names, size_t count);

/* Each returns false after a complaint. */
/* What its row cannot tell of a setting. */
bool config_check_param(const struct config *config, struct complaint *complaint, const char *param);
/* where: what stands before the key in a message, "[pools.a] " or "". */
bool config_set_value(const struct reading *reading, struct settings *settings, const struct toml_node *node,
                      const char *where);
bool config_read_list(const struct reading *reading, const struct toml_node *node);
/* The lists that the environment has, each as one text, in the place of the file's. After the pools. */
bool config_read_list_variables(const struct reading *reading);
/* After the file. */
bool config_read_environment(const struct reading *reading);
/* Fills unknown_variables. A variable that a text of the tree names, as ${NAME} or for rest_secrets, is the user's own. */
bool config_find_unknown(const struct reading *reading, const struct toml_node *root);
bool config_read_flags(const struct reading *reading, const struct args *args);
bool config_read_pools(const struct reading *reading, const struct toml_node *node);
/* The memory pool that is there even when the file does not name it. */
bool config_add_alpha(const struct reading *reading);
/* After the pools: syntax, known pools, no cycle. */
bool config_read_chain(const struct reading *reading, const struct toml_node *node);
/* At the end, when the data directory is known: no pool may keep a file of the daemon's or of another pool. */
bool config_check_files(const struct reading *reading);

#endif
