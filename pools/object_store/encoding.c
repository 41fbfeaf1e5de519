/* encoding.c - see encoding.h. Pure; any thread. */
#include "pools/object_store/encoding.h"

#include <curl/curl.h>
#include <openssl/evp.h>

#include <limits.h>

enum err base64_encode(struct buf *buf, const void *bytes, size_t count) {
    if (count > INT_MAX / 2) {
        return ERR_TOO_LARGE;
    }
    size_t needed = (count + 2) / 3 * 4;
    char *space;
    enum err err = buf_reserve(buf, needed + 1, &space); /* EVP_EncodeBlock ends with a NUL */
    if (err != OK) {
        return err;
    }
    EVP_EncodeBlock((unsigned char *)space, bytes, (int)count);
    buf_commit(buf, needed);
    return OK;
}

enum err base64_decode(struct buf *buf, const char *text, size_t count) {
    if (count % 4 != 0 || count > INT_MAX / 2) {
        return ERR_INVALID;
    }
    if (count == 0) {
        return OK;
    }
    char *space;
    enum err err = buf_reserve(buf, count / 4 * 3, &space);
    if (err != OK) {
        return err;
    }
    /* EVP_DecodeBlock forgives white space at the ends; we do not. */
    for (size_t i = 0; i < count; i++) {
        char byte = text[i];
        bool digit = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                     (byte >= '0' && byte <= '9') || byte == '+' || byte == '/' ||
                     (byte == '=' && i + 2 >= count);
        if (!digit) {
            return ERR_INVALID;
        }
    }
    int decoded = EVP_DecodeBlock((unsigned char *)space, (const unsigned char *)text, (int)count);
    if (decoded < 0 || (text[count - 2] == '=' && text[count - 1] != '=')) {
        return ERR_INVALID;
    }
    size_t padding = (size_t)(text[count - 1] == '=') + (size_t)(text[count - 2] == '=');
    buf_commit(buf, (size_t)decoded - padding);
    return OK;
}

bool content_md5(const void *bytes, size_t count, char ret_text[CONTENT_MD5_BYTES]) {
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(bytes, count, md5, &size, EVP_md5(), NULL) != 1 || size != 16) {
        return false;
    }
    EVP_EncodeBlock((unsigned char *)ret_text, md5, (int)size);
    return true;
}

int64_t http_date_ms(const char *text) {
    time_t seconds = curl_getdate(text, NULL);
    return seconds > 0 ? (int64_t)seconds * 1000 : 0;
}
