/* secrets.c - see secrets.h. */
#include "server/secrets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST_BYTES 256

struct secret {
    struct secret *next;
    char *value; /* behind the name in the same block */
    size_t block_bytes;
    char name[];
};

struct secrets {
    struct secret *first;
};

static bool add(struct secrets *secrets, const char *table, const char *key, const char *value) {
    size_t name_bytes = (table ? strlen(table) + 1 : 0) + strlen(key) + 1;
    size_t block_bytes = sizeof(struct secret) + name_bytes + strlen(value) + 1;
    struct secret *secret = malloc(block_bytes);
    if (!secret) {
        return false;
    }
    secret->block_bytes = block_bytes;
    snprintf(secret->name, name_bytes, "%s%s%s", table ? table : "", table ? "_" : "", key);
    secret->value = secret->name + name_bytes;
    memcpy(secret->value, value, strlen(value) + 1);
    secret->next = secrets->first;
    secrets->first = secret;
    return true;
}

/* Deeper tables, lists and dates are nobody's secret here: skipped. */
static bool add_node(struct secrets *secrets, const char *table, const struct toml_node *node) {
    char number[24];
    switch (node->kind) {
    case TOML_TEXT:
        return add(secrets, table, node->key, node->text);
    case TOML_NUMBER:
        snprintf(number, sizeof number, "%" PRId64, node->number);
        return add(secrets, table, node->key, number);
    case TOML_FLAG:
        return add(secrets, table, node->key, node->flag ? "true" : "false");
    case TOML_TABLE:
        for (const struct toml_node *inner = table ? NULL : node->first; inner; inner = inner->next) {
            if (!add_node(secrets, node->key, inner)) {
                return false;
            }
        }
        return true;
    case TOML_LIST:
    case TOML_OTHER:
        break;
    }
    return true;
}

struct secrets *secrets_new(struct toml_node *take_file) {
    struct secrets *secrets = calloc(1, sizeof *secrets);
    bool complete = secrets != NULL;
    for (const struct toml_node *node = take_file ? take_file->first : NULL; complete && node;
         node = node->next) {
        complete = add_node(secrets, NULL, node);
    }
    toml_free(take_file);
    if (!complete) {
        secrets_free(secrets);
        return NULL;
    }
    return secrets;
}

void secrets_free(struct secrets *secrets) {
    if (!secrets) {
        return;
    }
    while (secrets->first) {
        struct secret *secret = secrets->first;
        secrets->first = secret->next;
        explicit_bzero(secret, secret->block_bytes);
        free(secret);
    }
    free(secrets);
}

const char *secrets_in_file(const struct secrets *secrets, const char *name) {
    for (const struct secret *secret = secrets->first; secret; secret = secret->next) {
        if (strcmp(secret->name, name) == 0) {
            return secret->value;
        }
    }
    return NULL;
}

const char *secrets_find(const struct secrets *secrets, const char *name) {
    const char *value = secrets_in_file(secrets, name);
    return value ? value : getenv(name);
}

enum expand_result secrets_expand(const struct secrets *secrets, const char *text, struct buf *buf,
                                  char *ret_name, size_t name_size) {
    enum err err = buf_append_text(buf, "");
    while (!err && *text) {
        size_t plain = strcspn(text, "$");
        err = buf_append(buf, text, plain);
        text += plain;
        if (err || !*text) {
            break;
        }
        if (text[1] != '{') {
            err = buf_append(buf, "$", 1);
            text += text[1] == '$' ? 2 : 1;
            continue;
        }
        const char *close = strchr(text, '}');
        if (!close || close - text - 2 >= NAME_MOST_BYTES) {
            return EXPAND_UNCLOSED;
        }
        char name[NAME_MOST_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)(close - text - 2), text + 2);
        const char *value = secrets_find(secrets, name);
        if (!value) {
            snprintf(ret_name, name_size, "%s", name);
            return EXPAND_UNDEFINED;
        }
        err = buf_append_text(buf, value);
        text = close + 1;
    }
    return err ? EXPAND_NO_MEMORY : EXPAND_OK;
}
