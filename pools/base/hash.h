/* hash.h - the keyed 64-bit hash of ids (SipHash-2-4 of libsodium), so that no client can choose collisions.
 *
 * The key is drawn once per process before any thread starts (listed in server/main.c): hashes, and
 * cursors made of them, do not survive a restart.
 */
#ifndef POOLS_BASE_HASH_H
#define POOLS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Draws the key and prepares libsodium; call once, first thing in main (tests too). Aborts when there is no randomness. */
void hash_setup(void);
uint64_t hash_bytes(const void *bytes, size_t count);

#endif
