/* secrets.h - names that stand for values: ${NAME} in the configuration and, where allowed, in REST bodies.
 *
 * The secrets file is TOML, flat or with one level of tables, which are flattened with an underscore as LAILA does
 * ([aws] region becomes aws_region). It beats the environment. Values never appear in messages.
 */
#ifndef SERVER_SECRETS_H
#define SERVER_SECRETS_H

#include "server/toml_tree.h"

#include "pools/base/buf.h"

struct secrets; /* immutable after secrets_new */

/* Takes the parsed file; NULL = only the environment. NULL when out of memory (then the file is freed, too). */
struct secrets *secrets_new(struct toml_node *take_file);
void secrets_free(struct secrets *secrets);
DEFINE_AUTO(struct secrets, secrets_free)

/* The file's value only, or NULL. Numbers and flags come as written in JSON. */
const char *secrets_in_file(const struct secrets *secrets, const char *name);
/* The file's value, else the environment's, else NULL. */
const char *secrets_find(const struct secrets *secrets, const char *name);

enum expand_result { EXPAND_OK, EXPAND_UNDEFINED, EXPAND_UNCLOSED, EXPAND_NO_MEMORY };
/* Replaces every ${NAME} and turns $$ into a dollar; a dollar before anything else stays. On EXPAND_UNDEFINED ret_name holds the
 * name (cut to its size). */
enum expand_result secrets_expand(const struct secrets *secrets, const char *text, struct buf *buf,
                                  char *ret_name, size_t name_size);

#endif
