/* daemon.h - the whole service in the order in which it is put together, and taken apart again. */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include "server/config.h"

struct daemon;

struct daemon_options {
    bool insecure; /* any address without a token */
    const char *version;
};

/* What can be told wrong without making anything: a listen address that needs a token. */
bool daemon_check(const struct config *config, const struct daemon_options *options,
                  struct complaint *ret_error) MUST_USE;
/* Serving when it returns. Takes the pools' settings out of the config, which must outlive the daemon. Threads it starts inherit the
 * caller's signal mask. NULL with *ret_error set. */
struct daemon *daemon_start(struct config *config, const struct daemon_options *options,
                            struct complaint *ret_error);
/* "127.0.0.1:41234" */
const char *daemon_authority(const struct daemon *daemon);
/* No new connections from now on; waits until running exchanges are done or the monotonic time has come. May be called again. */
bool daemon_drain(struct daemon *daemon, uint64_t deadline_ns);
/* Cuts what still runs and frees everything. */
void daemon_stop(struct daemon *daemon);

#endif
