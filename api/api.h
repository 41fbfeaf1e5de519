/* api.h - what the REST surface stands on: made once by server/main, read-only afterwards. */
#ifndef API_API_H
#define API_API_H

#include "pools/chain/chain.h"
#include "pools/registry.h"

struct api {
    struct registry *registry;
    struct wiring *wiring;
    struct flights *flights;
    const char *version;
    size_t json_most_bytes;         /* 1 MiB (design.md 13.24) */
    uint64_t body_most_bytes;       /* of an entry; 0 = no limit */
    uint64_t step_timeout_ns;       /* for one step of a request on storage; 0 = no limit */
    uint64_t range_fill_most_bytes; /* a part of a larger cold entry fills nothing (design.md 13.15) */
};

#endif
