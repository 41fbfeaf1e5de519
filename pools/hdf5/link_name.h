/* link_name.h - how an entry's id becomes the name of its link in the root group, and back.
 *
 * Ours: the canonical percent-encoding of the id, except that "." alone, which HDF5 refuses, is "%2E". Files of others
 * may hold names that no id encodes to ("my data", "a:b", "%3a"); such a name is its own id, so that it
 * can be read and overwritten under the name it has. When both an encoded and a plain name give one id, the encoded
 * one is the entry and the other is foreign.
 */
#ifndef POOLS_HDF5_LINK_NAME_H
#define POOLS_HDF5_LINK_NAME_H

#include "pools/id.h"

#include <stdbool.h>

#define LINK_NAME_BYTES (ID_MOST_BYTES * 3 + 1)

/* The name we give; never fails for a valid id. */
void link_name_of(const struct id *id, char ret_name[LINK_NAME_BYTES]);
/* The id a link's name stands for; false when it can be none (too long, not UTF-8). *ret_canonical tells whether the name is
 * the one link_name_of gives. ret_text holds ID_MOST_BYTES + 1 bytes. */
bool link_name_to_id(const char *name, char *ret_text, size_t *ret_bytes, bool *ret_canonical);

#endif
