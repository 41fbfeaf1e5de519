/* expr.c - chain expressions to links and back. See expr.h.
 *
 * Parsing is one pass over the text, line by line: nickname (operator nickname)*. Links are collected in text order
 * and sorted by pool afterwards, which makes repeats and second origins neighbours. Formatting starts from the same sorted
 * order, so its output is sorted too.
 */
#include "pools/chain/expr.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *text;
    size_t bytes;
    size_t at;
    size_t line;       /* from 1 */
    size_t line_start; /* offset of the line's first byte */
};

static enum err fail_here(struct op *op, const struct cursor *cursor, size_t at, const char *expected) {
    return op_fail(op, REASON_INVALID_CHAIN, "line %zu, column %zu: %s", cursor->line,
                   at - cursor->line_start + 1, expected);
}

static void skip_spaces(struct cursor *cursor) {
    while (cursor->at < cursor->bytes) {
        char c = cursor->text[cursor->at];
        if (c != ' ' && c != '\t' && c != '\r') {
            break;
        }
        cursor->at++;
    }
}

static bool at_line_end(const struct cursor *cursor) {
    return cursor->at == cursor->bytes || cursor->text[cursor->at] == '\n';
}

static enum err take_nickname(struct op *op, struct cursor *cursor, char ret_nickname[NICKNAME_BYTES]) {
    size_t start = cursor->at;
    while (cursor->at < cursor->bytes && !strchr(" \t\r\n<>", cursor->text[cursor->at])) {
        cursor->at++; /* a NUL byte stops it too: strchr finds the terminator */
    }
    size_t bytes = cursor->at - start;
    if (bytes == 0) {
        return fail_here(op, cursor, start, "expected a pool's nickname");
    }
    if (bytes < NICKNAME_BYTES) {
        memcpy(ret_nickname, cursor->text + start, bytes);
        ret_nickname[bytes] = '\0';
    }
    if (bytes >= NICKNAME_BYTES || !nickname_valid(ret_nickname)) {
        return fail_here(
            op, cursor, start,
            "a nickname has 1 to 64 letters, digits, '_', '.' or '-' and begins with a letter or digit");
    }
    return OK;
}

/* '<' for "<<", '>' for ">>". */
static enum err take_operator(struct op *op, struct cursor *cursor, char *ret_operator) {
    size_t at = cursor->at;
    char c = cursor->text[at];
    if ((c != '<' && c != '>') || at + 1 >= cursor->bytes || cursor->text[at + 1] != c) {
        return fail_here(op, cursor, at, "expected '<<', '>>' or the end of the line");
    }
    cursor->at += 2;
    *ret_operator = c;
    return OK;
}

static enum err add_link(struct op *op, struct expr_link **links, size_t *count, const char *pool,
                         const char *origin) {
    if (*count == EXPR_MOST_LINKS) {
        return op_fail(op, REASON_INVALID_CHAIN, "more than %d links", EXPR_MOST_LINKS);
    }
    if ((*count & (*count - 1)) == 0) { /* room doubles at every power of two */
        size_t room = *count ? *count * 2 : 1;
        struct expr_link *larger = realloc(*links, room * sizeof *larger);
        if (!larger) {
            return op_no_memory(op);
        }
        *links = larger;
    }
    struct expr_link *link = &(*links)[(*count)++];
    memset(link, 0, sizeof *link);
    memcpy(link->pool, pool, strlen(pool));
    memcpy(link->origin, origin, strlen(origin));
    return OK;
}

static enum err parse_line(struct op *op, struct cursor *cursor, struct expr_links *links) {
    char left[NICKNAME_BYTES];
    char right[NICKNAME_BYTES];
    char first_sign = '\0';
    skip_spaces(cursor);
    if (at_line_end(cursor)) {
        return OK;
    }
    enum err err = take_nickname(op, cursor, left);
    for (skip_spaces(cursor); !err && !at_line_end(cursor); skip_spaces(cursor)) {
        size_t sign_at = cursor->at;
        char sign = '\0';
        err = take_operator(op, cursor, &sign);
        if (err) {
            return err;
        }
        if (first_sign && sign != first_sign) {
            return fail_here(op, cursor, sign_at, "'<<' and '>>' cannot be mixed on one line");
        }
        first_sign = sign;
        skip_spaces(cursor);
        err = take_nickname(op, cursor, right);
        if (err) {
            return err;
        }
        err = sign == '<' ? add_link(op, &links->links, &links->count, left, right)
                          : add_link(op, &links->links, &links->count, right, left);
        memcpy(left, right, sizeof left);
    }
    if (!err && !first_sign) {
        err = add_link(op, &links->lone, &links->lone_count, left, "");
    }
    return err;
}

static int compare_links(const void *a, const void *b) {
    const struct expr_link *left = a;
    const struct expr_link *right = b;
    int by_pool = strcmp(left->pool, right->pool);
    return by_pool ? by_pool : strcmp(left->origin, right->origin);
}

static int compare_pool(const void *key, const void *member) {
    return strcmp(key, ((const struct expr_link *)member)->pool);
}

static const struct expr_link *find_link(const struct expr_links *links, const char *pool) {
    return links->count ? bsearch(pool, links->links, links->count, sizeof *links->links, compare_pool)
                        : NULL;
}

/* Sorts, drops exact repeats, refuses a second origin. */
static enum err settle(struct op *op, struct expr_links *links) {
    size_t kept = 0;
    if (links->count) {
        qsort(links->links, links->count, sizeof *links->links, compare_links);
    }
    for (size_t i = 0; i < links->count; i++) {
        struct expr_link *link = &links->links[i];
        struct expr_link *before = kept ? &links->links[kept - 1] : NULL;
        if (before && strcmp(before->pool, link->pool) == 0) {
            if (strcmp(before->origin, link->origin) == 0) {
                continue;
            }
            return op_fail(op, REASON_INVALID_CHAIN, "'%s' has two origins: '%s' and '%s'", link->pool,
                           before->origin, link->origin);
        }
        links->links[kept++] = *link;
    }
    links->count = kept;
    return OK;
}

enum err expr_parse(struct op *op, const char *text, size_t bytes, struct expr_links *ret_links) {
    enum err err = OK;
    if (bytes > EXPR_MOST_BYTES) {
        err = op_fail(op, REASON_INVALID_CHAIN, "longer than %d bytes", EXPR_MOST_BYTES);
    }
    struct cursor cursor = {.text = text, .bytes = bytes, .line = 1};
    while (!err && cursor.at < bytes) {
        err = parse_line(op, &cursor, ret_links);
        if (!err && cursor.at < bytes) { /* on the line feed */
            cursor.at++;
            cursor.line++;
            cursor.line_start = cursor.at;
        }
    }
    if (!err) {
        err = settle(op, ret_links);
    }
    if (err) {
        expr_links_fini(ret_links);
    }
    return err;
}

void expr_links_fini(struct expr_links *links) {
    free(links->links);
    free(links->lone);
    *links = (struct expr_links){0};
}

static int compare_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The expression that begins at `link`. With `once`, it stops at the first pool whose own link is on a line already. */
static enum err format_one(struct op *op, const struct expr_links *links, const struct expr_link *link,
                           bool once, bool *written, struct buf *buf) {
    enum err err = buf_append_text(buf, link->pool);
    size_t steps = 0;
    while (!err && link) {
        if (steps++ == links->count) {
            return op_fail(op, REASON_PROXY_CYCLE, "the links form a cycle");
        }
        size_t index = (size_t)(link - links->links);
        bool seen = written[index];
        if (once && seen) {
            break;
        }
        written[index] = true;
        err = buf_printf(buf, " << %s", link->origin);
        link = find_link(links, link->origin);
    }
    return err ? err : buf_append_text(buf, "\n");
}

static enum err format_all(struct op *op, const struct expr_links *links, bool once, const char **origins,
                           bool *written, struct buf *buf) {
    memset(written, 0, links->count * sizeof *written);
    for (size_t i = 0; i < links->count; i++) {
        const char *pool = links->links[i].pool;
        if (bsearch(&pool, origins, links->count, sizeof *origins, compare_text)) {
            continue; /* somebody's origin: on that one's line */
        }
        enum err err = format_one(op, links, &links->links[i], once, written, buf);
        if (err == ERR_NO_MEMORY) {
            return op_no_memory(op);
        }
        if (err) {
            return err == ERR_CONFLICT ? err
                                       : op_fail(op, REASON_INVALID_CHAIN, "the wiring is too long as text");
        }
    }
    for (size_t i = 0; i < links->count; i++) {
        if (!written[i]) { /* a cycle has no head */
            return op_fail(op, REASON_PROXY_CYCLE, "the links form a cycle");
        }
    }
    return OK;
}

enum err expr_format(struct op *op, const struct expr_links *links, struct buf *buf) {
    if (!links->count) {
        return OK;
    }
    enum err err = OK;
    const char **origins = malloc(links->count * sizeof *origins);
    bool *written = malloc(links->count * sizeof *written);
    struct expr_links sorted = {.links = malloc(links->count * sizeof *links->links), .count = links->count};
    struct buf own;
    buf_init(&own, EXPR_MOST_BYTES);
    if (!origins || !written || !sorted.links) {
        err = op_no_memory(op);
        goto done;
    }
    memcpy(sorted.links, links->links, links->count * sizeof *links->links);
    qsort(sorted.links, sorted.count, sizeof *sorted.links, compare_links);
    for (size_t i = 0; i < sorted.count; i++) {
        origins[i] = sorted.links[i].origin;
    }
    qsort(origins, sorted.count, sizeof *origins, compare_text);
    /* Whole chains; where they would be too long to be read back (a long tail that thousands share), each link once. */
    err = format_all(op, &sorted, false, origins, written, &own);
    if (err == ERR_INVALID) {
        buf_clear(&own);
        err = format_all(op, &sorted, true, origins, written, &own);
    }
    if (!err && buf_append(buf, own.data, own.size) != OK) {
        err = op_fail(op, REASON_INVALID_CHAIN, "the wiring is too long as text");
    }
done:
    buf_fini(&own);
    free(origins);
    free(written);
    free(sorted.links);
    return err;
}
