/* settings.h - a pool's options: one table per kind drives the config file, the REST bodies and the answers.
 *
 * An option's row says its name, type, bounds, default and sentence. settings_set checks a value
 * against its row; nothing else parses pool options. Values of secret options never leave through
 * settings_each (GET /pools shows what settings_each gives).
 */
#ifndef POOLS_SETTINGS_H
#define POOLS_SETTINGS_H

#include "pools/base/op.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_TEXT,  /* string */
    OPTION_BYTES, /* integer, or string with KiB MiB GiB TiB / kB MB GB TB */
    OPTION_COUNT, /* integer */
    OPTION_FLAG,  /* boolean */
    OPTION_CHOICE /* string, one of `choices` */
};

struct option {
    const char *name;
    enum option_type type;
    bool required;
    bool secret;                 /* never shown; over REST may be ${NAME} (secret_names.h) */
    const char *default_text;    /* as it would be written: "256MiB", "path", "true"; NULL = unset */
    uint64_t least, most;        /* OPTION_BYTES and OPTION_COUNT; most 0 = no limit */
    const char *const *choices;  /* NULL-terminated */
    const char *fallback_secret; /* name in the secrets file used when unset: "AWS_REGION"; NULL = none */
    const char *sentence;        /* for the reference */
    bool (*is_valid)(const char *text); /* OPTION_TEXT: NULL = any text; else `expected` says what */
    const char *expected;
    bool is_path; /* OPTION_TEXT: a file's path; of an absolute one settings_each shows the last part only */
};

struct settings; /* values of one pool for one kind's option table; immutable once the pool is open */

struct settings *settings_new(const struct option *options, size_t option_count); /* NULL = out of memory */
/* For two tables, which share no name, as if they were one. */
struct settings *settings_new_joined(const struct option *options, size_t option_count,
                                     const struct option *more, size_t more_count);
struct settings *settings_new_like(const struct settings *settings); /* empty, for the same table */
void settings_free(struct settings *settings);                       /* wipes secrets */
DEFINE_AUTO(struct settings, settings_free)

/* Each checks the row: unknown name, wrong type, out of bounds -> ERR_INVALID (REASON_INVALID_CONFIG) naming the
 * option and what was expected. A later set replaces an earlier one. */
enum err settings_set_text(struct settings *settings, struct op *op, const char *name,
                           const char *text) MUST_USE;
enum err settings_set_number(struct settings *settings, struct op *op, const char *name,
                             int64_t number) MUST_USE;
enum err settings_set_flag(struct settings *settings, struct op *op, const char *name, bool flag) MUST_USE;
/* For a value that is of no type there is, a list or a fraction: always ERR_INVALID, naming what was expected. */
enum err settings_refuse_type(struct settings *settings, struct op *op, const char *name) MUST_USE;
/* A value of any type as the text settings_each_set gave (state.db). */
enum err settings_set_stored(struct settings *settings, struct op *op, const char *name,
                             const char *text) MUST_USE;
/* A secret option by name: text is "${NAME}", kept as it is. A pool is opened with what secret_names_expand (secret_names.h)
 * makes of it. ERR_INVALID too when the option is no secret. */
enum err settings_set_reference(struct settings *settings, struct op *op, const char *name,
                                const char *text) MUST_USE;
/* After the last set: fills defaults, refuses a missing required option. */
enum err settings_finish(struct settings *settings, struct op *op) MUST_USE;

/* Values; the name must be in the table and its value no reference (MUST). NULL / 0 / false when unset without default. */
const char *settings_text(const struct settings *settings, const char *name);
uint64_t settings_number(const struct settings *settings, const char *name);
bool settings_flag(const struct settings *settings, const char *name);
bool settings_is_set(const struct settings *settings, const char *name); /* set by somebody, not by default */

/* Whether the table has the option and it is no secret: its value may stand in a message. */
bool settings_may_show(const struct settings *settings, const char *name);
/* Every option that is set or has a default, secrets left out. Exactly one of text (TEXT, CHOICE) or number/flag is meaningful. */
typedef enum err settings_visit_fn(void *context, const struct option *option, const char *text,
                                   uint64_t number, bool flag);
enum err settings_each(const struct settings *settings, settings_visit_fn *visit, void *context) MUST_USE;
/* Including secrets: for state.db and secret_names_expand only. is_set values only, as text. */
typedef enum err settings_store_fn(void *context, const struct option *option, const char *text,
                                   bool is_reference);
enum err settings_each_set(const struct settings *settings, settings_store_fn *visit, void *context) MUST_USE;

#endif
