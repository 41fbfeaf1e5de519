/* torture_body.c - random numbers, random bodies and what is said. Any thread; nothing is shared but standard output. */
#include "tests/crash/torture.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * 1024)
#define LINE_BYTES 2048 /* below PIPE_BUF: a pipe takes a line whole */

/* splitmix64 */
static uint64_t random_next(uint64_t *state) {
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

uint64_t random_below(uint64_t *state, uint64_t limit) {
    return random_next(state) % limit;
}

/* Mostly small, as entries are; some beyond what is copied into a journal, a few beyond what is kept in memory. */
static size_t random_size(uint64_t *state) {
    static const struct {
        uint64_t below, least, most;
    } sizes[] = {
        {6, 0, 0},
        {16, 1, 64},
        {68, 65, 4 * KIB},
        {91, 4 * KIB, 64 * KIB},
        {98, 64 * KIB, 600 * KIB},
        {100, MIB, 3 * MIB},
    };
    uint64_t drawn = random_below(state, 100);
    size_t i = 0;
    while (drawn >= sizes[i].below) {
        i++;
    }
    return (size_t)(sizes[i].least + random_below(state, sizes[i].most - sizes[i].least + 1));
}

static void fill_binary(uint64_t *state, uint8_t *bytes, size_t count) {
    for (size_t at = 0; at < count; at += 8) {
        uint64_t word = random_next(state);
        memcpy(bytes + at, &word, count - at < 8 ? count - at : 8);
    }
}

static void fill_text(uint64_t *state, uint8_t *bytes, size_t count) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n";
    static const char two_bytes[] = "\xc3\xa9";
    fill_binary(state, bytes, count);
    for (size_t at = 0; at < count; at++) {
        bytes[at] = (uint8_t)letters[bytes[at] & 63];
    }
    if (count > 2 && random_below(state, 2)) {
        memcpy(bytes + count - 2, two_bytes, 2);
    }
}

void random_body_make(uint64_t *state, struct random_body *ret_body) {
    size_t count = random_size(state);
    uint8_t *bytes = malloc(count + 8);
    if (!bytes) {
        wrong("out of memory");
    }
    uint64_t kind = random_below(state, 8);
    if (kind < 4) {
        fill_text(state, bytes, count);
    } else {
        fill_binary(state, bytes, count);
    }
    if (kind == 3 && count) { /* text but for its end, which a tool might take for padding */
        bytes[count - 1] = '\0';
    }
    *ret_body = (struct random_body){.bytes = bytes, .count = count};
    digest_sha256(bytes, count, ret_body->sha256);
}

void random_body_free(struct random_body *body) {
    free(body->bytes);
}

PRINTF_LIKE(1, 0) static void say_list(const char *format, va_list arguments) {
    char line[LINE_BYTES];
    int count = vsnprintf(line, sizeof line, format, arguments);
    size_t bytes = count < (int)sizeof line ? (size_t)count : sizeof line - 1;
    if (write(STDOUT_FILENO, line, bytes) != (ssize_t)bytes) {
        _exit(4); /* nobody listens any more */
    }
}

void say(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say_list(format, arguments);
    va_end(arguments);
}

void wrong(const char *format, ...) {
    char text[LINE_BYTES - 8];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    say("W\t%s\n", text);
    _exit(3);
}
