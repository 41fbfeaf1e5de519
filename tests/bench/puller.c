/* puller.c - a plain client that asks for a list of targets, each once, as fast as its connections allow.
 *
 * The benchmark's measure for what wrk cannot do: distinct keys, each read once, and large bodies, which wrk takes in pieces of 8 KiB. One
 * thread, kept connections; bodies are received into one buffer and forgotten. (Not thrown away inside the kernel: with
 * sendfile at the other end nobody would then touch a byte, and no user has such a client.)
 *
 *     puller ADDRESS:PORT CONNECTIONS BODY_BYTES SECONDS once|again < TARGETS
 *
 * TARGETS has one request target a line. Ends when SECONDS are over and something was answered, or, with "once", when the list
 * is done. Every answer must be 200 with BODY_BYTES of body, else it says what came and exits with 1. Prints one JSON
 * object; "bytes" also counts what came of bodies that were not complete when the time was over.
 *
 * Life of a connection: 1. fresh; 2. head, a request is out; 3. body, `left_bytes` of it to come; then 2 again with the next target.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES 16384
#define PIECE_BYTES ((size_t)256 * 1024)
#define MOST_CONNECTIONS 1024
#define MOST_NS UINT64_C(60000000000)
#define REQUEST_BYTES 8192

struct connection {
    int fd;
    size_t head_size;
    uint64_t left_bytes;
    bool in_body;
    bool reused; /* an answer came over it before: the server may have closed it meanwhile */
    uint64_t sent_ns;
    const char *target;
    char head[HEAD_BYTES + 1];
};

struct puller {
    struct sockaddr_in address;
    const char *host;
    uint64_t body_bytes;
    bool again;
    char **targets;
    size_t target_count;
    size_t next_target;
    uint64_t *taken_ns; /* of each answer */
    size_t answers;
    size_t answers_room;
    uint64_t bytes;
    unsigned waiting; /* connections with a request out */
    int epoll;
    char *piece;
};

static _Noreturn void give_up(const char *what, const char *detail) {
    fprintf(stderr, "puller: %s: %s\n", what, detail);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void read_targets(struct puller *puller) {
    size_t room = 0;
    char *line = NULL;
    size_t line_room = 0;
    ssize_t bytes;
    while ((bytes = getline(&line, &line_room, stdin)) > 0) {
        if (line[bytes - 1] == '\n') {
            line[bytes - 1] = '\0';
        }
        if (puller->target_count == room) {
            room = room ? room * 2 : 1024;
            puller->targets = realloc(puller->targets, room * sizeof *puller->targets);
        }
        char *target = puller->targets ? strdup(line) : NULL;
        if (!target) {
            give_up("targets", "no memory");
        }
        puller->targets[puller->target_count++] = target;
    }
    free(line);
    if (!puller->target_count) {
        give_up("targets", "none on standard input");
    }
}

static void open_socket(struct puller *puller, struct connection *connection) {
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&puller->address, sizeof puller->address) != 0) {
        give_up("connect", strerror(errno));
    }
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(puller->epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        give_up("epoll", strerror(errno));
    }
    connection->reused = false;
}

static void send_request(struct puller *puller, struct connection *connection) {
    char request[REQUEST_BYTES];
    int bytes = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", connection->target,
                         puller->host);
    connection->head_size = 0;
    connection->in_body = false;
    connection->sent_ns = now_ns();
    if (bytes < 0 || (size_t)bytes >= sizeof request ||
        send(connection->fd, request, (size_t)bytes, MSG_NOSIGNAL) != bytes) {
        give_up("send", connection->target);
    }
}

/* False when the list is at its end. */
static bool ask_next(struct puller *puller, struct connection *connection) {
    if (puller->next_target == puller->target_count) {
        if (!puller->again) {
            return false;
        }
        puller->next_target = 0;
    }
    connection->target = puller->targets[puller->next_target++];
    send_request(puller, connection);
    return true;
}

static void note_answer(struct puller *puller, struct connection *connection) {
    if (puller->answers == puller->answers_room) {
        puller->answers_room = puller->answers_room ? puller->answers_room * 2 : 65536;
        puller->taken_ns = realloc(puller->taken_ns, puller->answers_room * sizeof *puller->taken_ns);
        if (!puller->taken_ns) {
            give_up("answers", "no memory");
        }
    }
    puller->taken_ns[puller->answers++] = now_ns() - connection->sent_ns;
    connection->reused = true;
    if (!ask_next(puller, connection)) {
        close(connection->fd);
        connection->fd = -1;
        puller->waiting--;
    }
}

/* The head is complete: `end` is where the body begins. */
static void judge_head(struct puller *puller, struct connection *connection, const char *end) {
    const char *length = strcasestr(connection->head, "\r\nContent-Length:");
    if (strncmp(connection->head, "HTTP/1.1 200", 12) != 0 || !length || length > end ||
        strtoull(length + 17, NULL, 10) != puller->body_bytes) {
        fprintf(stderr, "puller: %s was answered with\n%s\n", connection->target, connection->head);
        exit(1);
    }
    uint64_t early = (uint64_t)(connection->head + connection->head_size - end);
    if (early > puller->body_bytes) {
        give_up("more body than promised", connection->target);
    }
    puller->bytes += early;
    connection->in_body = true;
    connection->left_bytes = puller->body_bytes - early;
}

static void closed(struct puller *puller, struct connection *connection, const char *why) {
    if (!connection->reused || connection->in_body || connection->head_size) {
        give_up(why, connection->target);
    }
    close(connection->fd);
    open_socket(puller, connection);
    send_request(puller, connection);
}

static void read_some(struct puller *puller, struct connection *connection) {
    ssize_t got;
    if (connection->in_body) {
        size_t most = connection->left_bytes < PIECE_BYTES ? (size_t)connection->left_bytes : PIECE_BYTES;
        got = recv(connection->fd, puller->piece, most, MSG_DONTWAIT);
    } else {
        got = recv(connection->fd, connection->head + connection->head_size,
                   HEAD_BYTES - connection->head_size, MSG_DONTWAIT);
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        closed(puller, connection, got < 0 ? strerror(errno) : "the connection ended");
        return;
    }
    if (connection->in_body) {
        puller->bytes += (uint64_t)got;
        connection->left_bytes -= (uint64_t)got;
    } else {
        connection->head_size += (size_t)got;
        connection->head[connection->head_size] = '\0';
        const char *end = strstr(connection->head, "\r\n\r\n");
        if (!end) {
            if (connection->head_size == HEAD_BYTES) {
                give_up("the head has no end", connection->target);
            }
            return;
        }
        judge_head(puller, connection, end + 4);
    }
    if (connection->left_bytes == 0) {
        note_answer(puller, connection);
    }
}

static int compare_ns(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static double part_us(const struct puller *puller, double part) {
    return puller->answers ? (double)puller->taken_ns[(size_t)(part * (double)(puller->answers - 1))] / 1e3
                           : 0;
}

static void pull(struct puller *puller, struct connection *connections, unsigned count, double seconds) {
    uint64_t began_ns = now_ns();
    uint64_t until_ns = began_ns + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < count; i++) {
        open_socket(puller, &connections[i]);
        puller->waiting += ask_next(puller, &connections[i]);
    }
    while (puller->waiting && (now_ns() < until_ns || !puller->answers)) {
        if (now_ns() - began_ns > MOST_NS && !puller->answers) {
            give_up("no answer", "nothing came");
        }
        struct epoll_event events[64];
        int ready = epoll_wait(puller->epoll, events, 64, 100);
        for (int i = 0; i < ready; i++) {
            read_some(puller, events[i].data.ptr);
        }
    }
    double took = (double)(now_ns() - began_ns) / 1e9;
    qsort(puller->taken_ns, puller->answers, sizeof *puller->taken_ns, compare_ns);
    printf("{\"requests\": %zu, \"seconds\": %.6f, \"bytes\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           puller->answers, took, (unsigned long long)puller->bytes, part_us(puller, 0.5),
           part_us(puller, 0.99));
}

int main(int argc, char **argv) {
    char *colon = argc == 6 ? strchr(argv[1], ':') : NULL;
    unsigned long count = argc == 6 ? strtoul(argv[2], NULL, 10) : 0;
    if (!colon || !count || count > MOST_CONNECTIONS) {
        fprintf(stderr, "usage: puller ADDRESS:PORT CONNECTIONS BODY_BYTES SECONDS once|again < TARGETS\n");
        return 2;
    }
    char *host = strdup(argv[1]);
    *colon = '\0';
    struct puller puller = {
        .host = host,
        .body_bytes = strtoull(argv[3], NULL, 10),
        .again = strcmp(argv[5], "again") == 0,
        .epoll = epoll_create1(EPOLL_CLOEXEC),
        .piece = malloc(PIECE_BYTES),
        .address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10))}};
    struct connection *connections = calloc(count, sizeof *connections);
    if (!host || !connections || !puller.piece || puller.epoll < 0 ||
        inet_pton(AF_INET, argv[1], &puller.address.sin_addr) != 1) {
        give_up("start", argv[1]);
    }
    read_targets(&puller);
    pull(&puller, connections, (unsigned)count, strtod(argv[4], NULL));
    return 0;
}
