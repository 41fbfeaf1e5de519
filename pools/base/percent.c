/* percent.c - see percent.h. */
#include "pools/base/percent.h"

#include "pools/base/eight.h"
#include "pools/base/hex.h"

#include <stdint.h>
#include <string.h>

static bool is_unreserved(unsigned char byte) {
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
           byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

enum err percent_encode(struct buf *buf, const char *bytes, size_t count) {
    static const char digits[] = "0123456789ABCDEF";
    if (count > buf->max_bytes) {
        return ERR_TOO_LARGE;
    }
    for (size_t i = 0; i < count; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
        enum err err = is_unreserved(byte) ? buf_append(buf, &bytes[i], 1) : buf_append(buf, escape, 3);
        if (err) {
            return err;
        }
    }
    return OK;
}

enum err percent_decode(const char *text, size_t count, char *ret_text, size_t *ret_bytes) {
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (text[i] != '%') {
            ret_text[used++] = text[i];
            continue;
        }
        if (count - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) {
            return ERR_INVALID;
        }
        ret_text[used++] = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
        i += 2;
    }
    ret_text[used] = '\0';
    *ret_bytes = used;
    return OK;
}

enum err percent_decode_canonical(const char *text, size_t count, char *ret_text, size_t *ret_bytes) {
    for (size_t i = 0; i < count; i++) {
        if (text[i] != '%') {
            if (!is_unreserved((unsigned char)text[i])) {
                return ERR_INVALID;
            }
            continue;
        }
        if (count - i < 3) {
            return ERR_INVALID;
        }
        int high = hex_digit(text[i + 1]);
        int low = hex_digit(text[i + 2]);
        bool lower_case = text[i + 1] >= 'a' || text[i + 2] >= 'a';
        if (high < 0 || low < 0 || lower_case || is_unreserved((unsigned char)(high * 16 + low))) {
            return ERR_INVALID;
        }
        i += 2;
    }
    return percent_decode(text, count, ret_text, ret_bytes);
}

/* What a leading byte above ASCII promises: how many bytes follow, its own bits, the lowest code they may give. */
static bool utf8_lead(unsigned char byte, struct utf8 *state) {
    if (byte >= 0xc2 && byte <= 0xdf) {
        *state = (struct utf8){.need = 1, .lowest = 0x80, .code = byte & 0x1fU};
        return true;
    }
    if (byte >= 0xe0 && byte <= 0xef) {
        *state = (struct utf8){.need = 2, .lowest = 0x800, .code = byte & 0x0fU};
        return true;
    }
    if (byte >= 0xf0 && byte <= 0xf4) {
        *state = (struct utf8){.need = 3, .lowest = 0x10000, .code = byte & 0x07U};
        return true;
    }
    return false;
}

/* How many bytes are ASCII for sure, counted eight at a time: most ids and bodies are, from end to end. */
static size_t ascii_run(const char *text, size_t count) {
    size_t run = 0;
    while (run + EIGHT <= count && !eight_from(eight_load(text + run), 0x80)) {
        run += EIGHT;
    }
    bool is_all = run + EIGHT > count && !eight_from(eight_tail(text, count), 0x80);
    return is_all ? count : run;
}

bool utf8_step(struct utf8 *state, const void *bytes, size_t count) {
    const unsigned char *at = bytes;
    size_t i = state->need ? 0 : ascii_run(bytes, count);
    for (; i < count; i++) {
        if (!state->need) {
            if (at[i] >= 0x80 && !utf8_lead(at[i], state)) {
                return false;
            }
            continue;
        }
        if ((at[i] & 0xc0) != 0x80) {
            return false;
        }
        state->code = state->code << 6 | (at[i] & 0x3fU);
        state->need--;
        bool surrogate = state->code >= 0xd800 && state->code <= 0xdfff;
        if (!state->need && (state->code < state->lowest || state->code > 0x10ffff || surrogate)) {
            return false;
        }
    }
    return true;
}

bool utf8_done(const struct utf8 *state) {
    return state->need == 0;
}

bool utf8_valid(const char *bytes, size_t count) {
    struct utf8 state = {0};
    return utf8_step(&state, bytes, count) && utf8_done(&state);
}
