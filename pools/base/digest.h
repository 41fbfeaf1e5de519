/* digest.h - SHA-256 of bodies (OpenSSL libcrypto: four times libsodium's speed), incremental. */
#ifndef POOLS_BASE_DIGEST_H
#define POOLS_BASE_DIGEST_H

#include "pools/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

struct digest; /* one computation under way; used by one thread at a time */

struct digest *digest_new(void); /* NULL when out of memory */
void digest_free(struct digest *digest);
void digest_update(struct digest *digest, const void *bytes, size_t count);
void digest_final(struct digest *digest, uint8_t ret_sha256[SHA256_BYTES]); /* once; then only free */
DEFINE_AUTO(struct digest, digest_free)

void digest_sha256(const void *bytes, size_t count, uint8_t ret_sha256[SHA256_BYTES]);
/* 64 lower-case hex digits and a NUL. */
#define SHA256_HEX_BYTES 65
void digest_hex(const uint8_t sha256[SHA256_BYTES], char ret_text[SHA256_HEX_BYTES]);

#endif
