/* base_suites.h - the suites of the floor, one per file beside it; main.c runs them all. */
#ifndef TESTS_UNIT_POOLS_BASE_SUITES_H
#define TESTS_UNIT_POOLS_BASE_SUITES_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

Suite *buf_suite(void);
Suite *clock_suite(void);
Suite *digest_suite(void);
Suite *eight_suite(void);
Suite *executor_suite(void);
Suite *hex_suite(void);
Suite *map_suite(void);
Suite *mutex_suite(void);
Suite *op_suite(void);
Suite *percent_suite(void);
Suite *spool_suite(void);
Suite *token_suite(void);

/* Tests that expect an abort need a process of their own. */
static inline bool tests_fork(void) {
    const char *fork = getenv("CK_FORK");
    return !fork || strcmp(fork, "no") != 0;
}

#endif
