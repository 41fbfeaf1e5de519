/* err.c - the texts of the two lists in err.h. */
#include "pools/base/err.h"

#include "pools/base/must.h"

struct kind_row {
    const char *word;
    bool retryable;
};

struct reason_row {
    const char *slug;
    const char *title;
};

static const struct kind_row kind_rows[ERR_COUNT] = {[OK] = {"ok", false},
#define X(name, word, retryable) [name] = {word, retryable},
                                                     ERR_LIST(X)
#undef X
};

static const struct reason_row reason_rows[REASON_COUNT] = {[REASON_NONE] = {"none", "No failure"},
#define X(name, kind, slug, title) [name] = {slug, title},
                                                            REASON_LIST(X)
#undef X
};

const char *err_word(enum err kind) {
    MUST((unsigned)kind < ERR_COUNT);
    return kind_rows[kind].word;
}

bool err_retryable(enum err kind) {
    MUST((unsigned)kind < ERR_COUNT);
    return kind_rows[kind].retryable;
}

bool reason_retryable(enum reason reason) {
    switch (reason) {
    case REASON_POOL_FAILED:   /* its file has to be mended */
    case REASON_POOL_POISONED: /* it has to be opened again */
    case REASON_NOT_CACHED:    /* somebody has to read it first */
        return false;
    default:
        return err_retryable(reason_kind(reason));
    }
}

const char *reason_slug(enum reason reason) {
    MUST((unsigned)reason < REASON_COUNT);
    return reason_rows[reason].slug;
}

const char *reason_title(enum reason reason) {
    MUST((unsigned)reason < REASON_COUNT);
    return reason_rows[reason].title;
}
