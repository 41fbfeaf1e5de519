/* listener.h - the listening socket and the HTTP library's daemon on it.
 *
 * Poll threads (epoll, one or a pool) belong to the library and run the callbacks of exchange.h; they never block.
 *
 * Life
 *   1 listener_start     bound and serving
 *   2 listener_quiesce   no new connections; the present ones go on
 *   3 listener_stop      every connection is closed; nothing may be parked (exchanges_hurry)
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "server/address.h"

struct exchanges;
struct listener;

struct listener_limits {
    unsigned poll_threads;
    unsigned most_connections;
};

/* Whether the HTTP library that runs ("0.9.75", "1.0.1") is of the kind that was built for. 0.9 and 1.0 have one name for the loader but
 * leave different refusals to us, and which of them we make is settled when we are built. */
bool listener_library_fits(const char *running_version);
#define LISTENER_VERSION_BYTES 16
/* MHD_VERSION as the library writes it: 0x00097500 is "0.9.75". */
void listener_format_version(uint32_t version, char ret_text[LISTENER_VERSION_BYTES]);
/* ERR_INTERNAL when the library does not fit or does not start, else what the socket says. */
enum err listener_start(struct op *op, const struct listen_address *address,
                        const struct listener_limits *limits, struct exchanges *exchanges,
                        struct listener **ret_listener) MUST_USE;
/* "127.0.0.1:41234": where it is really bound. */
const char *listener_authority(const struct listener *listener);
void listener_quiesce(struct listener *listener);
void listener_stop(struct listener *listener);
DEFINE_AUTO(struct listener, listener_stop)

#endif
