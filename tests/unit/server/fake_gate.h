/* fake_gate.h - where requests of the fake REST surface wait, and how many have come and gone; the handlers' side.
 *
 * The tests' side (fake_open_gate, fake_nudge, fake_await_...) is in fake_api.h. Any thread may call any of them.
 */
#ifndef TESTS_UNIT_SERVER_FAKE_GATE_H
#define TESTS_UNIT_SERVER_FAKE_GATE_H

#include "api/handler.h"

/* A closed gate and no requests. */
void gate_init(void);
void gate_fini(void);

/* OK when the gate is open; else ERR_AGAIN, and the request is woken when it opens, or nudged. */
enum err gate_pass(struct request *request, bool *has_come);
/* Waits for a nudge whether or not the gate is open. has_come: once per request, false at first. */
void gate_subscribe(struct request *request, bool *has_come);
/* Ends the subscription, if there is one: no wake comes after it. */
void gate_leave(struct request *request);

void gate_count_begun(void);
void gate_count_finished(void);

#endif
