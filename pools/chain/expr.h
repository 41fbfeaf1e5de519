/* expr.h - chain expressions: "alpha << hdf5 << s3" and "s3 >> hdf5 >> alpha" as text.
 *
 * Pure functions. One expression a line, blank lines skipped, spaces free. Mixed operators on a line, one pool with two
 * origins, a bad nickname: ERR_INVALID (REASON_INVALID_CHAIN) naming line and column.
 * A line of one nickname wires nothing and is legal in a whole (it says "no proxy"). Cycles parse, that of one pool included:
 * whether links close one shows only beside the links that are there already (wiring_links.h), and has its own reason.
 */
#ifndef POOLS_CHAIN_EXPR_H
#define POOLS_CHAIN_EXPR_H

#include "pools/base/buf.h"
#include "pools/base/op.h"
#include "pools/id.h"

struct expr_link {
    char pool[NICKNAME_BYTES];   /* the cache */
    char origin[NICKNAME_BYTES]; /* what it asks on a miss */
};

struct expr_links {
    struct expr_link *links;
    size_t count;
    struct expr_link
        *lone; /* the pools of lines of one nickname: they link nothing, but have to be there as well */
    size_t lone_count;
};

#define EXPR_MOST_BYTES 65536
#define EXPR_MOST_LINKS 4096 /* and as many lines of one nickname */

/* Adds the text's links to ret_links (start with a zeroed struct); a link repeated exactly is one link. On failure ret_links is empty. */
enum err expr_parse(struct op *op, const char *text, size_t bytes, struct expr_links *ret_links) MUST_USE;
void expr_links_fini(struct expr_links *links);
/* The links (an acyclic set, one origin per pool) as maximal expressions with "<<", one a line, sorted. */
enum err expr_format(struct op *op, const struct expr_links *links, struct buf *buf) MUST_USE;

#endif
