/* address.c - see address.h. */
#include "server/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_TEXT_BYTES 256

enum err listen_address_parse(struct op *op, const char *text, struct listen_address *ret_address) {
    const char *colon = strrchr(text, ':');
    const char *host = text;
    size_t host_bytes = colon ? (size_t)(colon - text) : 0;
    if (host_bytes >= 2 && host[0] == '[' && host[host_bytes - 1] == ']') {
        host++;
        host_bytes -= 2;
    } else if (memchr(host, ':', host_bytes)) {
        host_bytes = 0; /* an IPv6 address needs its brackets */
    }
    const char *port = colon ? colon + 1 : "";
    size_t port_bytes = strlen(port);
    if (!host_bytes || host_bytes >= HOST_TEXT_BYTES || !port_bytes || port_bytes > 5 ||
        strspn(port, "0123456789") != port_bytes || strtoul(port, NULL, 10) > 65535) {
        return op_fail(op, REASON_INVALID_CONFIG, "expected ADDRESS:PORT, like 127.0.0.1:8080 or [::1]:8080");
    }
    char name[HOST_TEXT_BYTES];
    memcpy(name, host, host_bytes);
    name[host_bytes] = '\0';
    /* Never the resolver: what was judged to be loopback must be what is bound. */
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV | AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    bool is_local = strcmp(name, "localhost") == 0;
    if (getaddrinfo(is_local ? "127.0.0.1" : name, port, &hints, &found) != 0) {
        return op_fail(op, REASON_INVALID_CONFIG, "expected a numeric address or localhost");
    }
    *ret_address = (struct listen_address){.size = found->ai_addrlen};
    memcpy(&ret_address->storage, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return OK;
}

static struct sockaddr_in as_in(const struct listen_address *address) {
    struct sockaddr_in in;
    memcpy(&in, &address->storage, sizeof in);
    return in;
}

static struct sockaddr_in6 as_in6(const struct listen_address *address) {
    struct sockaddr_in6 in6;
    memcpy(&in6, &address->storage, sizeof in6);
    return in6;
}

bool listen_address_is_loopback(const struct listen_address *address) {
    if (address->storage.ss_family == AF_INET) {
        return ntohl(as_in(address).sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 in6 = as_in6(address);
    return address->storage.ss_family == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) && in6.sin6_addr.s6_addr[12] == 127));
}

void listen_address_format(const struct listen_address *address, char ret_text[ADDRESS_TEXT_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "";
    if (address->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 in6 = as_in6(address);
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof host);
        snprintf(ret_text, ADDRESS_TEXT_BYTES, "[%s]:%u", host, (unsigned)ntohs(in6.sin6_port));
    } else {
        struct sockaddr_in in = as_in(address);
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof host);
        snprintf(ret_text, ADDRESS_TEXT_BYTES, "%s:%u", host, (unsigned)ntohs(in.sin_port));
    }
}
