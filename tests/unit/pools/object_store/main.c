/* main.c - unit tests of pools/object_store. */
#include "object_store_suites.h"

#include "pools/base/hash.h"

#include <stdlib.h>

int main(void) {
    hash_setup();
    Suite *suite = suite_create("object_store");
    suite_add_tcase(suite, encoding_case());
    suite_add_tcase(suite, http_exchange_case());
    suite_add_tcase(suite, http_header_case());
    suite_add_tcase(suite, list_xml_case());
    suite_add_tcase(suite, retry_case());
    suite_add_tcase(suite, sigv4_case());
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
