/* listener.h - the listening socket and the HTTP library's daemon on it.
 *
 * Poll threads (epoll, one or a pool) belong to the library and run the callbacks of exchange.h; they never block.
 *
 * Life
 *   1 listen_address_parse   checks and resolves; says whether it is loopback only
 *   2 listener_start         bound and serving
 *   3 listener_quiesce       no new connections; the present ones go on
 *   4 listener_stop          every connection is closed; nothing may be parked (exchanges_hurry)
 */
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <sys/socket.h>

struct exchanges;
struct listener;

struct listen_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* "127.0.0.1:8080", "[::1]:0", "localhost:8080". ERR_INVALID. May ask the resolver for a name. */
enum err listen_address_parse(struct op *op, const char *text, struct listen_address *ret_address) MUST_USE;
bool listen_address_is_loopback(const struct listen_address *address);

struct listener_limits {
    unsigned poll_threads;
    unsigned most_connections;
    unsigned idle_timeout_s;
};

enum err listener_start(struct op *op, const struct listen_address *address,
                        const struct listener_limits *limits, struct exchanges *exchanges,
                        struct listener **ret_listener) MUST_USE;
/* "http://127.0.0.1:41234": where it is really bound. */
const char *listener_url(const struct listener *listener);
void listener_quiesce(struct listener *listener);
void listener_stop(struct listener *listener);
DEFINE_AUTO(struct listener, listener_stop)

#endif
