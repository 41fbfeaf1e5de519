/* sigv4.c - canonical request, string to sign, signing key, signature: in this order, top to bottom.
 *
 * Pure; any thread. What the signing key is derived through is wiped before return. The format is that of the AWS documentation
 * "Signature Version 4 signing process"; traps it has are named where they are handled.
 */
#include "pools/object_store/sigv4.h"

#include "pools/base/digest.h"
#include "pools/base/percent.h"

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HEX_BYTES SHA256_HEX_BYTES

void sigv4_date(int64_t wall_ms, char ret_text[SIGV4_DATE_BYTES]) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    if (!gmtime_r(&seconds, &utc) || strftime(ret_text, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &utc) == 0) {
        memcpy(ret_text, "19700101T000000Z", SIGV4_DATE_BYTES);
    }
}

/* ---- the query ---- */

static int compare_text_pairs(const void *left, const void *right) {
    char *const *a = left;
    char *const *b = right;
    int order = strcmp(a[0], b[0]);
    return order != 0 ? order : strcmp(a[1], b[1]);
}

static char *encode(const char *text) {
    struct buf buf;
    buf_init(&buf, SIZE_MAX / 8);
    if (percent_encode(&buf, text, strlen(text)) != OK || buf_append_text(&buf, "") != OK) {
        buf_fini(&buf);
        return NULL;
    }
    char *encoded = buf_steal(&buf);
    return encoded ? encoded : strdup("");
}

enum err sigv4_query(struct buf *buf, const struct sigv4_pair *query, size_t count) {
    if (count > SIGV4_MOST_PAIRS) {
        return ERR_TOO_LARGE;
    }
    /* Sorting happens on the encoded text: '%' sorts below letters, so sorting first would differ. */
    char *pairs[SIGV4_MOST_PAIRS][2] = {{NULL}};
    enum err err = OK;
    for (size_t i = 0; i < count && err == OK; i++) {
        pairs[i][0] = encode(query[i].name);
        pairs[i][1] = encode(query[i].value);
        if (!pairs[i][0] || !pairs[i][1]) {
            err = ERR_NO_MEMORY;
        }
    }
    if (err == OK) {
        qsort(pairs, count, sizeof pairs[0], compare_text_pairs);
    }
    for (size_t i = 0; i < count && err == OK; i++) {
        err = buf_printf(buf, "%s%s=%s", i > 0 ? "&" : "", pairs[i][0], pairs[i][1]);
    }
    for (size_t i = 0; i < count; i++) {
        free(pairs[i][0]);
        free(pairs[i][1]);
    }
    return err;
}

/* ---- the header ---- */

static char lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

/* Compares names only. Comparing whole lines would put "x-amz-meta-a-b:" before "x-amz-meta-a:". */
static int compare_names(const char *a, const char *b) {
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return (int)(unsigned char)lower(*a) - (int)(unsigned char)lower(*b);
}

/* Sorted by name; fields of one name keep the order they were given in. */
static void sort_fields(const struct sigv4_pair **sorted, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct sigv4_pair *moved = sorted[i];
        size_t at = i;
        while (at > 0 && compare_names(sorted[at - 1]->name, moved->name) > 0) {
            sorted[at] = sorted[at - 1];
            at--;
        }
        sorted[at] = moved;
    }
}

static enum err append_lower(struct buf *buf, const char *name) {
    for (; *name != '\0'; name++) {
        char byte = lower(*name);
        enum err err = buf_append(buf, &byte, 1);
        if (err != OK) {
            return err;
        }
    }
    return OK;
}

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n' || byte == '\v' || byte == '\f';
}

/* Trimmed, runs of white space as one space. */
static enum err append_value(struct buf *buf, const char *value) {
    bool gap = false;
    bool begun = false;
    for (; *value != '\0'; value++) {
        if (is_space(*value)) {
            gap = begun;
            continue;
        }
        enum err err = gap ? buf_append(buf, " ", 1) : OK;
        if (err == OK) {
            err = buf_append(buf, value, 1);
        }
        if (err != OK) {
            return err;
        }
        gap = false;
        begun = true;
    }
    return OK;
}

static enum err append_fields(struct buf *buf, struct buf *names, const struct sigv4_request *request) {
    const struct sigv4_pair *sorted[SIGV4_MOST_PAIRS];
    if (request->field_count > SIGV4_MOST_PAIRS) {
        return ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < request->field_count; i++) {
        sorted[i] = &request->fields[i];
    }
    sort_fields(sorted, request->field_count);
    enum err err = OK;
    for (size_t i = 0; i < request->field_count && err == OK; i++) {
        bool again = i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0;
        if (again) {
            err = buf_append(buf, ",", 1);
        } else {
            err = i > 0 ? buf_append(buf, "\n", 1) : OK;
            err = err == OK ? append_lower(buf, sorted[i]->name) : err;
            err = err == OK ? buf_append(buf, ":", 1) : err;
            err = err == OK && i > 0 ? buf_append(names, ";", 1) : err;
            err = err == OK ? append_lower(names, sorted[i]->name) : err;
        }
        err = err == OK ? append_value(buf, sorted[i]->value) : err;
    }
    return err == OK && request->field_count > 0 ? buf_append(buf, "\n", 1) : err;
}

enum err sigv4_canonical_request(struct buf *buf, const struct sigv4_request *request,
                                 struct buf *ret_signed_names) {
    AUTO(buf_fini) struct buf names;
    buf_init(&names, SIGV4_MOST_PAIRS * 256);
    enum err err = buf_printf(buf, "%s\n%s\n", request->method, request->path);
    err = err == OK ? sigv4_query(buf, request->query, request->query_count) : err;
    err = err == OK ? buf_append(buf, "\n", 1) : err;
    err = err == OK ? append_fields(buf, &names, request) : err;
    err = err == OK ? buf_append_text(&names, "") : err;
    const char *list = names.size > 0 ? names.data : "";
    err = err == OK ? buf_printf(buf, "\n%s\n%s", list, request->payload_hash) : err;
    return err == OK && ret_signed_names ? buf_append_text(ret_signed_names, list) : err;
}

/* ---- the signature ---- */

static void hmac(const uint8_t *key, size_t key_bytes, const char *text, size_t text_bytes,
                 uint8_t ret_mac[crypto_auth_hmacsha256_BYTES]) {
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, key, key_bytes);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text, text_bytes);
    crypto_auth_hmacsha256_final(&state, ret_mac);
    sodium_memzero(&state, sizeof state);
}

static enum err signing_key(const struct sigv4_credentials *credentials, const char *day,
                            struct sigv4_key *key) {
    if (strncmp(key->day, day, sizeof key->day - 1) == 0) {
        return OK;
    }
    size_t secret_bytes = strlen(credentials->secret_access_key);
    uint8_t *first = malloc(4 + secret_bytes);
    if (!first) {
        return ERR_NO_MEMORY;
    }
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, credentials->secret_access_key, secret_bytes);
    uint8_t other[sizeof key->bytes];
    hmac(first, 4 + secret_bytes, day, 8, other);
    hmac(other, sizeof other, credentials->region, strlen(credentials->region), key->bytes);
    hmac(key->bytes, sizeof other, credentials->service, strlen(credentials->service), other);
    hmac(other, sizeof other, "aws4_request", 12, key->bytes);
    memcpy(key->day, day, sizeof key->day - 1);
    sodium_memzero(first, 4 + secret_bytes);
    sodium_memzero(other, sizeof other);
    free(first);
    return OK;
}

enum err sigv4_authorization(struct buf *buf, const struct sigv4_credentials *credentials, const char *date,
                             const struct sigv4_request *request, struct sigv4_key *key) {
    AUTO(buf_fini) struct buf canonical;
    AUTO(buf_fini) struct buf names;
    AUTO(buf_fini) struct buf to_sign;
    buf_init(&canonical, 256 * 1024);
    buf_init(&names, SIGV4_MOST_PAIRS * 256);
    buf_init(&to_sign, 4096);

    enum err err = sigv4_canonical_request(&canonical, request, &names);
    if (err != OK) {
        return err;
    }
    uint8_t hash[SHA256_BYTES];
    char hex[HEX_BYTES];
    digest_sha256(canonical.data, canonical.size, hash);
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);

    AUTO(buf_fini) struct buf scope;
    buf_init(&scope, 1024);
    err = buf_printf(&scope, "%.8s/%s/%s/aws4_request", date, credentials->region, credentials->service);
    err = err == OK ? buf_printf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope.data, hex) : err;
    err = err == OK ? signing_key(credentials, date, key) : err;
    if (err != OK) {
        return err;
    }
    uint8_t signature[crypto_auth_hmacsha256_BYTES];
    hmac(key->bytes, sizeof key->bytes, to_sign.data, to_sign.size, signature);
    sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
    return buf_printf(buf, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s",
                      credentials->access_key_id, scope.data, names.size > 0 ? names.data : "", hex);
}
