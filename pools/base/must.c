/* must.c - the one place that ends the process on a broken promise. See must.h. */
#include "pools/base/must.h"

#include <stdio.h>
#include <stdlib.h>

void must_fail(const char *expression, const char *file, int line) {
    fprintf(stderr, "lailad: broken invariant: %s (%s:%d)\n", expression, file, line);
    abort();
}
