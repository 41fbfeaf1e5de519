/* broken.h - a pool that could not be opened: it exists, is listed, and answers every call with its reason.
 *
 * It keeps its nickname, its kind's name and its settings, so that links to it and GET /pools/{nick} stay as they are, and a read that
 * passes through it skips it like any tier that fails.
 */
#ifndef POOLS_BROKEN_H
#define POOLS_BROKEN_H

#include "pools/pool.h"

/* One reference. Takes settings (NULL allowed) on OK; kind_name is static. The fault says why it could not be opened. */
enum err broken_pool_new(struct op *op, const char *nickname, const char *kind_name,
                         struct settings *take_settings, const struct fault *fault,
                         struct pool **ret_pool) MUST_USE;

#endif
