/* fake_kind.h - a pool kind over fake_pool, for tests of the registry and the wiring: it opens, or fails, as its options say. */
#ifndef TESTS_FAKES_FAKE_KIND_H
#define TESTS_FAKES_FAKE_KIND_H

#include "pools/pool.h"

/* Options: "fail" (flag: opening fails with REASON_IO), "size" (bytes), "secret" (secret text). */
extern const struct pool_kind fake_kind;
/* Settings of fake_kind, finished. */
struct settings *fake_settings(bool fail, const char *secret);

#endif
