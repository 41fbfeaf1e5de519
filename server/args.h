/* args.h - the command line. */
#ifndef SERVER_ARGS_H
#define SERVER_ARGS_H

#include <stdbool.h>

struct args {
    const char *config;   /* NULL = the embedded default */
    const char *secrets;  /* NULL = secrets.toml beside the config */
    const char *listen;   /* NULL = environment, file, default */
    const char *data_dir; /* NULL = environment, file, default */
    bool insecure;
    bool check_config;
    bool healthcheck;
    bool version;
    bool help;
};

/* False after a message on standard error: exit code 2. Pointers are argv's. */
bool args_parse(int argc, char **argv, struct args *ret_args);
/* To standard output. */
void args_print_help(void);

#endif
