/* address.h - socket addresses as text: "127.0.0.1:8080", "[::1]:0". */
#ifndef SERVER_ADDRESS_H
#define SERVER_ADDRESS_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_BYTES 56

struct listen_address {
    struct sockaddr_storage storage;
    socklen_t size;
};

/* A numeric address, in brackets when it is IPv6, or "localhost" (127.0.0.1): no resolver is asked. ERR_INVALID. */
enum err listen_address_parse(struct op *op, const char *text, struct listen_address *ret_address) MUST_USE;
bool listen_address_is_loopback(const struct listen_address *address);
void listen_address_format(const struct listen_address *address, char ret_text[ADDRESS_TEXT_BYTES]);

#endif
