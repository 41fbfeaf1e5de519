/* config_lists.c - the keys whose value is a list: hosts, origins, names of secrets. See config_parts.h. */
#include "server/config_parts.h"

#include "server/origin.h"
#include "server/screen.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MOST 256

void config_free_names(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

static size_t count_children(const struct toml_node *node) {
    size_t count = 0;
    for (const struct toml_node *child = node->first; child; child = child->next) {
        count++;
    }
    return count;
}

/* A list of strings; NULL-terminated and counted, so that it can be freed half-filled. */
static bool read_names(const struct reading *reading, const struct toml_node *node, char ***ret_names,
                       size_t *ret_count) {
    size_t count = count_children(node);
    if (node->kind != TOML_LIST || count > NAMES_MOST) {
        return complain(reading->complaint, reading->file, node->line,
                        "%s: expected a list of at most %d strings", node->key, NAMES_MOST);
    }
    char **names = calloc(count + 1, sizeof *names);
    if (!names) {
        return complain(reading->complaint, NULL, 0, "out of memory");
    }
    *ret_names = names;
    for (const struct toml_node *child = node->first; child; child = child->next) {
        if (child->kind != TOML_TEXT) {
            return complain(reading->complaint, reading->file, child->line, "%s: expected a list of strings",
                            node->key);
        }
        names[*ret_count] = strdup(child->text);
        if (!names[*ret_count]) {
            return complain(reading->complaint, NULL, 0, "out of memory");
        }
        ++*ret_count;
    }
    return true;
}

static bool read_hosts(const struct reading *reading, const struct toml_node *node) {
    struct config *config = reading->config;
    if (!read_names(reading, node, &config->allowed_hosts, &config->allowed_host_count)) {
        return false;
    }
    for (size_t i = 0; i < config->allowed_host_count; i++) {
        const char *host = config->allowed_hosts[i];
        if (!screen_host_allowed(host, strlen(host), SCREEN_ANY_HOST)) {
            return complain(reading->complaint, reading->file, node->line,
                            "allowed_hosts: expected hosts as they stand in Host, like \"pools.example\" or "
                            "\"pools.example:8080\" (found \"%.100s\")",
                            host);
        }
    }
    return true;
}

/* A list of origins, or "*". */
static bool read_origins(const struct reading *reading, const struct toml_node *node) {
    struct config *config = reading->config;
    struct toml_node only = *node; /* "*" as a list of one */
    only.next = NULL;
    const struct toml_node list = {.key = node->key, .line = node->line, .kind = TOML_LIST, .first = &only};
    bool is_any = node->kind == TOML_TEXT && strcmp(node->text, "*") == 0;
    if (!read_names(reading, is_any ? &list : node, &config->cors_origins, &config->cors_origin_count)) {
        return false;
    }
    for (size_t i = 0; !is_any && i < config->cors_origin_count; i++) {
        if (!origin_is_valid(config->cors_origins[i])) {
            return complain(reading->complaint, reading->file, node->line,
                            "cors_origins: expected \"*\" or a list of origins as browsers send them, like "
                            "\"https://app.example\" (found \"%.100s\")",
                            config->cors_origins[i]);
        }
    }
    return true;
}

static bool read_rest_secrets(const struct reading *reading, const struct toml_node *node) {
    return read_names(reading, node, &reading->config->rest_secrets, &reading->config->rest_secret_count);
}

static const struct list {
    const char *key;
    bool (*read)(const struct reading *reading, const struct toml_node *node);
} lists[] = {
    {"chain", config_read_chain},
    {"rest_secrets", read_rest_secrets},
    {"allowed_hosts", read_hosts},
    {"cors_origins", read_origins},
};

bool config_is_list(const char *key) {
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (strcmp(lists[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

bool config_read_list(const struct reading *reading, const struct toml_node *node) {
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (strcmp(lists[i].key, node->key) == 0) {
            return lists[i].read(reading, node);
        }
    }
    return false;
}
