/* openapi_yaml.h - the contract, as the build has put it into the program: openapi.yaml byte for byte.
 *
 * embed.cmake writes the source file of these from the one in the root whenever that changes. Constant data; any thread.
 */
#ifndef API_OPENAPI_YAML_H
#define API_OPENAPI_YAML_H

#include <stddef.h>

extern const unsigned char openapi_yaml[];
extern const size_t openapi_yaml_bytes;
extern const char openapi_yaml_sha256[]; /* of those bytes, in hex */

#endif
