/* state_seal.c - see state_seal.h. */
#include "pools/state_seal.h"

#include "pools/base/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MODE 0600u

_Static_assert(SEAL_KEY_BYTES == crypto_secretbox_KEYBYTES, "the key's size is the box's");

void sealer_init(struct sealer *sealer, int dir_fd) {
    *sealer = (struct sealer){.dir_fd = dir_fd};
}

void sealer_fini(struct sealer *sealer) {
    sodium_memzero(sealer->key, sizeof sealer->key);
    sealer->has_key = false;
}

/* A file that others can read, or that something else wrote over, is no secret: better none than such a key. */
static enum err check_key_file(struct op *op, int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return op_fail_errno(op, errno, "looking at state.key");
    }
    if (!S_ISREG(status.st_mode) || status.st_size != SEAL_KEY_BYTES) {
        return op_fail(op, REASON_CORRUPT, "state.key is not a file of exactly %d bytes", SEAL_KEY_BYTES);
    }
    if (status.st_mode & 07777 & ~(mode_t)KEY_MODE) {
        return op_fail(op, REASON_CORRUPT, "state.key is open to others: its mode must be %04o", KEY_MODE);
    }
    return OK;
}

static enum err read_key(struct sealer *sealer, struct op *op, int fd) {
    enum err err = check_key_file(op, fd);
    if (err) {
        return err;
    }
    size_t got = 0;
    while (got < sizeof sealer->key) {
        ssize_t count = read(fd, sealer->key + got, sizeof sealer->key - got);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return op_fail_errno(op, errno, "reading state.key");
        }
        if (count == 0) {
            return op_fail(op, REASON_CORRUPT, "state.key is cut short");
        }
        got += (size_t)count;
    }
    sealer->has_key = true;
    return OK;
}

/* Written under another name and linked into place: a crash leaves a whole key or none. */
static enum err write_key(struct sealer *sealer, struct op *op) {
    static const char fresh[] = DATA_DIR_KEY DATA_DIR_NEW_SUFFIX;
    unsigned char key[SEAL_KEY_BYTES];
    (void)unlinkat(sealer->dir_fd, fresh, 0); /* of a start that died here; the data directory is locked */
    int fd = openat(sealer->dir_fd, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, KEY_MODE);
    if (fd < 0) {
        return op_fail_errno(op, errno, "making state.key");
    }
    crypto_secretbox_keygen(key);
    errno = EIO; /* for a short write */
    bool good = write(fd, key, sizeof key) == (ssize_t)sizeof key && fsync(fd) == 0;
    good = good && renameat(sealer->dir_fd, fresh, sealer->dir_fd, DATA_DIR_KEY) == 0 &&
           fsync(sealer->dir_fd) == 0;
    int error = errno;
    close(fd);
    if (good) {
        memcpy(sealer->key, key, sizeof key);
        sealer->has_key = true;
    }
    sodium_memzero(key, sizeof key);
    return good ? OK : op_fail_errno(op, error, "writing state.key");
}

static enum err need_key(struct sealer *sealer, struct op *op, bool make) {
    if (sealer->has_key) {
        return OK;
    }
    int fd = openat(sealer->dir_fd, DATA_DIR_KEY, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return make ? write_key(sealer, op) : op_fail(op, REASON_CORRUPT, "state.key is missing");
    }
    if (fd < 0) {
        return op_fail_errno(op, errno, "opening state.key");
    }
    enum err err = read_key(sealer, op, fd);
    close(fd);
    return err;
}

enum err seal_text(struct sealer *sealer, struct op *op, const char *text, struct buf *buf) {
    size_t bytes = strlen(text);
    if (bytes > SEAL_MOST_TEXT_BYTES) {
        return op_fail(op, REASON_INVALID_CONFIG, "a secret is longer than %d bytes", SEAL_MOST_TEXT_BYTES);
    }
    enum err err = need_key(sealer, op, true);
    if (err) {
        return err;
    }
    char *space = NULL;
    size_t sealed_bytes = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + bytes;
    if (buf_reserve(buf, sealed_bytes, &space) != OK) {
        return op_no_memory(op);
    }
    unsigned char *nonce = (unsigned char *)space;
    randombytes_buf(nonce, crypto_secretbox_NONCEBYTES);
    crypto_secretbox_easy(nonce + crypto_secretbox_NONCEBYTES, (const unsigned char *)text, bytes, nonce,
                          sealer->key);
    buf_commit(buf, sealed_bytes);
    return OK;
}

enum err seal_open_text(struct sealer *sealer, struct op *op, const void *sealed, size_t bytes,
                        char **ret_text) {
    const size_t around = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
    if (bytes < around || bytes > around + SEAL_MOST_TEXT_BYTES) {
        return op_fail(op, REASON_CORRUPT, "a stored secret has a wrong size");
    }
    enum err err = need_key(sealer, op, false);
    if (err) {
        return err;
    }
    char *text = calloc(1, bytes - around + 1);
    if (!text) {
        return op_no_memory(op);
    }
    const unsigned char *nonce = sealed;
    if (crypto_secretbox_open_easy((unsigned char *)text, nonce + crypto_secretbox_NONCEBYTES,
                                   bytes - crypto_secretbox_NONCEBYTES, nonce, sealer->key) != 0) {
        free(text);
        return op_fail(op, REASON_CORRUPT, "a stored secret does not open with this state.key");
    }
    *ret_text = text;
    return OK;
}

void seal_free_text(char *text) {
    if (text) {
        sodium_memzero(text, strlen(text));
        free(text);
    }
}
