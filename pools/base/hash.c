/* hash.c - see hash.h. */
#include "pools/base/hash.h"

#include "pools/base/must.h"

#include <sodium.h>

static unsigned char hash_key[crypto_shorthash_KEYBYTES];

void hash_setup(void) {
    MUST(sodium_init() >= 0);
    crypto_shorthash_keygen(hash_key);
}

uint64_t hash_bytes(const void *bytes, size_t count) {
    unsigned char out[crypto_shorthash_BYTES];
    crypto_shorthash(out, bytes, count, hash_key);
    uint64_t hash = 0;
    for (unsigned i = 0; i < sizeof out; i++) {
        hash |= (uint64_t)out[i] << (8 * i);
    }
    return hash;
}
