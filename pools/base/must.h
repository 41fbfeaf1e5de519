/* must.h - invariants that are checked always, in every build.
 *
 * MUST is for our own promises. Input, network, disk and memory exhaustion are errors, never MUST.
 * Every object that travels through a void pointer carries a magic word: set at birth, wiped at
 * death, checked at the cast.
 */
#ifndef POOLS_BASE_MUST_H
#define POOLS_BASE_MUST_H

#include "pools/base/attrs.h"

/* Prints where and what to standard error and aborts. Async-signal unsafe; never returns. */
void must_fail(const char *expression, const char *file, int line) NO_RETURN;

#define MUST(expression)                                                                                     \
    do {                                                                                                     \
        if (!(expression)) {                                                                                 \
            must_fail(#expression, __FILE__, __LINE__);                                                      \
        }                                                                                                    \
    } while (0)

#endif
