/* cache_status.h - Cache-Status (RFC 9211): what each tier did, the origin first, the asked pool last
 * (design.md 13.16). */
#ifndef API_CACHE_STATUS_H
#define API_CACHE_STATUS_H

#include "api/handler.h"
#include "pools/chain/chain.h"

/* A hit in the asked pool itself. */
void cache_status_hit(struct response *response, const char *nickname);
/* HEAD: local only. */
void cache_status_local(struct response *response, const char *nickname, bool is_hit);
/* One report per tier, tier 0 (the asked pool) first; tiers that were not asked are left out. */
void cache_status_reports(struct response *response, const struct tier_report *reports, unsigned count);

#endif
