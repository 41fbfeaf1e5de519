/* torture.h - the worker of torture.py: a process that does random things to an hdf5 pool until somebody kills it.
 *
 * The parent kills it, so what it did must be known outside: every operation is told on standard output, a pipe, twice, in one write each
 * (which a pipe keeps whole): before it is tried and after it was acknowledged.
 *
 *   B<TAB>thread<TAB>name<TAB>put|fill|delete[<TAB>bytes<TAB>sha256<TAB>content type]     about to be tried
 *   E<TAB>thread<TAB>ok|<reason>                                                          acknowledged, or refused with nothing changed
 *   U<TAB>thread<TAB>compact|scrub<TAB>start|pause|resume|cancel<TAB>ok|<reason>          was asked for
 *   P<TAB>compact|convert|scrub<TAB>phase                                                 it is there now; `ended`: it is over (torture_phases.c)
 *   N<TAB>text                                                                            what happens besides (reopening)
 *   W<TAB>text                                                                            something is wrong; the process ends with 3
 *
 * `name` is the percent-encoded id, the link's name in the file. A key belongs to one thread, so at most one operation on it is under way, and
 * what may be there after a kill is the state before or the state after.
 *
 * Read next: torture_actions.c (what is done; a new kind of operation is a row there), torture.py (the parent), model.py (what must hold).
 */
#ifndef TESTS_CRASH_TORTURE_H
#define TESTS_CRASH_TORTURE_H

#include "pools/pool.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_NAME_BYTES 512

enum key_state { KEY_UNKNOWN, KEY_ABSENT, KEY_OWNED, KEY_CACHED };

/* What its thread knows of an entry: a read that tells something else is wrong. */
struct key {
    char id[KEY_NAME_BYTES];
    char name[KEY_NAME_BYTES];
    enum key_state state;
    uint8_t sha256[SHA256_BYTES];
};

/* One thread's part of a phase. */
struct actor {
    struct pool *pool;
    unsigned number;
    uint64_t random; /* the state of its generator */
    struct key *keys;
    unsigned key_count;
    unsigned operations; /* how many to do */
};

/* A random number below `limit` (> 0). */
uint64_t random_below(uint64_t *state, uint64_t limit);

/* A body of random size, text or not, and its digest. */
struct random_body {
    uint8_t *bytes; /* owned */
    size_t count;
    uint8_t sha256[SHA256_BYTES];
};
void random_body_make(uint64_t *state, struct random_body *ret_body);
void random_body_free(struct random_body *body);

void say(const char *format, ...) PRINTF_LIKE(1, 2);
/* Says W and ends the process. */
NO_RETURN void wrong(const char *format, ...) PRINTF_LIKE(1, 2);

/* torture_upkeep.c: rows of the table of actions that concern no key. */
void act_compact(struct actor *actor, struct key *key);
void act_scrub(struct actor *actor, struct key *key);

/* torture_cache.c: whether pools opened from now on have next to no metadata cache. */
void torture_small_cache(bool small);

/* Does one random thing. */
void actor_act(struct actor *actor);

#endif
