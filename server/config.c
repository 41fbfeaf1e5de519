/* config.c - see config.h. The tree is walked once, top to bottom; config_pools.c reads [pools.NICK] and checks the chain. */
#include "server/config.h"

#include "server/address.h"
#include "server/config_parts.h"
#include "server/origin.h"
#include "server/params.h"
#include "server/screen.h"
#include "server/text_file.h"
#include "server/token_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES_MOST 256
#define PATH_MOST_BYTES 4096

/* What the daemon is without a configuration file. */
static const char embedded_default[] = "chain = \"alpha << hdf5\"\n"
                                       "[pools.hdf5]\n"
                                       "kind = \"hdf5\"\n";

static void free_names(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

void config_free(struct config *config) {
    if (!config) {
        return;
    }
    settings_free(config->params);
    secrets_free(config->secrets);
    for (size_t i = 0; i < config->pool_count; i++) {
        settings_free(config->pools[i].settings);
    }
    free(config->pools);
    free(config->chain_text);
    free_names(config->rest_secrets, config->rest_secret_count);
    free_names(config->allowed_hosts, config->allowed_host_count);
    free_names(config->cors_origins, config->cors_origin_count);
    free(config);
}

const char *config_expand_for_rest(void *context, const char *name) {
    const struct config *config = context;
    for (size_t i = 0; i < config->rest_secret_count; i++) {
        if (strcmp(config->rest_secrets[i], name) == 0) {
            return secrets_find(config->secrets, name);
        }
    }
    return NULL;
}

/* ---- one value ---- */

/* Names replaced; messages repeat the name, never what it stands for. */
static bool expand(const struct reading *reading, const struct toml_node *node, const char *where,
                   struct buf *text) {
    char name[NICKNAME_BYTES * 2];
    switch (secrets_expand(reading->config->secrets, node->text, text, name, sizeof name)) {
    case EXPAND_OK:
        return true;
    case EXPAND_UNDEFINED:
        return complain(reading->complaint, reading->file, node->line,
                        "%s%s: the name %s is neither in the secrets file nor in the environment", where,
                        node->key, name);
    case EXPAND_UNCLOSED:
        return complain(reading->complaint, reading->file, node->line,
                        "%s%s: \"${\" without its \"}\" (a dollar is written $$)", where, node->key);
    case EXPAND_NO_MEMORY:
        break;
    }
    return complain(reading->complaint, reading->file, node->line, "%s%s: too long", where, node->key);
}

static bool set_text(const struct reading *reading, struct settings *settings, const struct toml_node *node,
                     const char *where) {
    if (strlen(node->text) != node->text_bytes) {
        return complain(reading->complaint, reading->file, node->line, "%s%s: a text may not contain U+0000",
                        where, node->key);
    }
    AUTO(buf_fini) struct buf text;
    buf_init(&text, TEXT_FILE_MOST_BYTES);
    if (!expand(reading, node, where, &text)) {
        return false;
    }
    struct op op;
    op_init(&op, 0, 0);
    bool is_set = settings_set_text(settings, &op, node->key, text.data ? text.data : "") == OK;
    if (text.data) {
        explicit_bzero(text.data, text.size);
    }
    if (is_set) {
        return true;
    }
    /* What stands in the file may be repeated, unless it is, or by its mistyped key may be, a secret. */
    bool is_plain = !strchr(node->text, '$') && settings_may_show(settings, node->key);
    return complain(reading->complaint, reading->file, node->line, "%s%s: %s%s%.100s%s", where, node->key,
                    op.fault.detail, is_plain ? " (found \"" : "", is_plain ? node->text : "",
                    is_plain ? "\")" : "");
}

bool config_set_value(const struct reading *reading, struct settings *settings, const struct toml_node *node,
                      const char *where) {
    struct op op;
    op_init(&op, 0, 0);
    enum err err = OK;
    switch (node->kind) {
    case TOML_TEXT:
        return set_text(reading, settings, node, where);
    case TOML_NUMBER:
        err = settings_set_number(settings, &op, node->key, node->number);
        break;
    case TOML_FLAG:
        err = settings_set_flag(settings, &op, node->key, node->flag);
        break;
    case TOML_TABLE:
    case TOML_LIST:
    case TOML_OTHER:
        return complain(reading->complaint, reading->file, node->line,
                        "%s%s: unknown, or not a string, an integer or a boolean as was expected", where,
                        node->key);
    }
    return !err || complain(reading->complaint, reading->file, node->line, "%s%s: %s", where, node->key,
                            op.fault.detail);
}

/* ---- top-level keys ---- */

static bool is_param(const char *name) {
    for (size_t i = 0; i < params_count; i++) {
        if (strcmp(params_options[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_listen(struct complaint *complaint, const char *file, unsigned line, const char *text) {
    struct op op;
    op_init(&op, 0, 0);
    struct listen_address address;
    return listen_address_parse(&op, text, &address) == OK ||
           complain(complaint, file, line, "listen: '%.100s': %s", text, op.fault.detail);
}

static bool read_param(const struct reading *reading, const struct toml_node *node) {
    struct settings *params = reading->config->params;
    if (!config_set_value(reading, params, node, "")) {
        return false;
    }
    return strcmp(node->key, "listen") != 0 ||
           check_listen(reading->complaint, reading->file, node->line, settings_text(params, "listen"));
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

static bool read_key(const struct reading *reading, const struct toml_node *node) {
    if (strcmp(node->key, "chain") == 0) {
        return config_read_chain(reading, node);
    }
    if (strcmp(node->key, "pools") == 0) {
        return config_read_pools(reading, node);
    }
    if (strcmp(node->key, "rest_secrets") == 0) {
        return read_names(reading, node, &reading->config->rest_secrets, &reading->config->rest_secret_count);
    }
    if (strcmp(node->key, "allowed_hosts") == 0) {
        return read_hosts(reading, node);
    }
    if (strcmp(node->key, "cors_origins") == 0) {
        return read_origins(reading, node);
    }
    if (is_param(node->key)) {
        return read_param(reading, node);
    }
    return complain(reading->complaint, reading->file, node->line,
                    "%s: unknown key; expected listen, data_dir, chain, [pools.NICK] or a setting that "
                    "lailad --help lists",
                    node->key);
}

/* Pools first: the chain is checked against them, wherever in the file it stands. */
static bool read_tree(const struct reading *reading, const struct toml_node *root) {
    const struct toml_node *chain = NULL;
    for (const struct toml_node *node = root->first; node; node = node->next) {
        if (strcmp(node->key, "chain") == 0) {
            chain = node;
        } else if (!read_key(reading, node)) {
            return false;
        }
    }
    return config_add_alpha(reading) && (!chain || read_key(reading, chain));
}

/* NULL after a complaint. */
static struct toml_node *parse_text(struct complaint *complaint, const char *file, const char *text,
                                    size_t bytes) {
    struct toml_error failure;
    struct toml_node *root = toml_parse(text, bytes, &failure);
    if (!root) {
        complain(complaint, file, failure.line, "%s", failure.text);
    }
    return root;
}

static struct toml_node *parse_file(struct complaint *complaint, const char *path) {
    AUTO(buf_fini) struct buf text;
    int failure = text_file_read(path, &text);
    struct toml_node *root = NULL;
    if (failure) {
        complain_errno(complaint, path, failure);
    } else {
        root = parse_text(complaint, path, text.data ? text.data : "", text.size);
    }
    if (text.data) {
        explicit_bzero(text.data, text.size); /* it may hold secrets */
    }
    return root;
}

static bool read_config_file(const struct reading *reading, const char *path) {
    struct toml_node *root =
        path ? parse_file(reading->complaint, path)
             : parse_text(reading->complaint, reading->file, embedded_default, sizeof embedded_default - 1);
    bool is_read = root && read_tree(reading, root);
    toml_free(root);
    return is_read;
}

/* ---- what beats the file ---- */

static bool override(struct config *config, const char *name, const char *text, const char *source,
                     struct complaint *complaint) {
    struct op op;
    op_init(&op, 0, 0);
    if (settings_set_stored(config->params, &op, name, text)) {
        return complain(complaint, source, 0, "%s", op.fault.detail);
    }
    return strcmp(name, "listen") != 0 || check_listen(complaint, source, 0, text);
}

static bool read_environment(struct config *config, struct complaint *complaint) {
    for (size_t i = 0; i < params_count; i++) {
        char variable[PARAMS_VARIABLE_BYTES];
        params_environment(params_options[i].name, variable);
        const char *text = getenv(variable);
        if (text && *text && !override(config, params_options[i].name, text, variable, complaint)) {
            return false;
        }
    }
    return true;
}

static bool read_flags(struct config *config, const struct args *args, struct complaint *complaint) {
    return (!args->listen || override(config, "listen", args->listen, "--listen", complaint)) &&
           (!args->data_dir || override(config, "data_dir", args->data_dir, "--data-dir", complaint));
}

/* secrets.toml beside the configuration, when nobody names another; NULL = there is none or the path is too long. */
static const char *find_secrets_file(const struct args *args, char room[PATH_MOST_BYTES]) {
    if (args->secrets || !args->config) {
        return args->secrets;
    }
    const char *slash = strrchr(args->config, '/');
    int folder_bytes = slash ? (int)(slash - args->config + 1) : 0;
    int length = snprintf(room, PATH_MOST_BYTES, "%.*ssecrets.toml", folder_bytes, args->config);
    return length > 0 && length < PATH_MOST_BYTES && access(room, F_OK) == 0 ? room : NULL;
}

static struct secrets *read_secrets(const struct args *args, struct complaint *complaint) {
    char room[PATH_MOST_BYTES];
    const char *path = find_secrets_file(args, room);
    struct toml_node *root = path ? parse_file(complaint, path) : NULL;
    if (path && !root) {
        return NULL;
    }
    struct secrets *secrets = secrets_new(root);
    if (!secrets) {
        complain(complaint, NULL, 0, "out of memory");
    }
    return secrets;
}

/* Everything in turn; each complains for itself. */
static bool fill(struct config *config, const struct args *args, struct complaint *complaint) {
    config->secrets = read_secrets(args, complaint);
    if (!config->secrets) {
        return false;
    }
    const char *file = args->config ? args->config : "(embedded default)";
    struct reading reading = {.config = config, .file = file, .complaint = complaint};
    struct op op;
    op_init(&op, 0, 0);
    return read_config_file(&reading, args->config) && read_environment(config, complaint) &&
           read_flags(config, args, complaint) && token_file_apply(config->params, complaint) &&
           (settings_finish(config->params, &op) == OK ||
            complain(complaint, file, 0, "%s", op.fault.detail)) &&
           config_check_files(&reading);
}

struct config *config_load(const struct args *args, struct complaint *complaint) {
    struct config *config = calloc(1, sizeof *config);
    if (!config) {
        goto fail;
    }
    config->params = settings_new(params_options, params_count);
    config->chain_text = strdup("");
    if (!config->params || !config->chain_text) {
        goto fail;
    }
    if (!fill(config, args, complaint)) {
        config_free(config);
        return NULL;
    }
    return config;
fail:
    complain(complaint, NULL, 0, "out of memory");
    config_free(config);
    return NULL;
}
