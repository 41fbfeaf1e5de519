/* mistakes.c - see mistakes.h. The linker puts each __wrap_ function in the place of the one it is named after (CMakeLists.txt). */
#include "tests/crash/mistakes.h"

#include "pools/hdf5/vfd/journal.h"
#include "pools/hdf5/vfd/shadow.h"

#include <string.h>

const struct mistake mistakes[] = {
    {.seed = 1, .name = "the journal is not synced", .journal_is_not_synced = true},
    {.seed = 1,
     .name = "large bodies are committed before the file is synced",
     .workload = {.commits_without_file_sync = true}},
    {.seed = 1,
     .name = "a checkpoint resets the journal before the file is synced",
     .workload = {.checkpoints_without_sync = true}},
    {.seed = 1,
     .name = "recovery removes the journal before the file is synced",
     .recovers_without_sync = true},
    {.seed = 9, .name = "revokes are forgotten", .forgets_revokes = true},
    {.seed = 2, .name = "checksums are ignored", .ignores_checksums = true},
    {.seed = 5,
     .name = "space is freed before the commit that no longer needs it",
     .workload = {.frees_first = true}},
    {.seed = 1, .name = "bodies of others are not noted", .notes_nothing = true},
};
const size_t mistake_count = sizeof mistakes / sizeof mistakes[0];

static struct mistake planted;

void mistakes_plant(const struct mistake *mistake) {
    planted = *mistake;
}

void mistakes_in_recovery(struct lossy_disk *disk) {
    disk->ignores_sync[MEDIUM_MAIN] = planted.recovers_without_sync;
}

void mistakes_in_workload(struct lossy_disk *disk) {
    disk->ignores_sync[MEDIUM_JOURNAL] = planted.journal_is_not_synced;
}

/* ---- salts are the same for the same seed ---- */

void __wrap_randombytes_buf(void *ret_bytes, size_t count);
void __wrap_randombytes_buf(void *ret_bytes, size_t count) {
    static struct chance chance = {42};
    model_fill(chance_next(&chance), ret_bytes, count);
}

/* ---- in another's place ---- */

enum err __real_journal_add_revoke(struct journal *journal, struct op *op, uint64_t offset, uint64_t bytes);
enum err __wrap_journal_add_revoke(struct journal *journal, struct op *op, uint64_t offset, uint64_t bytes);
enum err __wrap_journal_add_revoke(struct journal *journal, struct op *op, uint64_t offset, uint64_t bytes) {
    return planted.forgets_revokes ? OK : __real_journal_add_revoke(journal, op, offset, bytes);
}

int __real_crypto_shorthash(unsigned char *out, const unsigned char *in, unsigned long long count,
                            const unsigned char *key);
int __wrap_crypto_shorthash(unsigned char *out, const unsigned char *in, unsigned long long count,
                            const unsigned char *key);
int __wrap_crypto_shorthash(unsigned char *out, const unsigned char *in, unsigned long long count,
                            const unsigned char *key) {
    if (planted.ignores_checksums) {
        memset(out, 0, 8);
        return 0;
    }
    return __real_crypto_shorthash(out, in, count, key);
}

void __real_shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes);
void __wrap_shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes);
void __wrap_shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    if (!planted.notes_nothing) {
        __real_shadow_note_body(shadow, offset, bytes);
    }
}
