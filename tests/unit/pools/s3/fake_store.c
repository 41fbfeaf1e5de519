/* fake_store.c - see fake_store.h. The mutex guards the record; the script is read only. */
#include "fake_store.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES 32768
#define BODY_BYTES 65536

struct fake_request {
    char head[HEAD_BYTES];
    char body[BODY_BYTES]; /* the beginning of it */
};

struct fake_store {
    const struct fake_answer *answers;
    size_t count;
    int listener;
    unsigned port;
    pthread_t thread;
    pthread_mutex_t mutex;
    bool stopping;
    int open_fd; /* so that stop can end a connection that waits */
    size_t requests;
    unsigned connections;
    bool overrun;
    struct fake_request *request;
    char field[1024];
};

static bool is_stopping(struct fake_store *store) {
    pthread_mutex_lock(&store->mutex);
    bool stopping = store->stopping;
    pthread_mutex_unlock(&store->mutex);
    return stopping;
}

/* One byte at a time: the body must stay in the socket. */
static bool read_head(int fd, char *head) {
    size_t size = 0;
    while (size + 1 < HEAD_BYTES) {
        if (recv(fd, head + size, 1, 0) != 1) {
            return false;
        }
        head[++size] = '\0';
        if (size >= 4 && memcmp(head + size - 4, "\r\n\r\n", 4) == 0) {
            head[size - 4] = '\0';
            return true;
        }
    }
    return false;
}

static const char *find_field(const char *head, const char *name) {
    size_t bytes = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, bytes) == 0 && line[bytes] == ':') {
            return line + bytes + 1 + strspn(line + bytes + 1, " ");
        }
    }
    return NULL;
}

static bool read_body(int fd, struct fake_request *request) {
    const char *length = find_field(request->head, "Content-Length");
    size_t left = length ? strtoul(length, NULL, 10) : 0;
    if (find_field(request->head, "Expect") &&
        send(fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL) != 25) {
        return false;
    }
    size_t kept = 0;
    while (left > 0) {
        char piece[65536];
        ssize_t got = recv(fd, piece, left < sizeof piece ? left : sizeof piece, 0);
        if (got <= 0) {
            return false;
        }
        size_t keep = BODY_BYTES - 1 - kept < (size_t)got ? BODY_BYTES - 1 - kept : (size_t)got;
        memcpy(request->body + kept, piece, keep);
        kept += keep;
        left -= (size_t)got;
    }
    request->body[kept] = '\0';
    return true;
}

static void send_all(int fd, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
}

/* False when the connection is over. */
static bool serve_one(struct fake_store *store, int fd) {
    struct fake_request *request = calloc(1, sizeof *request);
    bool got = read_head(fd, request->head) && read_body(fd, request);
    const struct fake_answer *answer = NULL;
    if (got) {
        pthread_mutex_lock(&store->mutex);
        if (store->requests < store->count) {
            answer = &store->answers[store->requests];
            store->request[store->requests++] = *request;
        } else {
            store->overrun = true;
        }
        pthread_mutex_unlock(&store->mutex);
    }
    free(request);
    if (!answer) {
        return false;
    }
    if (answer->text) {
        send_all(fd, answer->text, answer->text_bytes > 0 ? answer->text_bytes : strlen(answer->text));
    }
    if (answer->after == FAKE_HANG) {
        char byte;
        while (recv(fd, &byte, 1, 0) > 0) {
        }
    }
    if (answer->after == FAKE_RESET) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    return answer->after == FAKE_KEEP;
}

static void *serve(void *context) {
    struct fake_store *store = context;
    while (!is_stopping(store)) {
        int fd = accept(store->listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        pthread_mutex_lock(&store->mutex);
        store->open_fd = fd;
        store->connections += store->stopping ? 0 : 1;
        pthread_mutex_unlock(&store->mutex);
        while (!is_stopping(store) && serve_one(store, fd)) {
        }
        pthread_mutex_lock(&store->mutex);
        store->open_fd = -1;
        pthread_mutex_unlock(&store->mutex);
        close(fd);
    }
    return NULL;
}

struct fake_store *fake_store_start(const struct fake_answer *answers, size_t count) {
    ck_assert_uint_le(count, FAKE_MOST_REQUESTS);
    struct fake_store *store = calloc(1, sizeof *store);
    ck_assert_ptr_nonnull(store);
    store->request = calloc(FAKE_MOST_REQUESTS, sizeof *store->request);
    ck_assert_ptr_nonnull(store->request);
    store->answers = answers;
    store->count = count;
    store->open_fd = -1;
    pthread_mutex_init(&store->mutex, NULL);
    store->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(bind(store->listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(store->listener, 16), 0);
    socklen_t bytes = sizeof address;
    ck_assert_int_eq(getsockname(store->listener, (struct sockaddr *)&address, &bytes), 0);
    store->port = ntohs(address.sin_port);
    ck_assert_int_eq(pthread_create(&store->thread, NULL, serve, store), 0);
    return store;
}

void fake_store_stop(struct fake_store *store) {
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    if (store->open_fd >= 0) {
        shutdown(store->open_fd, SHUT_RDWR);
    }
    pthread_mutex_unlock(&store->mutex);
    shutdown(store->listener, SHUT_RDWR); /* wakes accept */
    pthread_join(store->thread, NULL);
    close(store->listener);
    ck_assert_msg(!store->overrun, "more requests than the %zu of the script", store->count);
    ck_assert_uint_eq(store->requests, store->count);
    pthread_mutex_destroy(&store->mutex);
    free(store->request);
    free(store);
}

unsigned fake_store_port(const struct fake_store *store) {
    return store->port;
}

size_t fake_store_requests(struct fake_store *store) {
    pthread_mutex_lock(&store->mutex);
    size_t requests = store->requests;
    pthread_mutex_unlock(&store->mutex);
    return requests;
}

const char *fake_store_head(struct fake_store *store, size_t index) {
    ck_assert_uint_lt(index, fake_store_requests(store));
    return store->request[index].head;
}

const char *fake_store_body(struct fake_store *store, size_t index) {
    ck_assert_uint_lt(index, fake_store_requests(store));
    return store->request[index].body;
}

unsigned fake_store_connections(struct fake_store *store) {
    pthread_mutex_lock(&store->mutex);
    unsigned connections = store->connections;
    pthread_mutex_unlock(&store->mutex);
    return connections;
}

const char *fake_store_field(struct fake_store *store, size_t index, const char *name) {
    const char *value = find_field(fake_store_head(store, index), name);
    if (!value) {
        return NULL;
    }
    size_t bytes = strcspn(value, "\r\n");
    ck_assert_uint_lt(bytes, sizeof store->field);
    memcpy(store->field, value, bytes);
    store->field[bytes] = '\0';
    return store->field;
}
