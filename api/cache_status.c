/* cache_status.c - see cache_status.h.
 *
 * Nicknames are always quoted: a nickname that begins with a digit would be no token. Their alphabet needs
 * no escapes.
 */
#include "api/cache_status.h"

#include <stdio.h>
#include <string.h>

#define FIELD "Cache-Status"
#define MEMBER_BYTES 160
/* Clients and proxies bound a field; a very long chain names the tiers nearest to the asked pool. */
#define FIELD_MOST_BYTES 8000

void cache_status_hit(struct response *response, const char *nickname) {
    response_header(response, FIELD, "\"%s\";hit", nickname);
}

void cache_status_local(struct response *response, const char *nickname, bool is_hit) {
    response_header(response, FIELD, "\"%s\"%s;detail=local", nickname, is_hit ? ";hit" : "");
}

/* The member's length; 0 = no member. */
static size_t format_member(const struct tier_report *report, char ret_text[MEMBER_BYTES]) {
    char what[48];
    switch (report->result) {
    case TIER_HIT:
        snprintf(what, sizeof what, "hit");
        break;
    case TIER_MISS:
        snprintf(what, sizeof what, "fwd=uri-miss");
        break;
    case TIER_PASSED:
        snprintf(what, sizeof what, "fwd=request");
        break;
    case TIER_PARTIAL:
        snprintf(what, sizeof what, "fwd=partial");
        break;
    case TIER_FAILED:
        snprintf(what, sizeof what, "fwd=miss;detail=%s", err_word(report->kind));
        break;
    case TIER_UNASKED:
        return 0;
    }
    int length = snprintf(ret_text, MEMBER_BYTES, "\"%s\";%s%s%s", report->nickname, what,
                          report->stored ? ";stored" : "", report->collapsed ? ";collapsed" : "");
    return (size_t)length;
}

void cache_status_reports(struct response *response, const struct tier_report *reports, unsigned count) {
    char member[MEMBER_BYTES];
    size_t bytes = 0;
    unsigned shown = 0;
    while (shown < count) {
        size_t member_bytes = format_member(&reports[shown], member);
        if (bytes + member_bytes + 2 > FIELD_MOST_BYTES) {
            break;
        }
        bytes += member_bytes + 2;
        shown++;
    }
    char field[FIELD_MOST_BYTES + 1];
    size_t used = 0;
    while (shown > 0) {
        shown--;
        size_t member_bytes = format_member(&reports[shown], member);
        if (!member_bytes) {
            continue;
        }
        if (used) {
            memcpy(field + used, ", ", 2);
            used += 2;
        }
        memcpy(field + used, member, member_bytes);
        used += member_bytes;
    }
    field[used] = '\0';
    if (used) {
        response_header_text(response, FIELD, field);
    }
}
