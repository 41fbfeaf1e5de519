/* scene.c - see scene.h. Tests may have globals. */
#include "tests/unit/api/scene.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

struct service *service;

void setup(void) {
    service = service_open();
}

void teardown(void) {
    service_close(service);
}

const struct answer *call(const char *method, const char *target) {
    return service_call(service, &(struct call){.method = method, .target = target});
}

const struct answer *call_with(const char *method, const char *target, const char *name, const char *value) {
    return service_call(service,
                        &(struct call){.method = method, .target = target, .fields = {{name, value}}});
}

void expect_problem(const struct answer *answer, unsigned status, const char *slug) {
    char type[96];
    snprintf(type, sizeof type, "\"urn:lailad:problem:%s\"", slug);
    ck_assert_msg(answer->status == status && strstr(answer->body, type), "expected %u %s, got %u: %s",
                  status, slug, answer->status, answer->body);
    ck_assert_str_eq(answer_field(answer, "Content-Type"), "application/problem+json");
    ck_assert_str_eq(answer_field(answer, "Cache-Control"), "no-store");
}

void expect_in(const struct answer *answer, const char *piece) {
    ck_assert_msg(strstr(answer->body, piece) != NULL, "%s is not in %s", piece, answer->body);
}

void expect_absent(const char *target) {
    ck_assert_uint_eq(call("HEAD", target)->status, 404);
}
