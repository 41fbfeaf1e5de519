/* daemon.c - see daemon.h. daemon_stop is the constructor read backwards; it takes a half-built daemon too. */
#include "server/daemon.h"

#include "api/api.h"
#include "pools/base/clock.h"
#include "pools/base/data_dir.h"
#include "pools/base/log.h"
#include "server/address.h"
#include "server/exchange.h"
#include "server/listener.h"
#include "server/screen.h"
#include "server/text_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES (PATH_MAX + 32)

struct daemon {
    struct config *config;
    char data_dir[PATH_MAX]; /* absolute */
    struct state *state;
    struct spool_dir *spool_dir;
    struct executor *executor;
    struct registry *registry;
    struct wiring *wiring;
    struct flights *flights;
    struct api api;
    struct auth *auth;
    struct cors cors;
    struct reaper *reaper;
    struct exchanges *exchanges;
    struct listener *listener;
    bool announced; /* DATA/listen is ours */
};

static bool fail(struct complaint *error, const char *what, const char *why) {
    return complain(error, what, 0, "%s", why);
}

static const char *text_of(const struct daemon *daemon, const char *name) {
    return settings_text(daemon->config->params, name);
}

static uint64_t number_of(const struct daemon *daemon, const char *name) {
    return settings_number(daemon->config->params, name);
}

static uint64_t seconds_of(const struct daemon *daemon, const char *name) {
    return number_of(daemon, name) * NS_PER_S;
}

bool daemon_check(const struct config *config, const struct daemon_options *options,
                  struct complaint *ret_error) {
    const char *listen = settings_text(config->params, "listen");
    const char *token = settings_text(config->params, "token");
    struct op op;
    op_init(&op, 0, 0);
    struct listen_address address;
    if (listen_address_parse(&op, listen, &address) != OK) {
        return config_complain(config, ret_error, "listen", "%s: %s", listen, op.fault.detail);
    }
    if (!listen_address_is_loopback(&address) && !(token && token[0]) && !options->insecure) {
        return config_complain(
            config, ret_error, "listen",
            "%s: an address others can reach needs a token (LAILAD_TOKEN or the key token), or --insecure",
            listen);
    }
    return true;
}

/* ---- storage ---- */

static bool open_data_dir(struct daemon *daemon, struct complaint *error) {
    const char *path = text_of(daemon, "data_dir");
    struct stat info;
    int failure = 0;
    if ((mkdir(path, 0750) != 0 && errno != EEXIST) || !realpath(path, daemon->data_dir) ||
        stat(daemon->data_dir, &info) != 0) {
        failure = errno;
    } else if (!S_ISDIR(info.st_mode)) {
        failure = ENOTDIR;
    }
    char room[128];
    return !failure || config_complain(daemon->config, error, "data_dir", "%s: %s", path,
                                       strerror_r(failure, room, sizeof room));
}

static bool open_storage(struct daemon *daemon, struct complaint *error) {
    struct op op;
    op_init(&op, 0, 0);
    char spool[PATH_BYTES];
    snprintf(spool, sizeof spool, "%s/" DATA_DIR_SPOOL, daemon->data_dir);
    if (state_open(&op, daemon->data_dir, &daemon->state) != OK ||
        spool_dir_open(&op, spool, number_of(daemon, "spool_max_bytes"), &daemon->spool_dir) != OK) {
        return fail(error, daemon->data_dir, op.fault.detail);
    }
    unsigned threads[LANE_COUNT] = {
        [LANE_LOCAL] = (unsigned)number_of(daemon, "local_threads"),
        [LANE_REMOTE] = (unsigned)number_of(daemon, "remote_threads"),
        [LANE_FETCH] = (unsigned)number_of(daemon, "local_threads"),
        [LANE_FETCH_REMOTE] = (unsigned)number_of(daemon, "fetch_threads"),
    };
    struct flights_limits limits = {
        .step_timeout_ns = seconds_of(daemon, "step_timeout_s"),
        .entry_most_bytes = number_of(daemon, "entry_buffer_bytes"),
        .flight_max_bytes = number_of(daemon, "flight_max_bytes"),
    };
    daemon->executor = executor_new(threads);
    daemon->flights = daemon->executor ? flights_new(daemon->executor, daemon->spool_dir, &limits) : NULL;
    return daemon->flights ? true : fail(error, "start", "out of memory");
}

/* A pool that does not open is there all the same, and says why (design: the daemon always starts). */
static bool declare_pools(struct daemon *daemon, struct complaint *error) {
    for (size_t i = 0; i < daemon->config->pool_count; i++) {
        struct config_pool *pool = &daemon->config->pools[i];
        struct op op;
        op_init(&op, 0, 0);
        bool opened = false;
        if (registry_declare(daemon->registry, &op, pool->nickname, pool->kind, pool->settings, &opened) !=
            OK) {
            return fail(error, pool->nickname, op.fault.detail);
        }
        pool->settings = NULL;
        if (!opened) {
            log_line(LOG_ERROR, "pool", "%s could not be opened: %s", pool->nickname, op.fault.detail);
        }
    }
    return true;
}

static bool open_pools(struct daemon *daemon, struct complaint *error) {
    struct pool_environment environment = {.data_dir = daemon->data_dir, .spool_dir = daemon->spool_dir};
    struct secret_names names = {.find = config_expand_for_rest, .context = daemon->config};
    daemon->registry = registry_new(&environment, &names, daemon->state);
    daemon->wiring = daemon->registry ? wiring_new(daemon->registry, daemon->state) : NULL;
    if (!daemon->wiring) {
        return fail(error, "start", "out of memory");
    }
    struct op op;
    op_init(&op, 0, 0);
    if (!declare_pools(daemon, error)) {
        return false;
    }
    if (registry_restore(daemon->registry, &op) != OK ||
        wiring_start(daemon->wiring, &op, daemon->config->chain_text) != OK) {
        return fail(error, daemon->data_dir, op.fault.detail);
    }
    return true;
}

/* ---- requests ---- */

static unsigned poll_threads_of(const struct daemon *daemon) {
    unsigned threads = (unsigned)number_of(daemon, "poll_threads");
    if (!threads) {
        long processors = sysconf(_SC_NPROCESSORS_ONLN);
        threads = processors < 1 ? 1 : processors > 64 ? 64 : (unsigned)processors;
    }
    return threads;
}

/* Without a token anybody who reaches the socket is let in, so nobody may be sent here under a foreign name. */
static const char *const *hosts_of(const struct daemon *daemon) {
    char **configured = daemon->config->allowed_hosts;
    return configured ? (const char *const *)configured : auth_is_open(daemon->auth) ? NULL : SCREEN_ANY_HOST;
}

/* NULL = off. */
static const struct cors *cors_of(struct daemon *daemon) {
    char **origins = daemon->config->cors_origins;
    if (!origins || !origins[0]) {
        return NULL;
    }
    bool is_any = strcmp(origins[0], "*") == 0;
    daemon->cors = (struct cors){.origins = is_any ? NULL : (const char *const *)origins};
    return &daemon->cors;
}

static bool start_requests(struct daemon *daemon, const struct daemon_options *options,
                           struct complaint *error) {
    daemon->api = (struct api){
        .registry = daemon->registry,
        .wiring = daemon->wiring,
        .flights = daemon->flights,
        .version = options->version,
        .json_most_bytes = number_of(daemon, "json_max_bytes"),
        .body_most_bytes = number_of(daemon, "body_max_bytes"),
        .step_timeout_ns = seconds_of(daemon, "step_timeout_s"),
        .range_fill_most_bytes = number_of(daemon, "range_fill_max"),
    };
    struct reaper_limits reaping = {
        .header_ns = seconds_of(daemon, "header_timeout_s"),
        .idle_ns = seconds_of(daemon, "idle_timeout_s"),
        .rate_ns = seconds_of(daemon, "rate_window_s"),
        .least_bytes = number_of(daemon, "min_rate_bytes"),
    };
    daemon->auth = auth_new(text_of(daemon, "token"));
    daemon->reaper = reaper_start(&reaping);
    if (!daemon->auth || !daemon->reaper) {
        return fail(error, "start", "out of memory");
    }
    struct exchanges_config config = {
        .api = &daemon->api,
        .executor = daemon->executor,
        .reaper = daemon->reaper,
        .auth = daemon->auth,
        .hosts = hosts_of(daemon),
        .cors = cors_of(daemon),
        .access_log = settings_flag(daemon->config->params, "access_log"),
        .step_timeout_ns = seconds_of(daemon, "step_timeout_s"),
        .pipe_bytes = number_of(daemon, "pipe_bytes"),
        .discard_most_bytes = number_of(daemon, "discard_max_bytes"),
    };
    daemon->exchanges = exchanges_new(&config);
    return daemon->exchanges ? true : fail(error, "start", "out of memory");
}

static bool start_listening(struct daemon *daemon, struct complaint *error) {
    const char *listen = text_of(daemon, "listen");
    struct listener_limits limits = {
        .poll_threads = poll_threads_of(daemon),
        .most_connections = (unsigned)number_of(daemon, "max_connections"),
    };
    struct op op;
    op_init(&op, 0, 0);
    struct listen_address address;
    if (listen_address_parse(&op, listen, &address) != OK ||
        listener_start(&op, &address, &limits, daemon->exchanges, &daemon->listener) != OK) {
        return config_complain(daemon->config, error, "listen", "%s: %s", listen, op.fault.detail);
    }
    return true;
}

/* DATA/listen, beside and renamed: a reader sees the whole address or none. */
static bool announce(struct daemon *daemon, struct complaint *error) {
    char path[PATH_BYTES];
    char text[ADDRESS_TEXT_BYTES + 1];
    snprintf(path, sizeof path, "%s/" DATA_DIR_LISTEN, daemon->data_dir);
    snprintf(text, sizeof text, "%s\n", listener_authority(daemon->listener));
    int failure = text_file_write(path, text);
    if (failure) {
        return complain_errno(error, path, failure);
    }
    daemon->announced = true;
    return true;
}

/* ---- the whole ---- */

struct daemon *daemon_start(struct config *config, const struct daemon_options *options,
                            struct complaint *ret_error) {
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon) {
        fail(ret_error, "start", "out of memory");
        return NULL;
    }
    daemon->config = config;
    if (open_data_dir(daemon, ret_error) && open_storage(daemon, ret_error) &&
        open_pools(daemon, ret_error) && start_requests(daemon, options, ret_error) &&
        start_listening(daemon, ret_error) && announce(daemon, ret_error)) {
        return daemon;
    }
    daemon_stop(daemon);
    return NULL;
}

const char *daemon_authority(const struct daemon *daemon) {
    return listener_authority(daemon->listener);
}

bool daemon_drain(struct daemon *daemon, uint64_t deadline_ns) {
    listener_quiesce(daemon->listener);
    return exchanges_drain(daemon->exchanges, deadline_ns);
}

static void withdraw(const struct daemon *daemon) {
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/" DATA_DIR_LISTEN, daemon->data_dir);
    if (unlink(path) != 0) {
        log_line(LOG_WARNING, "daemon", "%s could not be removed", path);
    }
}

/* For the answers to those who still wait after the drain. */
#define TURN_AWAY_NS NS_PER_S
/* For the connections that are left after the drain. */
#define END_ALL_NS NS_PER_S

void daemon_stop(struct daemon *daemon) {
    if (!daemon) {
        return;
    }
    if (daemon->announced) {
        withdraw(daemon);
    }
    if (daemon->listener) {
        listener_quiesce(daemon->listener);
        exchanges_turn_away(daemon->exchanges, clock_now_ns() + TURN_AWAY_NS);
        exchanges_hurry(daemon->exchanges);
        reaper_end_all(daemon->reaper, clock_now_ns() + END_ALL_NS);
        listener_stop(daemon->listener);
        exchanges_settle(daemon->exchanges);
    }
    if (daemon->flights) {
        flights_drain(daemon->flights, true);
    }
    executor_free(daemon->executor);
    exchanges_free(daemon->exchanges);
    reaper_stop(daemon->reaper);
    auth_free(daemon->auth);
    flights_free(daemon->flights);
    wiring_free(daemon->wiring);
    registry_free(daemon->registry);
    spool_dir_close(daemon->spool_dir);
    state_close(daemon->state);
    free(daemon);
}
