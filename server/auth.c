/* auth.c - see auth.h. Tokens are compared by their keyed hashes: equal time whatever their lengths. */
#include "server/auth.h"

#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

#define TOKEN_HASH_BYTES crypto_generichash_BYTES

struct auth {
    bool is_open;
    unsigned char key[crypto_generichash_KEYBYTES];
    unsigned char token_hash[TOKEN_HASH_BYTES];
};

static void hash_token(const struct auth *auth, const char *token, unsigned char ret_hash[TOKEN_HASH_BYTES]) {
    crypto_generichash(ret_hash, TOKEN_HASH_BYTES, (const unsigned char *)token, strlen(token), auth->key,
                       sizeof auth->key);
}

struct auth *auth_new(const char *token) {
    struct auth *auth = calloc(1, sizeof *auth);
    if (!auth) {
        return NULL;
    }
    randombytes_buf(auth->key, sizeof auth->key);
    if (token && token[0]) {
        hash_token(auth, token, auth->token_hash);
    } else {
        auth->is_open = true;
    }
    return auth;
}

void auth_free(struct auth *auth) {
    if (auth) {
        sodium_memzero(auth, sizeof *auth);
        free(auth);
    }
}

bool auth_is_open(const struct auth *auth) {
    return auth->is_open;
}

enum err auth_check(const struct auth *auth, struct op *op, enum scope scope, const char *authorization) {
    if (auth->is_open || scope == SCOPE_OPEN) {
        return OK;
    }
    static const char scheme[] = "Bearer ";
    size_t scheme_bytes = sizeof scheme - 1;
    if (!authorization || strncasecmp(authorization, scheme, scheme_bytes) != 0) {
        return op_fail(op, REASON_UNAUTHENTICATED, "the request carries no bearer token");
    }
    const char *token = authorization + scheme_bytes;
    token += strspn(token, " ");
    unsigned char hash[TOKEN_HASH_BYTES];
    hash_token(auth, token, hash);
    if (sodium_memcmp(hash, auth->token_hash, sizeof hash) != 0) {
        return op_fail(op, REASON_UNAUTHENTICATED, "the bearer token is not valid");
    }
    return OK;
}

enum err auth_check_origin(const struct auth *auth, struct op *op, enum http_method method,
                           const char *origin, const char *host) {
    bool is_safe = method == METHOD_GET || method == METHOD_HEAD || method == METHOD_OPTIONS;
    if (!auth->is_open || is_safe || !origin) {
        return OK;
    }
    const char *authority = strstr(origin, "://");
    if (!authority || !host || strcasecmp(authority + 3, host) != 0) {
        return op_fail(op, REASON_FORBIDDEN,
                       "a page of another site may not change anything without a token");
    }
    return OK;
}
