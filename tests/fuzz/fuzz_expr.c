/* fuzz_expr.c - chain expressions: what parses and is formatted parses again to as many links. */
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "pools/chain/expr.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct op op;
    op_init(&op, 0, 0);
    struct expr_links links = {0};
    enum err err = expr_parse(&op, (const char *)data, size, &links);
    if (err) {
        MUST(links.count == 0 && reason_kind(op.fault.reason) == err);
        return 0;
    }
    struct buf text;
    buf_init(&text, EXPR_MOST_BYTES * 4);
    /* A cycle cannot be formatted; everything else must come back. */
    if (expr_format(&op, &links, &text) == OK) {
        struct expr_links again = {0};
        MUST(expr_parse(&op, text.data ? text.data : "", text.size, &again) == OK);
        MUST(again.count == links.count);
        expr_links_fini(&again);
    }
    buf_fini(&text);
    expr_links_fini(&links);
    return 0;
}
