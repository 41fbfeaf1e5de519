/* fake_api.h - a REST surface that forces every turn an exchange can take. Linked instead of api/.
 *
 * Paths
 *   /text       peek answers
 *   /entry      peek answers a reusable entry of 1 KiB
 *   /lane       run answers
 *   /gate       run waits until the gate is opened, then answers
 *   /echo       run collects the body and answers it
 *   /count      run counts the body and answers the number
 *   /early      peek answers 413 whatever the body
 *   /midway     run answers 507 after the first bytes of the body
 *   /trailer    run reads the body and answers the Repr-Digest trailer
 *   /source/N   run answers N pulled bytes of known length; /stream/N of unknown length
 *   /near/N     the same of known length, two reads of three without a lane
 *   /lent/N     the same of known length, lent as memory, which is freed when the source is closed
 *   /dripping/N like source, but every second read says "again" and wakes itself
 *   /stuck/N    like source, but waits at the gate in the middle
 *   /broken/N   like source, but fails in the middle; /brokenstream/N of unknown length
 *   /nudged/N   like source, but every second read says "again" and waits for a nudge; its close comes with a last wake
 *   /304        not modified, 1234 bytes long; /304-endless of unknown length
 *   /here       the poll thread's run waits until the gate is opened, then answers
 *   /here-lane  the poll thread's run leaves it to the lane, which answers; /here-gate-lane after it has waited at the gate
 *   anything else is 404
 */
#ifndef FAKE_API_H
#define FAKE_API_H

#include "api/api.h"
#include "api/handler.h"

#include <stddef.h>

void fake_setup(void);
/* The part of api_peek for /here... (fake_here.c). */
void fake_begin_here(struct request *request);
void fake_teardown(void);
/* Wakes all who wait at the gate and lets everybody through from now on. */
void fake_open_gate(void);
/* Wakes all who wait at the gate or for a nudge, and lets nobody through. Any thread. */
void fake_nudge(void);
/* Waits until that many requests have come to the gate, whether or not they still stand there. */
void fake_await_at_gate(unsigned count);
/* Waits until every routed request was finished, `least` of them at least; returns how many there were. */
unsigned fake_await_all_finished(unsigned least);
/* How often an answer's headers were written for /entry. */
unsigned fake_entry_answers(void);
/* The byte at an offset of every generated body. */
unsigned char fake_byte(uint64_t offset);

#endif
