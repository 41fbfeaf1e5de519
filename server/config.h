/* config.h - everything the daemon is told before it starts: flags, environment, file, secrets.
 *
 * config_load reads and checks all of it without opening storage or touching the network; --check-config is config_load and nothing
 * else. Every error names the file, the line, the key and what was expected. design.md 13.1 to 13.3.
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

struct config {
    struct settings *params;
    struct secrets *secrets;
    struct config_pool *pools; /* alpha is always among them */
    size_t pool_count;
    char *chain_text;    /* expressions, one a line; "" = none */
    char **rest_secrets; /* names REST bodies may expand */
    size_t rest_secret_count;
    char **allowed_hosts; /* NULL-terminated; NULL = not configured */
    size_t allowed_host_count;
    char **cors_origins; /* NULL-terminated; NULL = not configured. "*" stands alone and means any */
    size_t cors_origin_count;
};

/* NULL and a complaint when anything is wrong. */
struct config *config_load(const struct args *args, struct complaint *complaint);
void config_free(struct config *config);
DEFINE_AUTO(struct config, config_free)

/* What ${NAME} stands for in a REST body: NULL unless the config lists the name and it has a value. context is the config. */
const char *config_expand_for_rest(void *context, const char *name);

#endif
