/* mistakes.c - see mistakes.h. The linker puts each __wrap_ function in the place of the one it is named after (CMakeLists.txt). */
#include "tests/crash/mistakes.h"

#include "pools/base/must.h"
#include "pools/hdf5/vfd/journal.h"
#include "pools/hdf5/vfd/overlay.h"
#include "pools/hdf5/vfd/shadow_inside.h"

#include <stdlib.h>
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
    {.seed = 1, .name = "revokes are forgotten", .forgets_revokes = true},
    {.seed = 1, .name = "checksums are ignored", .ignores_checksums = true},
    {.seed = 1, .name = "what is dirty is known by page, not by byte", .knows_only_pages = true},
    {.seed = 1,
     .name = "bodies go in place over space that the last commit refers to",
     .forgets_where_the_end_was = true},
    {.seed = 1,
     .name = "space is freed before the commit that no longer needs it",
     .workload = {.frees_first = true}},
    {.seed = 1, .name = "lent space stays in the overlay", .lends_without_forgetting = true},
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

int __real_overlay_write(struct overlay *overlay, struct medium *medium, uint64_t offset, const void *bytes,
                         size_t count, bool *ret_changed);
int __wrap_overlay_write(struct overlay *overlay, struct medium *medium, uint64_t offset, const void *bytes,
                         size_t count, bool *ret_changed);

/* Writes the pages whole, with every bit of them turned over first: so every byte differs. */
static int write_pages(struct overlay *overlay, struct medium *medium, uint64_t offset, const void *bytes,
                       size_t count, bool *ret_changed) {
    uint64_t first = offset - offset % OVERLAY_PAGE_BYTES;
    size_t whole =
        (size_t)((offset + count - first + OVERLAY_PAGE_BYTES - 1) / OVERLAY_PAGE_BYTES) * OVERLAY_PAGE_BYTES;
    uint8_t *pages = malloc(whole);
    MUST(pages);
    int result = overlay_read(overlay, medium, first, pages, whole);
    for (int turn = 0; !result && turn < 2; turn++) {
        for (size_t i = 0; i < whole; i++) {
            pages[i] = (uint8_t)~pages[i];
        }
        if (turn == 1) {
            memcpy(pages + (offset - first), bytes, count);
        }
        result = __real_overlay_write(overlay, medium, first, pages, whole, ret_changed);
    }
    free(pages);
    return result;
}

int __wrap_overlay_write(struct overlay *overlay, struct medium *medium, uint64_t offset, const void *bytes,
                         size_t count, bool *ret_changed) {
    return planted.knows_only_pages
               ? write_pages(overlay, medium, offset, bytes, count, ret_changed)
               : __real_overlay_write(overlay, medium, offset, bytes, count, ret_changed);
}

void __real_shadow_library_set_end(struct shadow *shadow, uint64_t end);
void __wrap_shadow_library_set_end(struct shadow *shadow, uint64_t end);
void __wrap_shadow_library_set_end(struct shadow *shadow, uint64_t end) {
    uint64_t lowest = shadow->lowest_end;
    __real_shadow_library_set_end(shadow, end);
    if (planted.forgets_where_the_end_was) {
        shadow->lowest_end = lowest;
    }
}

void __real_shadow_lend(struct shadow *shadow, uint64_t offset, uint64_t bytes);
void __wrap_shadow_lend(struct shadow *shadow, uint64_t offset, uint64_t bytes);
void __wrap_shadow_lend(struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    if (!planted.lends_without_forgetting) {
        __real_shadow_lend(shadow, offset, bytes);
    }
}

void __real_shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes);
void __wrap_shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes);
void __wrap_shadow_note_body(struct shadow *shadow, uint64_t offset, uint64_t bytes) {
    if (!planted.notes_nothing) {
        __real_shadow_note_body(shadow, offset, bytes);
    }
}
