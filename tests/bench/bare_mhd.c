/* bare_mhd.c - the most that libmicrohttpd gives on this machine: the limit that the benchmark measures lailad against.
 *
 * One poll thread, static answers made beforehand: what remains is the library's own work. A GET is answered with one, a PUT, whose
 * body is copied to one place, with the other. (At the second call: a response queued at the first one makes the
 * library close the connection.) Header fields and bodies are those of lailad's answers, so that both send the same bytes.
 *
 *     bare_mhd GET_HEADERS GET_BODY PUT_HEADERS     prints the port it listens on, ends at end of input
 *
 * The header files have one "Name: value" a line. Flags and limits are those of server/listener.c: neither has the library keep a time-out, and
 * both have nine pages of memory for a connection.
 */
#include <microhttpd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BODY_MOST_BYTES (16U << 20)
#define CONNECTION_MEMORY_BYTES ((size_t)36 * 1024)
#define LINE_BYTES 4096
#define TAKEN_BYTES 65536

struct answers {
    struct MHD_Response *get;
    struct MHD_Response *put;
    char taken[TAKEN_BYTES]; /* the body of a PUT; one thread, so one place */
};

/* Targets are left as they are, as lailad has it: the library's own way costs as much as reading the target. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *target,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request) {
    struct answers *answers = context;
    (void)target;
    (void)version;
    if (!*request) {
        *request = answers;
        return MHD_YES;
    }
    if (*upload_bytes) {
        memcpy(answers->taken, upload, *upload_bytes < TAKEN_BYTES ? *upload_bytes : TAKEN_BYTES);
        *upload_bytes = 0;
        return MHD_YES;
    }
    return strcmp(method, MHD_HTTP_METHOD_PUT) == 0
               ? MHD_queue_response(connection, MHD_HTTP_NO_CONTENT, answers->put)
               : MHD_queue_response(connection, MHD_HTTP_OK, answers->get);
}

static struct MHD_Response *response_from_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        return NULL;
    }
    char *body = malloc(BODY_MOST_BYTES);
    size_t bytes = body ? fread(body, 1, BODY_MOST_BYTES, file) : 0;
    fclose(file);
    if (!body) {
        return NULL;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(body);
    }
    return response;
}

static int add_headers(struct MHD_Response *response, const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) {
        return -1;
    }
    int result = 0;
    char line[LINE_BYTES];
    while (result == 0 && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = '\0';
        char *colon = strstr(line, ": ");
        if (!colon) {
            result = -1;
            break;
        }
        *colon = '\0';
        result = MHD_add_response_header(response, line, colon + 2) == MHD_YES ? 0 : -1;
    }
    fclose(file);
    return result;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: bare_mhd GET_HEADERS GET_BODY PUT_HEADERS\n");
        return 2;
    }
    static struct answers answers;
    answers.get = response_from_file(argv[2]);
    answers.put = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!answers.get || !answers.put || add_headers(answers.get, argv[1]) != 0 ||
        add_headers(answers.put, argv[3]) != 0) {
        fprintf(stderr, "bare_mhd: cannot make the answers from %s, %s and %s\n", argv[1], argv[2], argv[3]);
        return 1;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, answer,
        &answers, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, 1000U,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_END);
    if (!daemon) {
        fprintf(stderr, "bare_mhd: cannot listen\n");
        return 1;
    }
    printf("%u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    MHD_stop_daemon(daemon);
    MHD_destroy_response(answers.get);
    MHD_destroy_response(answers.put);
    return 0;
}
