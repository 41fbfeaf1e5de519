/* wiring_links.h - the wiring as plain data: a sorted set of links, and the questions asked of it.
 *
 * Used by wiring.c only. A set is prepared by one thread and immutable once published; nothing here locks.
 */
#ifndef POOLS_CHAIN_WIRING_LINKS_H
#define POOLS_CHAIN_WIRING_LINKS_H

#include "pools/chain/wiring.h"

/* Sorted by pool. A pool without a row is of the configuration and never had a link; a row with origin "" keeps a generation. */
struct links {
    struct state_link *rows;
    size_t count;
    size_t room;
    uint64_t generation; /* global: of the last change */
};

void links_fini(struct links *links);
enum err links_copy(struct op *op, const struct links *from, struct links *ret_links) MUST_USE;
/* NULL when the pool has no row; rows with origin "" are found too. */
struct state_link *links_find(const struct links *links, const char *pool);
/* Sets a row, made if need be, to the set's generation. fail_on_error: NULL keeps the row's flag. */
enum err links_put(struct links *links, struct op *op, const char *pool, const char *origin,
                   const bool *fail_on_error) MUST_USE;
void links_drop(struct links *links, const char *pool);
/* Refuses a cycle (ERR_CONFLICT, naming the path) and a chain of more than TIERS_MOST pools. */
enum err links_check(const struct links *links, struct op *op) MUST_USE;
/* The rows that have an origin. */
enum err links_to_expr(const struct links *links, struct op *op, struct expr_links *ret_links) MUST_USE;

#endif
