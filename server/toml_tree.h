/* toml_tree.h - a TOML 1.0 document as a plain C tree, with the line of everything for error messages.
 *
 * Debian has no C library for TOML; toml_shim.cpp, the one C++ file, parses with toml++ and hands over this tree.
 */
#ifndef SERVER_TOML_TREE_H
#define SERVER_TOML_TREE_H

#ifndef __cplusplus
#include <stdbool.h>
#endif
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_kind {
    TOML_TABLE,
    TOML_LIST,
    TOML_TEXT,
    TOML_NUMBER,
    TOML_FLAG,
    TOML_OTHER /* fractions, dates: nothing here takes them */
};

struct toml_node {
    enum toml_kind kind;
    unsigned line;           /* of the key, or of the value in a list; from 1 */
    char *key;               /* NULL in a list and at the root */
    char *text;              /* TOML_TEXT */
    size_t text_bytes;       /* it may hold NULs */
    int64_t number;          /* TOML_NUMBER */
    bool flag;               /* TOML_FLAG */
    struct toml_node *first; /* members of a table, in order of their lines; elements of a list */
    struct toml_node *next;
};

struct toml_error {
    unsigned line;
    char text[256];
};

/* NULL on bad input or when memory ran out, with *ret_error set. Throws nothing. */
struct toml_node *toml_parse(const char *bytes, size_t count, struct toml_error *ret_error);
void toml_free(struct toml_node *root); /* wipes texts: they may be secrets; NULL allowed */

#ifdef __cplusplus
}
#endif

#endif
