/* hash.c - see hash.h. */
#include "pools/base/hash.h"

#include "pools/base/must.h"

#include <sodium.h>
#include <string.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

void hash_setup(void) {
    MUST(sodium_init() >= 0);
    crypto_shorthash_keygen(hash_key);
}

_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "a hash is one number");

uint64_t hash_bytes(const void *bytes, size_t count) {
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, bytes, count, hash_key);
    uint64_t hash = 0;
    memcpy(&hash, out, sizeof hash); /* of this process only: any order of bytes will do */
    return hash;
}
