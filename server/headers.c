/* headers.c - see headers.h. */
#include "server/headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void headers_init(struct headers *headers) {
    headers->count = 0;
    headers->letters = 0;
    headers->lengths = 0;
    headers->overflow = false;
    headers->may_have_twins = false;
    headers->untidy = false;
    headers->owned = NULL;
}

void headers_fini(struct headers *headers) {
    free(headers->owned);
    headers_init(headers);
}

static uint64_t length_bit(size_t name_bytes) {
    return UINT64_C(1) << (name_bytes % 64);
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t';
}

void headers_add(struct headers *headers, const char *name, size_t name_bytes, const char *value,
                 size_t value_bytes) {
    if (headers->count == HEADERS_MOST) {
        headers->overflow = true;
        return;
    }
    while (value_bytes && is_blank(value[0])) {
        value++;
        value_bytes--;
    }
    while (value_bytes && is_blank(value[value_bytes - 1])) {
        value_bytes--;
        headers->untidy = true;
    }
    uint64_t bit = length_bit(name_bytes);
    headers->may_have_twins = headers->may_have_twins || (headers->lengths & bit);
    headers->lengths |= bit;
    headers->letters |= headers_letter(name);
    headers->field[headers->count++] = (struct header_field){
        .name = name,
        .value = value,
        .name_bytes = name_bytes,
        .value_bytes = value_bytes,
    };
}

static bool same_name(const struct header_field *a, const struct header_field *b) {
    return a->name_bytes == b->name_bytes && strncasecmp(a->name, b->name, a->name_bytes) == 0;
}

bool headers_has_twins(const struct headers *headers) {
    for (unsigned i = 1; headers->may_have_twins && i < headers->count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (same_name(&headers->field[i], &headers->field[j])) {
                return true;
            }
        }
    }
    return false;
}

static char *copy_text(char *at, const char *text, size_t bytes) {
    memcpy(at, text, bytes);
    return at + bytes;
}

bool headers_own(struct headers *headers) {
    if (headers->owned) {
        return true;
    }
    size_t need = 1;
    for (unsigned i = 0; i < headers->count; i++) {
        need += headers->field[i].name_bytes + headers->field[i].value_bytes + 4; /* two NULs or ", " */
    }
    char *block = malloc(need);
    if (!block) {
        return false;
    }
    char *at = block;
    unsigned kept = 0;
    bool taken[HEADERS_MOST] = {false};
    for (unsigned i = 0; i < headers->count; i++) {
        if (taken[i]) {
            continue;
        }
        const struct header_field field = headers->field[i];
        struct header_field own = {.name = at, .name_bytes = field.name_bytes};
        at = copy_text(at, field.name, field.name_bytes);
        *at++ = '\0';
        own.value = at;
        at = copy_text(at, field.value, field.value_bytes);
        for (unsigned j = i + 1; j < headers->count; j++) {
            if (!taken[j] && same_name(&field, &headers->field[j])) {
                taken[j] = true;
                at = copy_text(at, ", ", 2);
                at = copy_text(at, headers->field[j].value, headers->field[j].value_bytes);
            }
        }
        own.value_bytes = (size_t)(at - own.value);
        *at++ = '\0';
        headers->field[kept++] = own; /* kept <= i: only fields already copied are overwritten */
    }
    headers->count = kept;
    headers->untidy = false;
    headers->owned = block;
    return true;
}

const struct header_field *headers_search(const struct headers *headers, const char *name) {
    size_t name_bytes = strlen(name);
    if (!(headers->lengths & length_bit(name_bytes))) {
        return NULL;
    }
    for (unsigned i = 0; i < headers->count; i++) {
        const struct header_field *field = &headers->field[i];
        if (field->name_bytes == name_bytes && strncasecmp(field->name, name, name_bytes) == 0) {
            return field;
        }
    }
    return NULL;
}

unsigned headers_count(const struct headers *headers, const char *name) {
    size_t name_bytes = strlen(name);
    unsigned count = 0;
    for (unsigned i = 0; i < headers->count; i++) {
        const struct header_field *field = &headers->field[i];
        count += field->name_bytes == name_bytes && strncasecmp(field->name, name, name_bytes) == 0;
    }
    return count;
}
