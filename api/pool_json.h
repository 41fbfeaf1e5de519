/* pool_json.h - a pool as JSON (design.md 13.6) and a pool's options from JSON (13.3). */
#ifndef API_POOL_JSON_H
#define API_POOL_JSON_H

#include "api/json.h"
#include "pools/pool.h"

/* {nickname, kind, config, capabilities, state, counts}; NULL when out of memory. No secrets, no paths
 * outside the data directory. */
json_t *pool_to_json(struct pool *pool);

/* Sets every member of `config` (NULL = none). A secret whose whole value is ${NAME} stays a name
 * (pools/secret_names.h). */
enum err pool_options_from_json(struct op *op, const json_t *config, struct settings *settings) MUST_USE;

#endif
