/* main.c - unit tests of pools/base. */
#include "tests/unit/pools/base/base_suites.h"

#include "pools/base/hash.h"

int main(void) {
    hash_setup();
    SRunner *runner = srunner_create(buf_suite());
    srunner_add_suite(runner, clock_suite());
    srunner_add_suite(runner, digest_suite());
    srunner_add_suite(runner, eight_suite());
    srunner_add_suite(runner, executor_suite());
    srunner_add_suite(runner, hex_suite());
    srunner_add_suite(runner, map_suite());
    srunner_add_suite(runner, mutex_suite());
    srunner_add_suite(runner, op_suite());
    srunner_add_suite(runner, percent_suite());
    srunner_add_suite(runner, spool_suite());
    srunner_add_suite(runner, token_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
