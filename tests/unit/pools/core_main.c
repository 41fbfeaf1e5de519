/* core_main.c - unit tests of pools_core. */
#include "tests/unit/pools/core_suites.h"

#include "pools/base/hash.h"

int main(void) {
    hash_setup();
    SRunner *runner = srunner_create(condition_suite());
    srunner_add_suite(runner, entry_suite());
    srunner_add_suite(runner, fence_suite());
    srunner_add_suite(runner, id_suite());
    srunner_add_suite(runner, pool_suite());
    srunner_add_suite(runner, settings_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
