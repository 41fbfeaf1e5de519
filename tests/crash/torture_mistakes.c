/* torture_mistakes.c - a mistake that somebody might make in a compaction, planted by LAILAD_TORTURE_MISTAKE for the torture to find.
 *
 *   notes   what is changed behind the walk is not copied anew
 *
 * The linker puts the __wrap_ function in the place of the one it is named after (CMakeLists.txt). Threads: the store's.
 */
#include "pools/hdf5/store.h"

#include <stdlib.h>
#include <string.h>

void __real_store_note_change(struct store *store, const struct record *record);
void __wrap_store_note_change(struct store *store, const struct record *record);
void __wrap_store_note_change(struct store *store, const struct record *record) {
    const char *planted = getenv("LAILAD_TORTURE_MISTAKE");
    if (!planted || strcmp(planted, "notes") != 0) {
        __real_store_note_change(store, record);
    }
}
