/* core_suites.h - the suites of pools_core: what a backend sees above pools/base. core_main.c runs them all. */
#ifndef TESTS_UNIT_POOLS_CORE_SUITES_H
#define TESTS_UNIT_POOLS_CORE_SUITES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *condition_suite(void);
Suite *entry_suite(void);
Suite *fence_suite(void);
Suite *id_suite(void);
Suite *pool_suite(void);
Suite *settings_suite(void);

#endif
