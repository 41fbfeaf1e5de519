/* healthcheck.c - see healthcheck.h. HTTP/1.0: it needs no Host, which the daemon may have been told to be particular about. */
#include "server/healthcheck.h"

#include "pools/base/clock.h"
#include "pools/base/data_dir.h"
#include "server/address.h"
#include "server/text_file.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define PATH_MOST_BYTES 4096

/* A daemon that listens everywhere is asked at loopback. */
static void prefer_loopback(struct listen_address *address) {
    if (address->storage.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &address->storage, sizeof v6);
        if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr)) {
            v6.sin6_addr = in6addr_loopback;
        }
        memcpy(&address->storage, &v6, sizeof v6);
        return;
    }
    struct sockaddr_in v4;
    memcpy(&v4, &address->storage, sizeof v4);
    if (v4.sin_addr.s_addr == htonl(INADDR_ANY)) {
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    memcpy(&address->storage, &v4, sizeof v4);
}

/* Where the daemon says that it listens. */
static bool find_daemon(const char *data_dir, struct complaint *complaint,
                        struct listen_address *ret_address) {
    char path[PATH_MOST_BYTES];
    int length = snprintf(path, sizeof path, "%s/" DATA_DIR_LISTEN, data_dir);
    if (length < 0 || (size_t)length >= sizeof path) {
        return complain_errno(complaint, data_dir, ENAMETOOLONG);
    }
    AUTO(buf_fini) struct buf text;
    int failure = text_file_read(path, &text);
    if (failure) {
        return complain_errno(complaint, path, failure);
    }
    char line[ADDRESS_TEXT_BYTES] = "";
    if (text.data) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(text.data, "\n"), text.data);
    }
    struct op op;
    op_init(&op, 0, 0);
    if (listen_address_parse(&op, line, ret_address) != OK) {
        return complain(complaint, path, 0, "%s", op.fault.detail);
    }
    prefer_loopback(ret_address);
    return true;
}

/* Gives the next step on the socket what is left of the time. */
static bool begin_step(int fd, uint64_t deadline_ns, struct complaint *complaint) {
    uint64_t now_ns = clock_now_ns();
    if (now_ns >= deadline_ns) {
        return complain(complaint, NULL, 0, "no answer within %d s", HEALTHCHECK_TIMEOUT_S);
    }
    uint64_t left_us = (deadline_ns - now_ns) / 1000 + 1; /* 0 would be for ever */
    const struct timeval left = {.tv_sec = (time_t)(left_us / 1000000),
                                 .tv_usec = (suseconds_t)(left_us % 1000000)};
    return (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof left) == 0) ||
           complain_errno(complaint, "setsockopt", errno);
}

static bool complain_step(struct complaint *complaint, const char *what) {
    bool is_late = errno == EAGAIN || errno == EINPROGRESS; /* how a timeout of a socket shows */
    return is_late ? complain(complaint, NULL, 0, "no answer within %d s", HEALTHCHECK_TIMEOUT_S)
                   : complain_errno(complaint, what, errno);
}

static bool send_request(int fd, uint64_t deadline_ns, struct complaint *complaint) {
    static const char request[] = "GET /livez HTTP/1.0\r\n\r\n";
    return begin_step(fd, deadline_ns, complaint) &&
           (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)(sizeof request - 1) ||
            complain_step(complaint, "send"));
}

/* As much of the status line as says whether all is well. */
static bool read_status(int fd, uint64_t deadline_ns, struct complaint *complaint) {
    static const char wanted[] = "HTTP/1.x 200";
    char answer[sizeof wanted] = "";
    size_t count = 0;
    while (count < sizeof wanted - 1) {
        if (!begin_step(fd, deadline_ns, complaint)) {
            return false;
        }
        ssize_t got = recv(fd, answer + count, sizeof wanted - 1 - count, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return complain_step(complaint, "receive");
        }
        if (got == 0) {
            return complain(complaint, NULL, 0, "the daemon closed the connection without an answer");
        }
        count += (size_t)got;
    }
    answer[sizeof "HTTP/1." - 1] = 'x';
    return memcmp(answer, wanted, sizeof wanted - 1) == 0 ||
           complain(complaint, NULL, 0, "the daemon answered /livez with something else than 200");
}

static bool ask(int fd, const struct listen_address *address, struct complaint *complaint) {
    uint64_t deadline_ns = clock_now_ns() + HEALTHCHECK_TIMEOUT_S * NS_PER_S;
    return begin_step(fd, deadline_ns, complaint) &&
           (connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0 ||
            complain_step(complaint, "connect")) &&
           send_request(fd, deadline_ns, complaint) && read_status(fd, deadline_ns, complaint);
}

bool healthcheck(const char *data_dir, struct complaint *complaint) {
    struct listen_address address = {.size = 0};
    if (!find_daemon(data_dir, complaint, &address)) {
        return false;
    }
    int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return complain_errno(complaint, "socket", errno);
    }
    bool is_well = ask(fd, &address, complaint);
    close(fd);
    return is_well;
}
