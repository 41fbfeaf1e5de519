/* args.c - see args.h. One table gives the parser and --help. */
#include "server/args.h"

#include "pools/kinds.h"
#include "pools/pool_options.h"
#include "server/hdf5_command.h"
#include "server/params.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* A new flag is a member of struct args and a row here. */
struct flag {
    const char *name;  /* with its dashes */
    const char *value; /* what --help calls its value; NULL = it takes none */
    size_t place;      /* in struct args: of a const char * when it takes a value, else of a bool */
    const char *sentence;
};

static const struct flag flags[] = {
    {.name = "--config",
     .value = "FILE",
     .place = offsetof(struct args, config),
     .sentence = "the configuration (TOML); without it: alpha << hdf5 under ./data"},
    {.name = "--secrets",
     .value = "FILE",
     .place = offsetof(struct args, secrets),
     .sentence = "names for ${NAME} (TOML); default: secrets.toml beside the configuration"},
    {.name = "--listen",
     .value = "ADDR:PORT",
     .place = offsetof(struct args, listen),
     .sentence = "address to listen on; port 0 picks a free one"},
    {.name = "--data-dir",
     .value = "DIR",
     .place = offsetof(struct args, data_dir),
     .sentence = "folder for state, spool and pool files"},
    {.name = "--insecure",
     .place = offsetof(struct args, insecure),
     .sentence = "listen beyond loopback without a token"},
    {.name = "--check-config",
     .place = offsetof(struct args, check_config),
     .sentence = "check the configuration and end"},
    {.name = "--healthcheck",
     .place = offsetof(struct args, healthcheck),
     .sentence = "ask the daemon of this data directory whether it is alive, and end: 0 yes, 1 no"},
    {.name = "--version", .place = offsetof(struct args, version), .sentence = "print the version and end"},
    {.name = "--help", .place = offsetof(struct args, help), .sentence = "print this and end"},
};

static const struct flag *find_flag(const char *name, size_t bytes) {
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        if (strlen(flags[i].name) == bytes && memcmp(flags[i].name, name, bytes) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

/* value NULL = it takes none. */
static void take(struct args *args, const struct flag *flag, const char *value) {
    char *place = (char *)args + flag->place;
    const bool yes = true;
    if (value) {
        memcpy(place, &value, sizeof value);
    } else {
        memcpy(place, &yes, sizeof yes);
    }
}

static bool complain_usage(const char *what, const char *argument) {
    fprintf(stderr, "lailad: %s: %s (lailad --help lists the flags)\n", what, argument);
    return false;
}

bool args_parse(int argc, char **argv, struct args *ret_args) {
    *ret_args = (struct args){0};
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        const struct flag *flag = find_flag(argv[i], equals ? (size_t)(equals - argv[i]) : strlen(argv[i]));
        if (!flag) {
            return complain_usage("unknown argument", argv[i]);
        }
        if (!flag->value && equals) {
            return complain_usage("takes no value", flag->name);
        }
        const char *value = NULL;
        if (flag->value) {
            value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : "";
            if (!*value) {
                return complain_usage("needs a value", flag->name);
            }
        }
        take(ret_args, flag, value);
    }
    return true;
}

static void print_options(const struct option *options, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *preset = options[i].default_text;
        printf("  %-18s %-16s %s\n", options[i].name, preset ? preset : "", options[i].sentence);
    }
}

void args_print_help(void) {
    printf(
        "lailad: named storage pools over HTTP, chained into a tiered read-through cache\n\nusage: lailad");
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        printf(" [%s%s%s]", flags[i].name, flags[i].value ? " " : "", flags[i].value ? flags[i].value : "");
    }
    printf("\n\n");
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", flags[i].name, flags[i].value ? flags[i].value : "");
        printf("  %-22s %s\n", left, flags[i].sentence);
    }
    printf("\nFor the file of an hdf5 pool that no daemon has open:\n\n");
    hdf5_command_print_help();
    printf("\nSettings of the configuration file, with their defaults (flags beat the environment, which "
           "beats the file):\n\n");
    print_options(params_options, params_count);
    printf("\nBeside them: chain = \"alpha << hdf5 << s3\" (or a list) is the first wiring; rest_secrets = "
           "[\"NAME\"] are the\n"
           "names that ${NAME} may use over REST; allowed_hosts = [\"name\"] are the hosts this service "
           "answers to;\n"
           "cors_origins = [\"https://app.example\"] (or \"*\") are the web pages that may read answers.\n"
           "\nEach of all these may also be set in the environment: LAILAD_LISTEN, LAILAD_DATA_DIR, "
           "LAILAD_TOKEN, ...;\n"
           "an empty variable counts as unset. A list is one text: LAILAD_ALLOWED_HOSTS, LAILAD_CORS_ORIGINS "
           "and\n"
           "LAILAD_REST_SECRETS with commas, LAILAD_CHAIN with a semicolon between two expressions.\n"
           "\n[pools.NICK] are the pools, with kind = and these options, and the kind's:\n\n");
    print_options(pool_options, pool_option_count);
    for (size_t i = 0; kinds_at(i); i++) {
        printf("\nkind = \"%s\"\n", kinds_at(i)->name);
        print_options(kinds_at(i)->options, kinds_at(i)->option_count);
    }
    printf("\nExit status: 0, 1 configuration, start-up or a command failed, 2 wrong usage.\n");
}
