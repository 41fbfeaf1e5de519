/* house.c - see house.h. */
#include "tests/unit/server/house.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"
#include "tests/unit/server/fake_api.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

void house_start(struct house *house, const struct house_options *given) {
    struct house_options options = given ? *given : (struct house_options){0};
    memset(house, 0, sizeof *house);
    fake_setup();
    unsigned threads[LANE_COUNT] = {2, 1, 1, 1};
    house->executor = executor_new(threads);
    struct reaper_limits reaping = {
        .header_ns = options.header_ns ? options.header_ns : 30 * NS_PER_S,
        .idle_ns = options.idle_ns ? options.idle_ns : 600 * NS_PER_S, /* clients take turns */
        .rate_ns = options.rate_ns ? options.rate_ns : 600 * NS_PER_S,
        .least_bytes = 1000,
    };
    house->reaper = reaper_start(&reaping);
    house->auth = auth_new(options.token);
    struct exchanges_config config = {
        .api = &house->api,
        .executor = house->executor,
        .reaper = house->reaper,
        .auth = house->auth,
        .step_timeout_ns = 30 * NS_PER_S,
        .pipe_bytes = options.pipe_bytes ? options.pipe_bytes : 64 * 1024,
        .discard_most_bytes = options.discard_most_bytes ? options.discard_most_bytes : 1 << 20,
    };
    house->exchanges = exchanges_new(&config);
    struct op op;
    op_init(&op, 0, 0);
    struct listen_address address;
    MUST(listen_address_parse(&op, "127.0.0.1:0", &address) == OK);
    struct listener_limits limits = {
        .poll_threads = options.poll_threads ? options.poll_threads : 1,
        .most_connections = 200,
    };
    MUST(listener_start(&op, &address, &limits, house->exchanges, &house->listener) == OK);
    const char *port = strrchr(listener_authority(house->listener), ':');
    house->port = (unsigned short)strtoul(port + 1, NULL, 10);
}

void house_stop(struct house *house) {
    listener_quiesce(house->listener);
    exchanges_drain(house->exchanges, clock_now_ns() + 100 * NS_PER_MS);
    exchanges_hurry(house->exchanges);
    reaper_end_all(house->reaper, clock_now_ns() + NS_PER_S);
    listener_stop(house->listener);
    exchanges_settle(house->exchanges);
    executor_free(house->executor);
    exchanges_free(house->exchanges);
    reaper_stop(house->reaper);
    auth_free(house->auth);
    fake_await_all_finished(0);
    fake_teardown();
}

int client_connect(const struct house *house) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(house->port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    MUST(connect(fd, (struct sockaddr *)&in, sizeof in) == 0);
    return fd;
}

static bool send_all(int fd, const void *bytes, size_t count) {
    const char *at = bytes;
    while (count) {
        ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += sent;
        count -= (size_t)sent;
    }
    return true;
}

void client_send_bytes(int fd, const void *bytes, size_t count) {
    MUST(send_all(fd, bytes, count));
}

void client_send(int fd, const char *text) {
    client_send_bytes(fd, text, strlen(text));
}

bool client_send_pattern(int fd, uint64_t offset, size_t count) {
    unsigned char piece[8192];
    while (count) {
        size_t now = count < sizeof piece ? count : sizeof piece;
        for (size_t i = 0; i < now; i++) {
            piece[i] = fake_byte(offset + i);
        }
        if (!send_all(fd, piece, now)) {
            return false;
        }
        offset += now;
        count -= now;
    }
    return true;
}

/* One byte at a time in the head, so that what follows an answer stays for the next call. */
static bool read_byte(int fd, char *ret_byte) {
    return recv(fd, ret_byte, 1, 0) == 1;
}

static bool read_line(int fd, struct buf *text) {
    char byte = 0;
    do {
        if (!read_byte(fd, &byte)) {
            return false;
        }
        MUST(buf_append(text, &byte, 1) == OK);
    } while (byte != '\n');
    return true;
}

static bool read_exactly(int fd, struct buf *body, size_t count) {
    while (count) {
        char *space = NULL;
        MUST(buf_reserve(body, count < 65536 ? count : 65536, &space) == OK);
        ssize_t got = recv(fd, space, count < 65536 ? count : 65536, 0);
        if (got <= 0) {
            return false;
        }
        buf_commit(body, (size_t)got);
        count -= (size_t)got;
    }
    return true;
}

static const char *find_field(const char *head, const char *name) {
    size_t bytes = strlen(name);
    for (const char *line = head; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        if (strncasecmp(line, name, bytes) == 0 && line[bytes] == ':') {
            return line + bytes + 2;
        }
    }
    return NULL;
}

static bool read_chunks(int fd, struct buf *body) {
    for (;;) {
        struct buf line;
        buf_init(&line, 1024);
        bool there = read_line(fd, &line);
        size_t count = there ? strtoul(line.data, NULL, 16) : 0;
        buf_fini(&line);
        if (!there || !read_exactly(fd, body, count)) {
            return false;
        }
        char end[2];
        if (!read_byte(fd, &end[0]) || !read_byte(fd, &end[1])) {
            return false;
        }
        if (!count) {
            return true;
        }
    }
}

struct answer client_receive(int fd, bool no_body) {
    struct answer answer = {0};
    struct buf head, body;
    buf_init(&head, 1 << 16);
    buf_init(&body, 1 << 28);
    size_t line = 0;
    do {
        line = head.size;
        if (!read_line(fd, &head)) {
            answer.closed = true;
            break;
        }
    } while (head.size - line > 2);
    MUST(buf_append(&head, "", 0) == OK && buf_append(&body, "", 0) == OK);
    if (!answer.closed) {
        answer.status = (unsigned)strtoul(head.data + 9, NULL, 10);
        const char *length = find_field(head.data, "Content-Length");
        bool bare = no_body || answer.status == 204 || answer.status == 304 || answer.status < 200;
        if (bare) {
            answer.complete = true;
        } else if (length) {
            answer.complete = read_exactly(fd, &body, strtoull(length, NULL, 10));
            answer.closed = !answer.complete;
        } else if (find_field(head.data, "Transfer-Encoding")) {
            answer.complete = read_chunks(fd, &body);
            answer.closed = !answer.complete;
        } else {
            ssize_t got = 0;
            char piece[4096];
            while ((got = recv(fd, piece, sizeof piece, 0)) > 0) {
                MUST(buf_append(&body, piece, (size_t)got) == OK);
            }
            answer.complete = got == 0;
            answer.closed = true;
        }
    }
    answer.body_bytes = body.size;
    answer.head = buf_steal(&head);
    answer.body = buf_steal(&body);
    return answer;
}

void answer_free(struct answer *answer) {
    free(answer->head);
    free(answer->body);
    *answer = (struct answer){0};
}

bool answer_has(const struct answer *answer, const char *head_line) {
    return strstr(answer->head, head_line) != NULL;
}

bool answer_is_pattern(const struct answer *answer, size_t bytes) {
    if (answer->body_bytes != bytes) {
        return false;
    }
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)answer->body[i] != fake_byte(i)) {
            return false;
        }
    }
    return true;
}

struct answer client_ask(const struct house *house, const char *request) {
    int fd = client_connect(house);
    client_send(fd, request);
    struct answer answer = client_receive(fd, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return answer;
}

bool client_awaits_end(int fd) {
    char piece[4096];
    ssize_t got = 0;
    do {
        got = recv(fd, piece, sizeof piece, 0);
    } while (got > 0);
    return got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}
