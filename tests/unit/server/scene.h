/* scene.h - what the tests of exchanges begin with: one house, and a request whose whole answer is known. */
#ifndef TESTS_UNIT_SERVER_SCENE_H
#define TESTS_UNIT_SERVER_SCENE_H

#include "tests/unit/server/fake_api.h"
#include "tests/unit/server/house.h"

#define HOST "Host: x\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

extern struct house house; /* the only one of a test program */

/* A checked fixture: the house with its usual options. */
void start(void);
void stop(void);

/* One request on a connection of its own, answered whole and so; body NULL = any. */
void expect(const char *request, unsigned status, const char *body);

#endif
