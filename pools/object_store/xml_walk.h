/* xml_walk.h - a small XML answer as a sequence of leaves: "ListBucketResult/Contents/Key" = text.
 *
 * Bounded in every way: depth, length of path and text; document types (and so entities of one's own)
 * are refused. Namespace prefixes are dropped.
 */
#ifndef POOLS_OBJECT_STORE_XML_WALK_H
#define POOLS_OBJECT_STORE_XML_WALK_H

#include "pools/base/err.h"

#include <stddef.h>

#define XML_MOST_DEPTH 16
#define XML_MOST_PATH_BYTES 256
#define XML_MOST_TEXT_BYTES 16384

/* Called at the end of every element, children before parents; text is "" for an element that holds elements.
 * A result other than OK ends the walk with that result. */
typedef enum err xml_element_fn(void *context, const char *path, const char *text);

/* ERR_INVALID when it is not well-formed or passes a limit, ERR_NO_MEMORY, or what `visit` gave. Records nothing. */
enum err xml_walk(const char *bytes, size_t count, xml_element_fn *visit, void *context) MUST_USE;

#endif
