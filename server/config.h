/* config.h - everything the daemon is told before it starts: flags, environment, file, secrets.
 *
 * config_load reads and checks all of it without opening storage or touching the network; --check-config is config_load and nothing
 * else. Every error names the file, the line, the key and what was expected; of a value
 * from elsewhere, the variable or the flag. design.md 13.1 to 13.3.
 * Immutable once loaded, except that main takes the pools' settings out.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "pools/id.h"
#include "pools/pool.h"
#include "server/args.h"
#include "server/complaint.h"
#include "server/secrets.h"

struct config_pool {
    char nickname[NICKNAME_BYTES];
    unsigned
        path_line; /* of the option that names its file; of its table when that is left out; 0 = in no file */
    const struct pool_kind *kind;
    struct settings *settings; /* owned until taken */
};

/* Where the value of one of the daemon's own settings came from. */
enum config_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };
struct config_place {
    enum config_source source;
    unsigned line;    /* SOURCE_FILE */
    const char *flag; /* SOURCE_FLAG */
};

struct config {
    const char *file; /* as messages name it; the args' */
    struct settings *params;
    struct config_place *places; /* of params, in the order of their table */
    struct secrets *secrets;
    struct config_pool *pools; /* alpha is always among them */
    size_t pool_count;
    char *chain_text;    /* expressions, one a line; "" = none */
    char **rest_secrets; /* names REST bodies may expand */
    size_t rest_secret_count;
    char **allowed_hosts; /* NULL-terminated; NULL = not configured */
    size_t allowed_host_count;
    char **unknown_variables; /* of the environment: named like a setting, and none */
    size_t unknown_variable_count;
    char **cors_origins; /* NULL-terminated; NULL = not configured. "*" stands alone and means any */
    size_t cors_origin_count;
};

/* NULL and a complaint when anything is wrong. */
struct config *config_load(const struct args *args, struct complaint *complaint);
void config_free(struct config *config);
DEFINE_AUTO(struct config, config_free)

/* What is wrong with the value of a setting: "FILE:LINE: KEY: ...", or the variable or flag that gave it in the place of the file. Returns
 * false, as complain does. */
bool config_complain(const struct config *config, struct complaint *complaint, const char *param,
                     const char *format, ...) PRINTF_LIKE(4, 5);
struct config_place config_place_of(const struct config *config, const char *param);

/* What ${NAME} stands for in a REST body: NULL unless the config lists the name and it has a value. context is the config. */
const char *config_expand_for_rest(void *context, const char *name);

#endif
