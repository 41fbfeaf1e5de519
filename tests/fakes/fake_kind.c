/* fake_kind.c - see fake_kind.h. */
#include "tests/fakes/fake_kind.h"

#include "pools/base/must.h"
#include "tests/fakes/fake_pool.h"

static const struct option options[] = {
    {.name = "fail", .type = OPTION_FLAG, .default_text = "false", .sentence = "Whether opening fails."},
    {.name = "size", .type = OPTION_BYTES, .default_text = "1MiB", .sentence = "A size."},
    {.name = "secret", .type = OPTION_TEXT, .secret = true, .sentence = "A secret."},
};

static enum err fake_open(struct op *op, const struct pool_environment *environment, const char *nickname,
                          struct settings *settings, struct pool **ret_pool) {
    (void)environment;
    if (settings_flag(settings, "fail")) {
        return op_fail(op, REASON_IO, "scripted not to open");
    }
    struct pool *pool = fake_pool_new(nickname, NULL);
    pool->settings = settings;
    *ret_pool = pool;
    return OK;
}

const struct pool_kind fake_kind = {
    .name = "fake", .options = options, .option_count = ARRAY_COUNT(options), .open = fake_open};

struct settings *fake_settings(bool fail, const char *secret) {
    struct op op;
    op_init(&op, 0, 0);
    struct settings *settings = settings_new(options, ARRAY_COUNT(options));
    MUST(settings);
    if (fail) {
        MUST(settings_set_flag(settings, &op, "fail", true) == OK);
    }
    if (secret) {
        MUST(settings_set_text(settings, &op, "secret", secret) == OK);
    }
    MUST(settings_finish(settings, &op) == OK);
    return settings;
}
