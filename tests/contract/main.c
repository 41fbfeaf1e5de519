/* main.c - the contract suite: what pool.h promises, asked of one kind: contract_suite memory | hdf5 | s3.
 *
 * Everything goes through the front door, cases are chosen by what the kind declares. Exit status 77: this kind cannot be
 * tested here, and why is on standard output.
 */
#include "tests/contract/support.h"

#include "pools/base/hash.h"

#include <stdio.h>

#define EXIT_SKIPPED 77

int main(int argc, char **argv) {
    hash_setup();
    if (argc != 2) {
        fprintf(stderr, "usage: contract_suite KIND\n");
        return 2;
    }
    if (!subject_choose(argv[1])) {
        return EXIT_SKIPPED;
    }
    Suite *suite = suite_create(argv[1]);
    TCase *cases[] = {cases_bodies(), cases_reads(),  cases_writes(),  cases_ids(),   cases_list(),
                      cases_fills(),  cases_limits(), cases_threads(), cases_upkeep()};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        tcase_add_checked_fixture(cases[i], fixture_setup, fixture_teardown);
        tcase_set_timeout(cases[i], 120);
        suite_add_tcase(suite, cases[i]);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
