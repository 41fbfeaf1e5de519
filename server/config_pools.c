/* config_pools.c - [pools.NICK] tables and the chain. See config_parts.h. */
#include "server/config_parts.h"

#include "pools/chain/expr.h"
#include "pools/kinds.h"
#include "pools/pool_options.h"
#include "pools/registry.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_BYTES (NICKNAME_BYTES + 16)
#define ALPHA POOL_ALPHA

/* ---- pools ---- */

static struct config_pool *find_pool(const struct config *config, const char *nickname) {
    for (size_t i = 0; i < config->pool_count; i++) {
        if (strcmp(config->pools[i].nickname, nickname) == 0) {
            return &config->pools[i];
        }
    }
    return NULL;
}

static struct config_pool *add_pool(const struct reading *reading, const char *nickname,
                                    const struct pool_kind *kind) {
    struct config *config = reading->config;
    struct config_pool *pools = realloc(config->pools, (config->pool_count + 1) * sizeof *pools);
    if (!pools) {
        complain(reading->complaint, NULL, 0, "out of memory");
        return NULL;
    }
    config->pools = pools;
    struct config_pool *pool = &pools[config->pool_count];
    *pool = (struct config_pool){.kind = kind, .settings = pool_settings_new(kind)};
    if (!pool->settings) {
        complain(reading->complaint, NULL, 0, "out of memory");
        return NULL;
    }
    snprintf(pool->nickname, sizeof pool->nickname, "%s", nickname);
    config->pool_count++;
    return pool;
}

static const struct pool_kind *read_kind(const struct reading *reading, const struct toml_node *table) {
    const struct toml_node *node = NULL;
    for (const struct toml_node *member = table->first; member; member = member->next) {
        node = strcmp(member->key, "kind") == 0 ? member : node;
    }
    char known[120] = "";
    size_t used = 0;
    for (size_t i = 0; kinds_at(i) && used < sizeof known - 1; i++) {
        int wrote = snprintf(known + used, sizeof known - used, "%s\"%s\"", i ? ", " : "", kinds_at(i)->name);
        used += wrote > 0 ? (size_t)wrote : 0;
    }
    if (!node) {
        complain(reading->complaint, reading->file, table->line,
                 "[pools.%s]: kind is missing; expected one of %s", table->key, known);
        return NULL;
    }
    if (node->kind != TOML_TEXT) {
        complain(reading->complaint, reading->file, node->line,
                 "[pools.%s] kind: expected a string, one of %s", table->key, known);
        return NULL;
    }
    const struct pool_kind *kind = kinds_find(node->text);
    if (!kind) {
        complain(reading->complaint, reading->file, node->line,
                 "[pools.%s] kind: expected one of %s (found \"%.60s\")", table->key, known, node->text);
        return NULL;
    }
    if (strcmp(table->key, ALPHA) == 0 && kind != kinds_find("memory")) {
        complain(reading->complaint, reading->file, node->line,
                 "[pools." ALPHA "] kind: " ALPHA " is always a \"memory\" pool");
        return NULL;
    }
    return kind;
}

/* What the pool leaves out comes from the tutorial's names, when the secrets file or the environment has them. */
static bool set_fallbacks(const struct reading *reading, struct config_pool *pool, unsigned line) {
    for (size_t i = 0; i < pool->kind->option_count; i++) {
        const struct option *option = &pool->kind->options[i];
        if (!option->fallback_secret || settings_is_set(pool->settings, option->name)) {
            continue;
        }
        const char *value = secrets_find(reading->config->secrets, option->fallback_secret);
        struct op op;
        op_init(&op, 0, 0);
        if (value && settings_set_text(pool->settings, &op, option->name, value)) {
            return complain(reading->complaint, reading->file, line, "[pools.%s] %s, from %s: %s",
                            pool->nickname, option->name, option->fallback_secret,
                            config_sentence(&op, option->name));
        }
    }
    return true;
}

/* Of the option that the sentence begins with; the table's when it came from elsewhere. */
static unsigned line_of_option(const struct toml_node *table, const char *sentence) {
    size_t bytes = strcspn(sentence, " ");
    for (const struct toml_node *node = table->first; node; node = node->next) {
        if (strlen(node->key) == bytes && memcmp(node->key, sentence, bytes) == 0) {
            return node->line;
        }
    }
    return table->line;
}

static bool read_pool(const struct reading *reading, const struct toml_node *table) {
    if (!nickname_valid(table->key)) {
        return complain(
            reading->complaint, reading->file, table->line,
            "[pools.%.100s]: expected a nickname of letters, digits, '_', '.' and '-', at most 64",
            table->key);
    }
    if (table->kind != TOML_TABLE) {
        return complain(reading->complaint, reading->file, table->line,
                        "pools.%s: expected a table [pools.%s]", table->key, table->key);
    }
    const struct pool_kind *kind = read_kind(reading, table);
    struct config_pool *pool = kind ? add_pool(reading, table->key, kind) : NULL;
    if (!pool) {
        return false;
    }
    pool->path_line = line_of_option(table, "path");
    char where[WHERE_BYTES];
    snprintf(where, sizeof where, "[pools.%s] ", pool->nickname);
    for (const struct toml_node *node = table->first; node; node = node->next) {
        if (strcmp(node->key, "kind") != 0 && !config_set_value(reading, pool->settings, node, where)) {
            return false;
        }
    }
    if (!set_fallbacks(reading, pool, table->line)) {
        return false;
    }
    struct op op;
    op_init(&op, 0, 0);
    if (settings_finish(pool->settings, &op)) {
        return complain(reading->complaint, reading->file, table->line, "%s%s", where, op.fault.detail);
    }
    return !kind->check || kind->check(&op, pool->settings) == OK ||
           complain(reading->complaint, reading->file, line_of_option(table, op.fault.detail), "%s%s", where,
                    op.fault.detail);
}

bool config_read_pools(const struct reading *reading, const struct toml_node *node) {
    if (node->kind != TOML_TABLE) {
        return complain(reading->complaint, reading->file, node->line, "pools: expected tables [pools.NICK]");
    }
    for (const struct toml_node *table = node->first; table; table = table->next) {
        if (!read_pool(reading, table)) {
            return false;
        }
    }
    return true;
}

bool config_add_alpha(const struct reading *reading) {
    if (find_pool(reading->config, ALPHA)) {
        return true;
    }
    struct config_pool *alpha = add_pool(reading, ALPHA, kinds_find("memory"));
    struct op op;
    op_init(&op, 0, 0);
    return alpha &&
           (settings_finish(alpha->settings, &op) == OK ||
            complain(reading->complaint, reading->file, 0, "[pools." ALPHA "]: %s", op.fault.detail));
}

/* ---- their files ---- */

/* Whether another pool before this one keeps its file. */
static bool check_file(const struct reading *reading, char *const *files, size_t index) {
    const struct config_pool *pools = reading->config->pools;
    for (size_t i = 0; i < index; i++) {
        if (files[i] && strcmp(files[i], files[index]) == 0) {
            return complain(reading->complaint, reading->file, pools[index].path_line,
                            "[pools.%s] path: [pools.%s] keeps the same file; expected one of its own",
                            pools[index].nickname, pools[i].nickname);
        }
    }
    return true;
}

bool config_check_files(const struct reading *reading) {
    const struct config *config = reading->config;
    const struct pool_environment environment = {.data_dir = settings_text(config->params, "data_dir")};
    char **files = calloc(config->pool_count, sizeof *files);
    if (!files) {
        return complain(reading->complaint, NULL, 0, "out of memory");
    }
    bool is_good = true;
    for (size_t i = 0; i < config->pool_count && is_good; i++) {
        const struct config_pool *pool = &config->pools[i];
        char path[PATH_MAX];
        struct op op;
        op_init(&op, 0, 0);
        if (!pool->kind->file_path) {
            continue;
        }
        if (pool->kind->file_path(&op, &environment, pool->nickname, pool->settings, path) != OK) {
            is_good = complain(reading->complaint, reading->file, pool->path_line, "[pools.%s] %s",
                               pool->nickname, op.fault.detail);
            continue;
        }
        files[i] = strdup(path);
        is_good =
            files[i] ? check_file(reading, files, i) : complain(reading->complaint, NULL, 0, "out of memory");
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        free(files[i]);
    }
    free(files);
    return is_good;
}

/* ---- the chain ---- */

static const char *origin_of(const struct expr_links *links, const char *pool) {
    for (size_t i = 0; i < links->count; i++) {
        if (strcmp(links->links[i].pool, pool) == 0) {
            return links->links[i].origin;
        }
    }
    return NULL;
}

/* A pool may be registered over REST later, but the first wiring must work with what the file declares. */
static bool check_links(const struct reading *reading, const struct expr_links *links, unsigned line) {
    for (size_t i = 0; i < links->count; i++) {
        const struct expr_link *link = &links->links[i];
        const char *unknown = !find_pool(reading->config, link->pool)     ? link->pool
                              : !find_pool(reading->config, link->origin) ? link->origin
                                                                          : NULL;
        if (unknown) {
            return complain(reading->complaint, reading->file, line, "chain: there is no [pools.%s]",
                            unknown);
        }
        const char *at = link->origin;
        for (size_t steps = 0; at && steps <= links->count; steps++) {
            if (strcmp(at, link->pool) == 0) {
                return complain(reading->complaint, reading->file, line,
                                "chain: '%s << %s' closes a cycle; expected a chain that ends", link->pool,
                                link->origin);
            }
            at = origin_of(links, at);
        }
    }
    return true;
}

static bool check_chain(const struct reading *reading, const char *text, unsigned line) {
    struct op op;
    op_init(&op, 0, 0);
    struct expr_links links = {0};
    if (expr_parse(&op, text, strlen(text), &links)) {
        return complain(reading->complaint, reading->file, line, "chain: %s", op.fault.detail);
    }
    bool is_good = check_links(reading, &links, line);
    expr_links_fini(&links);
    return is_good;
}

/* One expression a line. */
static bool join_chain(const struct reading *reading, const struct toml_node *node, struct buf *text) {
    bool is_list = node->kind == TOML_LIST;
    for (const struct toml_node *line = is_list ? node->first : node; line;
         line = is_list ? line->next : NULL) {
        if (line->kind != TOML_TEXT) {
            return complain(reading->complaint, reading->file, line->line,
                            "chain: expected a string like \"alpha << hdf5 << s3\", or a list of them");
        }
        if (buf_printf(text, "%s\n", line->text) != OK) {
            return complain(reading->complaint, reading->file, node->line, "chain: expected at most %d bytes",
                            EXPR_MOST_BYTES);
        }
    }
    return true;
}

bool config_read_chain(const struct reading *reading, const struct toml_node *node) {
    AUTO(buf_fini) struct buf text;
    buf_init(&text, EXPR_MOST_BYTES);
    if (!join_chain(reading, node, &text) || !check_chain(reading, text.data ? text.data : "", node->line)) {
        return false;
    }
    if (text.data) {
        free(reading->config->chain_text);
        reading->config->chain_text = buf_steal(&text);
    }
    return true;
}
