/* state_seal.h - secrets at rest: libsodium's secretbox under the key in DATA/state.key.
 *
 * The key is made at first need (mode 0600, synced before anything sealed with it is stored) and read once. A sealed text is a random
 * nonce and the box. Who has the data directory's state.db alone (a backup, a bug report) has no secret.
 *
 * Threads: the owner locks.
 */
#ifndef POOLS_STATE_SEAL_H
#define POOLS_STATE_SEAL_H

#include "pools/base/buf.h"
#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>

#define SEAL_KEY_BYTES 32
#define SEAL_MOST_TEXT_BYTES 16384

struct sealer {
    int dir_fd; /* of the data directory; borrowed */
    bool has_key;
    unsigned char key[SEAL_KEY_BYTES];
};

void sealer_init(struct sealer *sealer, int dir_fd);
void sealer_fini(struct sealer *sealer); /* wipes the key */
/* Appends nonce and box. Makes the key when there is none. */
enum err seal_text(struct sealer *sealer, struct op *op, const char *text, struct buf *buf) MUST_USE;
/* ERR_CORRUPT when the key is missing or another one, or the bytes were changed. The text is the caller's (seal_free_text). */
enum err seal_open_text(struct sealer *sealer, struct op *op, const void *sealed, size_t bytes,
                        char **ret_text) MUST_USE;
/* Wipes, then frees. NULL allowed. */
void seal_free_text(char *text);

#endif
