/* config.c - see config.h. The tree is walked once, top to bottom; config_pools.c reads [pools.NICK] and checks the chain. */
#include "server/config.h"

#include "server/address.h"
#include "server/config_parts.h"
#include "server/params.h"
#include "server/text_file.h"
#include "server/token_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_MOST_BYTES 4096

/* What the daemon is without a configuration file. */
static const char embedded_default[] = "chain = \"alpha << hdf5\"\n"
                                       "[pools.hdf5]\n"
                                       "kind = \"hdf5\"\n";

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
    free(config->places);
    config_free_names(config->rest_secrets, config->rest_secret_count);
    config_free_names(config->allowed_hosts, config->allowed_host_count);
    config_free_names(config->unknown_variables, config->unknown_variable_count);
    config_free_names(config->cors_origins, config->cors_origin_count);
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

/* ---- top-level keys ---- */

bool config_is_param(const char *name) {
    for (size_t i = 0; i < params_count; i++) {
        if (strcmp(params_options[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

bool config_check_param(const struct config *config, struct complaint *complaint, const char *param) {
    if (strcmp(param, "listen") != 0) {
        return true;
    }
    const char *text = settings_text(config->params, "listen");
    struct op op;
    op_init(&op, 0, 0);
    struct listen_address address;
    return listen_address_parse(&op, text, &address) == OK ||
           config_complain(config, complaint, "listen", "%s (found \"%.100s\")", op.fault.detail, text);
}

static bool read_param(const struct reading *reading, const struct toml_node *node) {
    struct config *config = reading->config;
    config_set_place(config, node->key, (struct config_place){.source = SOURCE_FILE, .line = node->line});
    return config_set_value(reading, config->params, node, "") &&
           config_check_param(config, reading->complaint, node->key);
}

static bool read_key(const struct reading *reading, const struct toml_node *node) {
    if (strcmp(node->key, "pools") == 0) {
        return config_read_pools(reading, node);
    }
    if (config_is_list(node->key)) {
        return config_read_list(reading, node);
    }
    if (config_is_param(node->key)) {
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

/* flag: what named the file; NULL = nobody did. */
static struct toml_node *parse_file(struct complaint *complaint, const char *path, const char *flag) {
    AUTO(buf_fini) struct buf text;
    int failure = text_file_read(path, &text);
    struct toml_node *root = NULL;
    if (failure) {
        char room[128];
        complain(complaint, flag, 0, "%s: %s", path, strerror_r(failure, room, sizeof room));
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
        path ? parse_file(reading->complaint, path, "--config")
             : parse_text(reading->complaint, reading->file, embedded_default, sizeof embedded_default - 1);
    bool is_read = root && read_tree(reading, root) && config_find_unknown(reading, root);
    toml_free(root);
    return is_read;
}

/* ---- the whole ---- */

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
    struct toml_node *root = path ? parse_file(complaint, path, args->secrets ? "--secrets" : NULL) : NULL;
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
    config->file = args->config ? args->config : "(embedded default)";
    struct reading reading = {.config = config, .file = config->file, .complaint = complaint};
    struct op op;
    op_init(&op, 0, 0);
    return read_config_file(&reading, args->config) && config_read_environment(&reading) &&
           config_read_flags(&reading, args) && token_file_apply(config, complaint) &&
           (settings_finish(config->params, &op) == OK ||
            complain(complaint, config->file, 0, "%s", op.fault.detail)) &&
           config_check_files(&reading);
}

struct config *config_load(const struct args *args, struct complaint *complaint) {
    struct config *config = calloc(1, sizeof *config);
    if (!config) {
        goto fail;
    }
    config->params = settings_new(params_options, params_count);
    config->places = calloc(params_count, sizeof *config->places);
    config->chain_text = strdup("");
    if (!config->params || !config->places || !config->chain_text) {
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
