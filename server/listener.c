/* listener.c - see listener.h. The socket is made here rather than by the library, so that a failure to bind has its reason. */
#include "server/listener.h"

#include "pools/base/log.h"
#include "pools/base/must.h"
#include "server/exchange.h"
#include "server/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

struct listener {
    struct MHD_Daemon *daemon;
    int fd; /* the library's: it closes it */
    bool quiesced;
    char authority[ADDRESS_TEXT_BYTES];
};

/* ---- the socket ---- */

static enum err bind_socket(struct op *op, const struct listen_address *address, int *ret_fd) {
    int one = 1;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return op_fail_errno(op, errno, "socket");
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0) {
        op_fail_errno(op, errno, "SO_REUSEADDR");
        goto fail;
    }
    if (address->storage.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0) {
        op_fail_errno(op, errno, "IPV6_V6ONLY");
        goto fail;
    }
    if (bind(fd, (const struct sockaddr *)&address->storage, address->size) != 0) {
        op_fail_errno(op, errno, "bind");
        goto fail;
    }
    if (listen(fd, LISTEN_BACKLOG) != 0) {
        op_fail_errno(op, errno, "listen");
        goto fail;
    }
    *ret_fd = fd;
    return OK;
fail:
    close(fd);
    return reason_kind(op->fault.reason);
}

/* ---- the library ---- */

/* What the library has to say is about single connections (a client that left) and never news for an operator. */
static void log_library(void *context, const char *format, va_list arguments) PRINTF_LIKE(2, 0);
static void log_library(void *context, const char *format, va_list arguments) {
    exchanges_on_library_log(context);
    if (!log_enabled(LOG_DEBUG)) {
        return;
    }
    char text[512];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    log_line(LOG_DEBUG, "microhttpd", "%s", text);
}

/* No MHD_OPTION_CONNECTION_TIMEOUT: the reaper ends what is idle. */
static struct MHD_Daemon *start_daemon(int fd, const struct listener_limits *limits,
                                       struct exchanges *exchanges) {
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem more[3] = {{MHD_OPTION_END, 0, NULL}};
    unsigned count = 0;
    if (limits->poll_threads > 1) { /* a pool of one is refused */
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)limits->poll_threads, NULL};
    }
#if MHD_VERSION >= 0x01000000
    /* Folded fields and other leniencies: refused by the library itself; 0.9.75 leaves them to the screen. */
    more[count++] = (struct MHD_OptionItem){MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL};
#endif
    more[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    return MHD_start_daemon(flags, 0, NULL, NULL, exchange_on_call, exchanges,     /* */
                            MHD_OPTION_EXTERNAL_LOGGER, log_library, exchanges,    /* */
                            MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,              /* */
                            MHD_OPTION_CONNECTION_LIMIT, limits->most_connections, /* */
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SCREEN_MEMORY_BYTES,
                            MHD_OPTION_NOTIFY_CONNECTION, exchange_on_connection, exchanges,
                            MHD_OPTION_NOTIFY_COMPLETED, exchange_on_completed, exchanges,
                            MHD_OPTION_URI_LOG_CALLBACK, exchange_on_target, exchanges,
                            MHD_OPTION_UNESCAPE_CALLBACK, exchange_keep_escapes, exchanges, /* */
                            MHD_OPTION_ARRAY, more,                                         /* */
                            MHD_OPTION_END);
}

bool listener_library_fits(const char *running_version) {
    return strtoul(running_version, NULL, 10) == (unsigned long)MHD_VERSION >> 24;
}

void listener_format_version(uint32_t version, char ret_text[LISTENER_VERSION_BYTES]) {
    snprintf(ret_text, LISTENER_VERSION_BYTES, "%x.%x.%x", version >> 24, version >> 16 & 0xff,
             version >> 8 & 0xff);
}

enum err listener_start(struct op *op, const struct listen_address *address,
                        const struct listener_limits *limits, struct exchanges *exchanges,
                        struct listener **ret_listener) {
    if (!listener_library_fits(MHD_get_version())) {
        char built_for[LISTENER_VERSION_BYTES];
        listener_format_version(MHD_VERSION, built_for);
        return op_fail(op, REASON_INTERNAL,
                       "libmicrohttpd %s runs, but lailad was built for %s; build it again",
                       MHD_get_version(), built_for);
    }
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener) {
        return op_no_memory(op);
    }
    int fd = -1;
    enum err err = bind_socket(op, address, &fd);
    if (err) {
        goto fail;
    }
    struct listen_address bound = {.size = sizeof bound.storage};
    if (getsockname(fd, (struct sockaddr *)&bound.storage, &bound.size) != 0) {
        err = op_fail_errno(op, errno, "getsockname");
        goto fail_socket;
    }
    listen_address_format(&bound, listener->authority);
    listener->daemon = start_daemon(fd, limits, exchanges);
    if (!listener->daemon) {
        err = op_fail(op, REASON_INTERNAL, "the HTTP library did not start");
        goto fail_socket;
    }
    listener->fd = fd;
    *ret_listener = listener;
    return OK;
fail_socket:
    close(fd);
fail:
    free(listener);
    return err;
}

const char *listener_authority(const struct listener *listener) {
    return listener->authority;
}

/* The number of the listening socket becomes that of a socket on which nothing ever happens: the listening one closes, connections in its
 * queue are refused, every poll thread's epoll forgets it. MHD_quiesce_daemon would race with those threads: where both take
 * the socket out of an epoll set, version 0.9.75 ends the process. */
void listener_quiesce(struct listener *listener) {
    if (listener->quiesced) {
        return;
    }
    listener->quiesced = true;
    int silent = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (silent < 0 || dup3(silent, listener->fd, O_CLOEXEC) < 0) {
        (void)shutdown(listener->fd,
                       SHUT_RDWR); /* refuses as well, but wakes the poll threads again and again */
    }
    if (silent >= 0) {
        close(silent);
    }
}

void listener_stop(struct listener *listener) {
    if (!listener) {
        return;
    }
    MHD_stop_daemon(listener->daemon);
    free(listener);
}
