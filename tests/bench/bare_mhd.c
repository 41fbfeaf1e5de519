/* bare_mhd.c - the most that libmicrohttpd gives on this machine: the limit that the benchmark measures lailad against.
 *
 * One poll thread, one static response made beforehand, every request answered with it: what remains is the library's own
 * work. (At the second call: a response queued at the first one makes the library close the connection.) The header fields and the body are those of a lailad answer, so that both send the same bytes.
 *
 *     bare_mhd HEADER_FILE BODY_FILE     prints the port it listens on, ends at end of input
 *
 * HEADER_FILE has one "Name: value" a line. The flags and limits are those of server/listener.c.
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

static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *target,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request) {
    (void)target;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_bytes;
    if (!*request) {
        *request = response;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, (struct MHD_Response *)response);
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
    if (argc != 3) {
        fprintf(stderr, "usage: bare_mhd HEADER_FILE BODY_FILE\n");
        return 2;
    }
    struct MHD_Response *response = response_from_file(argv[2]);
    if (!response || add_headers(response, argv[1]) != 0) {
        fprintf(stderr, "bare_mhd: cannot make the answer from %s and %s\n", argv[1], argv[2]);
        return 1;
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
                         NULL, NULL, answer, response, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
                         MHD_OPTION_CONNECTION_LIMIT, 1000U, MHD_OPTION_CONNECTION_TIMEOUT, 40U,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
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
    MHD_destroy_response(response);
    return 0;
}
