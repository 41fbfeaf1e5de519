/* scene.h - what the tests over a service begin with: one service, requests without a body, and what an answer says. */
#ifndef TESTS_UNIT_API_SCENE_H
#define TESTS_UNIT_API_SCENE_H

#include "tests/unit/api/service.h"

extern struct service *service; /* the only one of a test program */

/* A checked fixture: opens and closes the service. */
void setup(void);
void teardown(void);

const struct answer *call(const char *method, const char *target);
/* With one header field. */
const struct answer *call_with(const char *method, const char *target, const char *name, const char *value);

/* The answer is this problem, told as every problem is. */
void expect_problem(const struct answer *answer, unsigned status, const char *slug);
/* The body has this piece. */
void expect_in(const struct answer *answer, const char *piece);
/* The pool of the target's path does not hold its entry. */
void expect_absent(const char *target);

#endif
