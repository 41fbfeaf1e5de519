/* args.c - see args.h. One table gives the parser and --help. */
#include "server/args.h"

#include "pools/kinds.h"
#include "server/params.h"

#include <stdio.h>
#include <string.h>

struct flag {
    const char *name;  /* with its dashes */
    const char *value; /* what --help calls its value; NULL = it takes none */
    const char *sentence;
};

static const struct flag flags[] = {
    {"--config", "FILE", "the configuration (TOML); without it: alpha << hdf5 under ./data"},
    {"--secrets", "FILE", "names for ${NAME} (TOML); default: secrets.toml beside the configuration"},
    {"--listen", "ADDR:PORT", "address to listen on; port 0 picks a free one"},
    {"--data-dir", "DIR", "folder for state, spool and pool files"},
    {"--insecure", NULL, "listen beyond loopback without a token"},
    {"--check-config", NULL, "check the configuration and end"},
    {"--version", NULL, "print the version and end"},
    {"--help", NULL, "print this and end"},
};

static bool complain_usage(const char *what, const char *argument) {
    fprintf(stderr, "lailad: %s: %s (lailad --help lists the flags)\n", what, argument);
    return false;
}

static void take_value(struct args *args, const char *name, const char *value) {
    const char **places[] = {&args->config, &args->secrets, &args->listen, &args->data_dir};
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        if (strcmp(name, flags[i].name) == 0) {
            *places[i] = value;
        }
    }
}

static void take_switch(struct args *args, const char *name) {
    bool *places[] = {&args->insecure, &args->check_config, &args->version, &args->help};
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        if (strcmp(name, flags[4 + i].name) == 0) {
            *places[i] = true;
        }
    }
}

bool args_parse(int argc, char **argv, struct args *ret_args) {
    *ret_args = (struct args){0};
    for (int i = 1; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        size_t bytes = equals ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        const struct flag *flag = NULL;
        for (size_t f = 0; f < ARRAY_COUNT(flags) && !flag; f++) {
            bool same = strlen(flags[f].name) == bytes && memcmp(flags[f].name, argv[i], bytes) == 0;
            flag = same ? &flags[f] : NULL;
        }
        if (!flag) {
            return complain_usage("unknown argument", argv[i]);
        }
        if (!flag->value) {
            if (equals) {
                return complain_usage("takes no value", flag->name);
            }
            take_switch(ret_args, flag->name);
            continue;
        }
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : "";
        if (!*value) {
            return complain_usage("needs a value", flag->name);
        }
        take_value(ret_args, flag->name, value);
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
    printf("\nSettings of the configuration file, with their defaults (flags beat the environment, which "
           "beats the file):\n\n");
    print_options(params_options, params_count);
    printf("\nEach may also be set in the environment: LAILAD_LISTEN, LAILAD_DATA_DIR, LAILAD_TOKEN, ...\n"
           "Beside them: chain = \"alpha << hdf5 << s3\" (or a list) is the first wiring; rest_secrets = "
           "[\"NAME\"] are the\n"
           "names that ${NAME} may use over REST; allowed_hosts = [\"name\"] are the hosts this service "
           "answers to;\n"
           "[pools.NICK] are the pools, with kind = and the kind's options:\n");
    for (size_t i = 0; kinds_at(i); i++) {
        printf("\nkind = \"%s\"\n", kinds_at(i)->name);
        print_options(kinds_at(i)->options, kinds_at(i)->option_count);
    }
    printf("\nExit status: 0, 1 configuration or start-up failed, 2 wrong usage.\n");
}
