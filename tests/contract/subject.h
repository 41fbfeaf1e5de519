/* subject.h - the kind of pool under test and how to open one of it. Chosen once, by main. */
#ifndef TESTS_CONTRACT_SUBJECT_H
#define TESTS_CONTRACT_SUBJECT_H

#include "pools/pool.h"

#include <stdbool.h>

struct setting {
    const char *name;
    const char *text;
};

/* False and a sentence on standard output: this kind cannot be tested here (a server's address is missing). Exits with a
 * message when there is no such kind. */
bool subject_choose(const char *kind);

/* Where a pool keeps its things: a fresh directory, or a fresh prefix in the test bucket. */
struct place {
    char directory[64];
    char prefix[64];
};
void place_make(struct place *ret_place);
void place_remove(struct place *place); /* what a pool left there is gone afterwards */

/* Opens a pool of the kind there, with these options on top of what the place needs. Fails the test if it cannot. */
struct pool *subject_open(const struct place *place, const struct setting *settings, size_t count);

bool subject_has_option(const char *name);
/* Whether entries outlive the pool object: everything but memory. */
bool subject_survives_close(void);
/* For loops: `local` rounds, or `remote` where every round crosses a network. */
unsigned subject_rounds(unsigned local, unsigned remote);

#endif
