/* house.h - a whole server in the test's process, and a client that sends exactly the bytes it is told. */
#ifndef HOUSE_H
#define HOUSE_H

#include "api/api.h"
#include "server/exchange.h"
#include "server/listener.h"

struct house_options {
    unsigned poll_threads;
    const char *token;
    uint64_t header_ns, idle_ns, rate_ns;
    uint64_t discard_most_bytes;
    size_t pipe_bytes;
};

struct house {
    struct executor *executor;
    struct reaper *reaper;
    struct auth *auth;
    struct exchanges *exchanges;
    struct listener *listener;
    struct api api;
    unsigned short port;
};

void house_start(struct house *house, const struct house_options *options); /* options NULL = usual ones */
void house_stop(struct house *house);

int client_connect(const struct house *house);
void client_send(int fd, const char *text);
void client_send_bytes(int fd, const void *bytes, size_t count);
/* n bytes of fake_byte from offset on; false when the server closed. */
bool client_send_pattern(int fd, uint64_t offset, size_t count);

struct answer {
    unsigned status; /* 0 = the connection ended before a whole header */
    char *head;      /* with the blank line */
    char *body;      /* dechunked, NUL-terminated */
    size_t body_bytes;
    bool complete; /* the body came whole */
    bool closed;   /* the connection ended */
};
/* Reads one answer. `no_body` for answers to HEAD. */
struct answer client_receive(int fd, bool no_body);
void answer_free(struct answer *answer);
bool answer_has(const struct answer *answer, const char *head_line);
bool answer_is_pattern(const struct answer *answer, size_t bytes);
/* One request on a connection of its own. */
struct answer client_ask(const struct house *house, const char *request);
/* Reads until the end; true when it came (an error counts). */
bool client_awaits_end(int fd);

#endif
