/* main.c - arguments -> configuration -> daemon -> wait for a signal -> drain -> stop. `lailad hdf5 ...` is a command of its own instead.
 *
 * All state of the process that is not reachable from main's variables, and where it is set:
 *   the key of the id hash (pools/base/hash.c)     hash_setup, first thing
 *   the log's level and format (pools/base/log.c)  log_setup, before any thread
 *   signal dispositions and mask                   take_signals, before any thread
 *   libcurl (pools/object_store/http_client.c) and HDF5 (pools/hdf5/h5.c) set themselves up with their first pool
 *
 * Signals: SIGTERM and SIGINT drain and end, a second one cuts the drain short. SIGHUP and SIGPIPE are ignored: the configuration
 * is read once.
 *
 * Exit codes: 0 ended as asked, 1 the configuration, the start, the health check or a command failed, 2 usage.
 */
#include "pools/base/clock.h"
#include "pools/base/hash.h"
#include "pools/base/log.h"
#include "pools/base/must.h"
#include "server/args.h"
#include "server/daemon.h"
#include "server/hdf5_command.h"
#include "server/healthcheck.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define SIGNAL_LOOK_NS (50 * NS_PER_MS) /* how soon a second signal is noticed while draining */

static void take_signals(sigset_t *ret_ending) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigemptyset(ret_ending);
    sigaddset(ret_ending, SIGTERM);
    sigaddset(ret_ending, SIGINT);
    MUST(pthread_sigmask(SIG_BLOCK, ret_ending, NULL) == 0); /* threads inherit it: only main takes them */
}

static void wait_for_signal(const sigset_t *ending) {
    int signal_number = 0;
    MUST(sigwait(ending, &signal_number) == 0);
    log_line(LOG_INFO, "main", "%s: draining", signal_number == SIGINT ? "SIGINT" : "SIGTERM");
}

static void drain(struct daemon *daemon, const sigset_t *ending, uint64_t timeout_ns) {
    const struct timespec at_once = {0};
    uint64_t deadline_ns = clock_now_ns() + timeout_ns;
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        uint64_t look_ns = now_ns + SIGNAL_LOOK_NS;
        if (daemon_drain(daemon, look_ns < deadline_ns ? look_ns : deadline_ns)) {
            return;
        }
        if (now_ns >= deadline_ns || sigtimedwait(ending, NULL, &at_once) > 0) {
            log_line(LOG_WARNING, "main", "requests under way are refused or cut off");
            return;
        }
    }
}

static int refuse(const struct complaint *complaint) {
    fprintf(stderr, "lailad: %s\n", complaint->text);
    return EXIT_FAILED;
}

static enum log_level level_of(const struct config *config) {
    static const char *const names[] = {
        [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    const char *name = settings_text(config->params, "log_level");
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum log_level)i;
        }
    }
    return LOG_INFO;
}

static void warn_of_variables(const struct config *config) {
    for (size_t i = 0; i < config->unknown_variable_count; i++) {
        log_line(LOG_WARNING, "main",
                 "%s in the environment is no setting and changes nothing; lailad --help lists what there is",
                 config->unknown_variables[i]);
    }
}

static int serve(struct config *config, const struct daemon_options *options, struct complaint *complaint) {
    sigset_t ending;
    take_signals(&ending);
    struct daemon *daemon = daemon_start(config, options, complaint);
    if (!daemon) {
        return refuse(complaint);
    }
    fprintf(stderr, "lailad: listening on http://%s\n", daemon_authority(daemon));
    wait_for_signal(&ending);
    drain(daemon, &ending, settings_number(config->params, "drain_timeout_s") * NS_PER_S);
    daemon_stop(daemon);
    return EXIT_OK;
}

int main(int argc, char **argv) {
    hash_setup();
    if (argc > 1 && strcmp(argv[1], "hdf5") == 0) {
        return hdf5_command(argc - 2, argv + 2);
    }
    struct args args;
    if (!args_parse(argc, argv, &args)) {
        return EXIT_USAGE;
    }
    if (args.help) {
        args_print_help();
        return EXIT_OK;
    }
    if (args.version) {
        printf("lailad %s\n", LAILAD_VERSION);
        return EXIT_OK;
    }
    struct complaint complaint = {{0}};
    AUTO(config_free) struct config *config = config_load(&args, &complaint);
    if (args.healthcheck) {
        bool is_well = config && healthcheck(settings_text(config->params, "data_dir"), &complaint);
        return is_well ? EXIT_OK : refuse(&complaint);
    }
    struct daemon_options options = {.insecure = args.insecure, .version = LAILAD_VERSION};
    if (!config || !daemon_check(config, &options, &complaint)) {
        return refuse(&complaint);
    }
    log_setup(level_of(config), strcmp(settings_text(config->params, "log_format"), "json") == 0);
    warn_of_variables(config);
    if (args.check_config) {
        printf("lailad: the configuration is good\n");
        return EXIT_OK;
    }
    return serve(config, &options, &complaint);
}
