/* torture_phases.c - says how far a compaction or a scrub is, so that the parent can kill there, and knows where a kill fell.
 *
 * The linker puts each __wrap_ function in the place of the one it is named after, where another file of the pool calls it (CMakeLists.txt).
 * Threads: the store's, and for the start of a scrub any.
 */
#include "tests/crash/torture.h"

#include "pools/hdf5/compact.h"

#include <stdatomic.h>

/* Of the pool that is open, there is one at a time. The store's thread. */
static const char *kind = "compact";
static bool told_catching_up;
static _Atomic(struct work *) scrub;

static void phase(const char *of, const char *word) {
    say("P\t%s\t%s\n", of, word);
}

/* ---- a compaction, or the conversion of a file that is not written in place ---- */
enum err __real_compaction_open(struct op *op, struct store *store, const char *path, bool replace,
                                struct compaction **ret_compaction);
enum err __wrap_compaction_open(struct op *op, struct store *store, const char *path, bool replace,
                                struct compaction **ret_compaction);
enum err __wrap_compaction_open(struct op *op, struct store *store, const char *path, bool replace,
                                struct compaction **ret_compaction) {
    kind = store->file->convertible ? "convert" : "compact";
    told_catching_up = false;
    phase(kind, "copying");
    return __real_compaction_open(op, store, path, replace, ret_compaction);
}

enum err __real_compaction_step(struct compaction *compaction, struct op *op, uint64_t until_ns,
                                bool *ret_whole);
enum err __wrap_compaction_step(struct compaction *compaction, struct op *op, uint64_t until_ns,
                                bool *ret_whole);
enum err __wrap_compaction_step(struct compaction *compaction, struct op *op, uint64_t until_ns,
                                bool *ret_whole) {
    if (compaction->walked && !told_catching_up) {
        told_catching_up = true;
        phase(kind, "catching up");
    }
    return __real_compaction_step(compaction, op, until_ns, ret_whole);
}

enum err __real_compaction_switch(struct compaction *compaction, struct op *op, bool keep_original);
enum err __wrap_compaction_switch(struct compaction *compaction, struct op *op, bool keep_original);
enum err __wrap_compaction_switch(struct compaction *compaction, struct op *op, bool keep_original) {
    phase(kind, "switching");
    enum err err = __real_compaction_switch(compaction, op, keep_original);
    phase(kind, err ? "not switched" : "switched");
    return err;
}

void __real_compaction_free(struct compaction *compaction);
void __wrap_compaction_free(struct compaction *compaction);
void __wrap_compaction_free(struct compaction *compaction) {
    __real_compaction_free(compaction);
    if (compaction) {
        phase(kind, "ended");
    }
}

/* ---- a scrub ---- */
void __real_store_scrub_begin(struct store *store);
void __wrap_store_scrub_begin(struct store *store);
void __wrap_store_scrub_begin(struct store *store) {
    atomic_store(&scrub, &store->work[UPKEEP_SCRUB]);
    phase("scrub", "reading");
    __real_store_scrub_begin(store);
}

void __real_work_end(struct work *work, const struct fault *fault);
void __wrap_work_end(struct work *work, const struct fault *fault);
void __wrap_work_end(struct work *work, const struct fault *fault) {
    if (work == atomic_load(&scrub)) {
        phase("scrub", "ended");
    }
    __real_work_end(work, fault);
}
