/* main.c - unit tests of pools/memory. */
#include "tests/unit/pools/memory/memory_suites.h"

#include "pools/base/hash.h"

int main(void) {
    hash_setup();
    SRunner *runner = srunner_create(s3fifo_suite());
    srunner_add_suite(runner, store_suite());
    srunner_add_suite(runner, limits_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
