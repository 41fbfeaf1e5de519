/* healthcheck.h - `lailad --healthcheck`: asks the daemon that keeps this data directory whether it is alive.
 *
 * For supervisors and container engines whose image has no HTTP client.
 */
#ifndef SERVER_HEALTHCHECK_H
#define SERVER_HEALTHCHECK_H

#include "server/complaint.h"

#include <stdbool.h>

/* Reads DATA_DIR/listen and sends GET /livez there; true when the answer is 200. Else false and a complaint. Blocks for
 * HEALTHCHECK_TIMEOUT_S at most, however slowly the answer comes. */
bool healthcheck(const char *data_dir, struct complaint *complaint);

#define HEALTHCHECK_TIMEOUT_S 2

#endif
