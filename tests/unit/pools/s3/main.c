/* main.c - unit tests of pools/s3, against a store that follows a script. */
#include "s3_suites.h"

#include "pools/base/hash.h"

#include <stdlib.h>

int main(void) {
    hash_setup();
    Suite *suite = suite_create("s3");
    suite_add_tcase(suite, s3_key_case());
    suite_add_tcase(suite, s3_errors_case());
    suite_add_tcase(suite, s3_options_case());
    suite_add_tcase(suite, s3_calls_case());
    suite_add_tcase(suite, s3_writes_case());
    suite_add_tcase(suite, s3_multipart_case());
    suite_add_tcase(suite, s3_list_case());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
