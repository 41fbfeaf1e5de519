/* origin.h - the origin of a web page as browsers write it (RFC 6454). */
#ifndef SERVER_ORIGIN_H
#define SERVER_ORIGIN_H

#include <stdbool.h>

/* Whether some browser would send this text in Origin: scheme://host[:port], lower case, no path, at most 128 bytes; not "null", which
 * every sandboxed page shares. */
bool origin_is_valid(const char *text);

#endif
