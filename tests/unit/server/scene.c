/* scene.c - see scene.h. Tests may have globals. */
#include "tests/unit/server/scene.h"

#include <check.h>

struct house house;

void start(void) {
    house_start(&house, NULL);
}

void stop(void) {
    house_stop(&house);
}

void expect(const char *request, unsigned status, const char *body) {
    struct answer answer = client_ask(&house, request);
    ck_assert_uint_eq(answer.status, status);
    ck_assert(answer.complete);
    if (body) {
        ck_assert_str_eq(answer.body, body);
    }
    answer_free(&answer);
}
