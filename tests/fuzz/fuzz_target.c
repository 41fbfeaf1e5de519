/* fuzz_target.c - the raw request target: never reads outside, never yields more than it was given, always frees. */
#include "api/target.h"
#include "pools/base/hash.h"
#include "pools/base/must.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    hash_setup();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct op op;
    op_init(&op, 0, 0);
    struct target target;
    enum err err = target_parse(&op, (const char *)data, size, &target);
    if (err) {
        MUST(op.fault.reason != REASON_NONE && reason_kind(op.fault.reason) == err);
        return 0;
    }
    size_t total = 0;
    for (unsigned i = 0; i < target.segment_count; i++) {
        MUST(target.segment[i].text[target.segment[i].bytes] == '\0');
        total += target.segment[i].bytes;
    }
    for (unsigned i = 0; i < target.parameter_count; i++) {
        MUST(target.parameter[i].name.text[target.parameter[i].name.bytes] == '\0');
        const struct target_text *name = &target.parameter[i].name;
        MUST(strlen(name->text) != name->bytes ||
             target_query(&target, name->text) == &target.parameter[i].value);
        total += target.parameter[i].name.bytes;
    }
    MUST(total <= size);
    target_fini(&target);
    return 0;
}
