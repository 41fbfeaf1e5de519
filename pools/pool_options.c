/* pool_options.c - see pool_options.h. */
#include "pools/pool_options.h"

#include "pools/base/token.h"

#include <string.h>
#include <strings.h>

#define CACHE_CONTROL "cache_control"
#define CACHE_CONTROL_DEFAULT "no-cache" /* kept anywhere, asked about every time: never stale */
#define CACHE_CONTROL_MOST_BYTES 128

static size_t blanks(const char *text) {
    return strspn(text, " \t");
}

/* Behind the quoted string that begins here, or NULL. */
static const char *skip_quoted(const char *text) {
    for (text++; *text != '"'; text++) {
        if (*text == '\\') {
            text++;
        }
        if (((unsigned char)*text < 0x20 && *text != '\t') || (unsigned char)*text > 0x7e) {
            return NULL; /* the end of the text as well */
        }
    }
    return text + 1;
}

/* These take seconds; a cache that finds anything else there may do what it likes. */
static bool takes_seconds(const char *name, size_t bytes) {
    static const char *const names[] = {"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (strlen(names[i]) == bytes && strncasecmp(names[i], name, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* Behind the directive that begins here (RFC 9111, 5.2), or NULL. */
static const char *skip_directive(const char *text) {
    size_t name_bytes = token_span(text);
    const char *value = text + name_bytes;
    bool has_seconds = takes_seconds(text, name_bytes);
    if (!name_bytes || (has_seconds && *value != '=')) {
        return NULL;
    }
    if (*value != '=') {
        return value;
    }
    value++;
    size_t value_bytes = has_seconds ? strspn(value, "0123456789") : token_span(value);
    if (value_bytes) {
        return value + value_bytes;
    }
    return *value == '"' && !has_seconds ? skip_quoted(value) : NULL;
}

static bool is_cache_control(const char *text) {
    if (strlen(text) > CACHE_CONTROL_MOST_BYTES || blanks(text)) {
        return false;
    }
    for (;;) {
        text = skip_directive(text);
        if (!text) {
            return false;
        }
        if (!*text) {
            return true;
        }
        text += blanks(text);
        if (*text++ != ',') {
            return false;
        }
        text += blanks(text);
    }
}

const struct option pool_options[] = {
    {.name = CACHE_CONTROL,
     .type = OPTION_TEXT,
     .default_text = CACHE_CONTROL_DEFAULT,
     .is_valid = is_cache_control,
     .expected = "Cache-Control directives in at most 128 bytes, like \"private, max-age=60\"",
     .sentence = "what caches on the way to a client may do with an entry of this pool"},
};
const size_t pool_option_count = ARRAY_COUNT(pool_options);

struct settings *pool_settings_new(const struct pool_kind *kind) {
    return settings_new_joined(kind->options, kind->option_count, pool_options, pool_option_count);
}

const char *pool_cache_control(const struct pool *pool) {
    bool is_there = pool->settings && settings_may_show(pool->settings, CACHE_CONTROL);
    const char *text = is_there ? settings_text(pool->settings, CACHE_CONTROL) : NULL;
    return text ? text : CACHE_CONTROL_DEFAULT;
}
