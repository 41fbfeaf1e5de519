/* params.h - the daemon's own settings: one table for the config file, the environment, --help and the README.
 *
 * Pools and the chain are not in it; config.h has those. Rows are struct option (pools/settings.h): name, type, bounds, default and
 * sentence.
 */
#ifndef SERVER_PARAMS_H
#define SERVER_PARAMS_H

#include "pools/settings.h"

extern const struct option params_options[];
extern const size_t params_count;

/* What `token` may be, for messages. */
#define PARAMS_TOKEN_EXPECTED "one word of visible ASCII characters, at most 4096 of them"

/* The environment variable that sets the parameter: LAILAD_ and its name in capitals. */
#define PARAMS_VARIABLE_BYTES 64
void params_environment(const char *name, char ret_variable[PARAMS_VARIABLE_BYTES]);
/* Its value; NULL when it is unset or empty, which is the same. */
const char *params_getenv(const char *name);

#endif
