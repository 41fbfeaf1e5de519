/* digest.c - see digest.h. A failure inside libcrypto's SHA-256 can only be a broken library: MUST. */
#include "pools/base/digest.h"

#include "pools/base/must.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct digest {
    EVP_MD_CTX *context;
};

struct digest *digest_new(void) {
    struct digest *digest = malloc(sizeof *digest);
    if (!digest) {
        return NULL;
    }
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1) {
        goto fail;
    }
    return digest;
fail:
    EVP_MD_CTX_free(digest->context);
    free(digest);
    return NULL;
}

void digest_free(struct digest *digest) {
    if (!digest) {
        return;
    }
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

void digest_update(struct digest *digest, const void *bytes, size_t count) {
    MUST(EVP_DigestUpdate(digest->context, bytes, count) == 1);
}

void digest_final(struct digest *digest, uint8_t ret_sha256[SHA256_BYTES]) {
    unsigned length = 0;
    MUST(EVP_DigestFinal_ex(digest->context, ret_sha256, &length) == 1 && length == SHA256_BYTES);
}

void digest_sha256(const void *bytes, size_t count, uint8_t ret_sha256[SHA256_BYTES]) {
    unsigned length = 0;
    MUST(EVP_Digest(bytes, count, ret_sha256, &length, EVP_sha256(), NULL) == 1 && length == SHA256_BYTES);
}

void digest_hex(const uint8_t sha256[SHA256_BYTES], char ret_text[SHA256_HEX_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        ret_text[2 * i] = digits[sha256[i] >> 4];
        ret_text[2 * i + 1] = digits[sha256[i] & 15];
    }
    ret_text[SHA256_HEX_BYTES - 1] = '\0';
}
