/* params.c - see params.h. Defaults are design.md 13.24's. */
#include "server/params.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};

static bool is_path(const char *text) {
    return *text && strlen(text) < PATH_MAX;
}

#define TOKEN_MOST_BYTES 4096

static bool is_token(const char *text) {
    size_t bytes = 0;
    while (text[bytes] > ' ' && text[bytes] <= '~') {
        bytes++;
    }
    return bytes > 0 && bytes <= TOKEN_MOST_BYTES && !text[bytes];
}

#define COUNT_ROW(row_name, row_default, row_least, row_most, row_sentence)                                  \
    {                                                                                                        \
        .name = row_name, .type = OPTION_COUNT, .default_text = row_default, .least = row_least,             \
        .most = row_most, .sentence = row_sentence                                                           \
    }
#define BYTES_ROW(row_name, row_default, row_least, row_most, row_sentence)                                  \
    {                                                                                                        \
        .name = row_name, .type = OPTION_BYTES, .default_text = row_default, .least = row_least,             \
        .most = row_most, .sentence = row_sentence                                                           \
    }

const struct option params_options[] = {
    {.name = "listen",
     .type = OPTION_TEXT,
     .default_text = "127.0.0.1:8080",
     .sentence = "address and port to listen on; port 0 picks a free one"},
    {.name = "data_dir",
     .type = OPTION_TEXT,
     .is_valid = is_path,
     .expected = "the path of a folder",
     .default_text = "./data",
     .sentence = "folder for state, spool and pool files; made when missing"},
    {.name = "token",
     .type = OPTION_TEXT,
     .secret = true,
     .is_valid = is_token,
     .expected = PARAMS_TOKEN_EXPECTED,
     .sentence = "the bearer token every request must carry; unset = nobody is asked (loopback only)"},
    {.name = "token_file",
     .type = OPTION_TEXT,
     .is_valid = is_path,
     .expected = "the path of a file",
     .sentence = "a file that holds the token, instead of token"},
    {.name = "access_log",
     .type = OPTION_FLAG,
     .default_text = "true",
     .sentence = "one JSON line per request"},
    {.name = "log_level",
     .type = OPTION_CHOICE,
     .default_text = "info",
     .choices = log_levels,
     .sentence = "least important line that is logged"},
    {.name = "log_format",
     .type = OPTION_CHOICE,
     .default_text = "text",
     .choices = log_formats,
     .sentence = "form of the log lines"},
    COUNT_ROW("poll_threads", "0", 0, 64, "threads that serve sockets and hits; 0 = one per core"),
    COUNT_ROW("local_threads", "8", 1, 1024,
              "most threads for requests on local storage; as many again for chains there"),
    COUNT_ROW("remote_threads", "64", 1, 1024,
              "most threads for requests on pools behind a network; half of them for one pool"),
    COUNT_ROW("fetch_threads", "64", 1, 1024,
              "most threads for chains behind a network, one for each body on its way, half of them for one "
              "pool; should be twice the max_parallel of each remote pool and exceed that of all together"),
    COUNT_ROW("max_connections", "1000", 1, 100000, "connections served at once; more wait to be accepted"),
    COUNT_ROW("header_timeout_s", "10", 1, 3600, "seconds a client may take to send a request's header"),
    COUNT_ROW("idle_timeout_s", "30", 1, 86400, "seconds a connection is kept on which nothing moves"),
    COUNT_ROW("rate_window_s", "30", 1, 3600, "seconds in which a body must move by min_rate_bytes"),
    BYTES_ROW("min_rate_bytes", "16KiB", 0, 0, "least a body must move in rate_window_s, either way"),
    COUNT_ROW("step_timeout_s", "60", 1, 86400, "seconds one step of a request may take on storage"),
    COUNT_ROW("drain_timeout_s", "10", 0, 86400,
              "seconds that requests under way get when the daemon is told to end"),
    BYTES_ROW("json_max_bytes", "1MiB", 1024, 1 << 26, "largest JSON or chain body"),
    BYTES_ROW("body_max_bytes", "0", 0, 0, "largest entry a client may send; 0 = no limit but the pool's"),
    BYTES_ROW("pipe_bytes", "256KiB", 4096, 1 << 26,
              "memory between socket and storage, per streaming request"),
    BYTES_ROW("discard_max_bytes", "64MiB", 0, 0,
              "how much of a refused body is read to keep the connection; beyond, the answer comes first"),
    BYTES_ROW("entry_buffer_bytes", "1MiB", 0, 1 << 30,
              "bodies up to this are complete and verified before the answer"),
    BYTES_ROW("flight_max_bytes", "8MiB", 1 << 16, 1 << 30,
              "a fetched body above this grows in the spool, not in memory"),
    BYTES_ROW(
        "range_fill_max", "8MiB", 0, 0,
        "a part of a cold entry up to this fetches and keeps the whole; of a larger one only the part comes"),
    BYTES_ROW("spool_max_bytes", "64GiB", 1 << 20, 0,
              "disk space for bodies on their way, under data_dir/spool"),
};
const size_t params_count = ARRAY_COUNT(params_options);

void params_environment(const char *name, char ret_variable[PARAMS_VARIABLE_BYTES]) {
    size_t used = (size_t)snprintf(ret_variable, PARAMS_VARIABLE_BYTES, "LAILAD_");
    for (; *name && used < PARAMS_VARIABLE_BYTES - 1; name++) {
        ret_variable[used++] = (char)toupper((unsigned char)*name);
    }
    ret_variable[used] = '\0';
}

const char *params_getenv(const char *name) {
    char variable[PARAMS_VARIABLE_BYTES];
    params_environment(name, variable);
    const char *text = getenv(variable);
    return text && *text ? text : NULL;
}
