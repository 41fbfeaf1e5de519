/* config_lists.c - the keys whose value is a list: hosts, origins, names of secrets; from the file, or as one text from the environment. See
 * config_parts.h. */
#include "server/config_parts.h"

#include "pools/base/must.h"
#include "server/origin.h"
#include "server/params.h"
#include "server/screen.h"

#include <stdio.h>
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
    config_free_names(*ret_names, *ret_count); /* the file's, when the environment has another list */
    *ret_names = names;
    *ret_count = 0;
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
        if (strchr(host, '*') || !screen_host_allowed(host, strlen(host), SCREEN_ANY_HOST)) {
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
    bool
        is_chain; /* as a text: expressions, divided by semicolons or line ends; else words, divided by commas */
    bool takes_star; /* "*" instead of a list */
} lists[] = {
    {.key = "chain", .read = config_read_chain, .is_chain = true},
    {.key = "rest_secrets", .read = read_rest_secrets},
    {.key = "allowed_hosts", .read = read_hosts},
    {.key = "cors_origins", .read = read_origins, .takes_star = true},
};

static const struct list *find_list(const char *key) {
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        if (strcmp(lists[i].key, key) == 0) {
            return &lists[i];
        }
    }
    return NULL;
}

bool config_is_list(const char *key) {
    return find_list(key) != NULL;
}

bool config_read_list(const struct reading *reading, const struct toml_node *node) {
    const struct list *list = find_list(node->key);
    MUST(list != NULL);
    return list->read(reading, node);
}

/* ---- from the environment ---- */

/* The next word of the text, cut out of it; NULL at its end. Blanks around it and empty words do not count. */
static char *take_word(char **text) {
    char *word = *text + strspn(*text, ", \t\r\n");
    if (!*word) {
        return NULL;
    }
    char *end = word + strcspn(word, ",");
    *text = *end ? end + 1 : end;
    while (end > word && strchr(" \t\r\n", end[-1])) {
        end--;
    }
    *end = '\0';
    return word;
}

/* nodes has room for as many as the text has commas, and one. */
static size_t split_words(char *text, struct toml_node *nodes) {
    size_t count = 0;
    for (char *word = take_word(&text); word; word = take_word(&text)) {
        nodes[count] = (struct toml_node){.kind = TOML_TEXT, .text = word, .text_bytes = strlen(word)};
        if (count > 0) {
            nodes[count - 1].next = &nodes[count];
        }
        count++;
    }
    return count;
}

static bool read_words(const struct reading *reading, const struct list *list, char *text) {
    size_t most = 1;
    for (const char *at = text; *at; at++) {
        most += *at == ',';
    }
    struct toml_node *nodes = calloc(most, sizeof *nodes);
    if (!nodes) {
        return complain(reading->complaint, NULL, 0, "out of memory");
    }
    char key[PARAMS_VARIABLE_BYTES];
    snprintf(key, sizeof key, "%s", list->key);
    size_t count = split_words(text, nodes);
    struct toml_node all = {.key = key, .kind = TOML_LIST, .first = count > 0 ? nodes : NULL};
    nodes[0].key = key;
    bool is_star = list->takes_star && count == 1 && strcmp(nodes[0].text, "*") == 0;
    bool is_read = list->read(reading, is_star ? &nodes[0] : &all);
    free(nodes);
    return is_read;
}

static bool read_expressions(const struct reading *reading, const struct list *list, char *text) {
    for (char *at = strchr(text, ';'); at; at = strchr(at, ';')) {
        *at = '\n';
    }
    const struct toml_node node = {.kind = TOML_TEXT, .text = text, .text_bytes = strlen(text)};
    return list->read(reading, &node);
}

bool config_read_list_variables(const struct reading *reading) {
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const char *text = params_getenv(lists[i].key);
        char variable[PARAMS_VARIABLE_BYTES];
        params_environment(lists[i].key, variable);
        struct reading from_variable = *reading;
        from_variable.file = variable;
        char *copy = text ? strdup(text) : NULL;
        if (text && !copy) {
            return complain(reading->complaint, NULL, 0, "out of memory");
        }
        bool is_read =
            !copy || (lists[i].is_chain ? read_expressions : read_words)(&from_variable, &lists[i], copy);
        free(copy);
        if (!is_read) {
            return false;
        }
    }
    return true;
}
