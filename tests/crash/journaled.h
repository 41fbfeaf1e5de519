/* journaled.h - an HDF5 file behind the journaled driver, used as the store uses it: puts in place, one flush and one commit for a batch,
 * what was replaced is let go last. Fails the test when a call fails that must not.
 */
#ifndef TESTS_CRASH_JOURNALED_H
#define TESTS_CRASH_JOURNALED_H

#include "pools/hdf5/vfd/driver.h"

#define JOURNALED_HELD_MOST 512

struct journaled {
    struct op op;
    struct medium *medium;
    struct shadow *shadow;
    hid_t file;
    hid_t held[JOURNALED_HELD_MOST]; /* replaced or removed, not let go yet */
    size_t held_count;
};

enum journaled_body { BODY_WRITTEN, BODY_NOTED, BODY_BY_LIBRARY };

/* Takes the medium over; a file without bytes is created and committed. */
void journaled_open(struct journaled *journaled, struct medium *take_medium);
/* As open, but the shadow may refuse: then the medium is still the caller's. */
enum err journaled_try_open(struct journaled *journaled, struct medium *medium);
/* Opens the library's file once more, after journaled_close_library. */
void journaled_open_library(struct journaled *journaled);
void journaled_close_library(struct journaled *journaled);
/* Whole and clean. */
void journaled_close(struct journaled *journaled);
/* As a crash leaves it: nothing more reaches the medium. */
void journaled_abandon(struct journaled *journaled);

void journaled_put(struct journaled *journaled, const char *name, const void *bytes, size_t count,
                   enum journaled_body how);
void journaled_remove(struct journaled *journaled, const char *name);
/* Frees what was replaced and flushes the library; then the shadow may be committed. */
void journaled_let_go(struct journaled *journaled);
void journaled_flush(struct journaled *journaled);
/* All of the above and a commit that must succeed. */
void journaled_commit(struct journaled *journaled);

/* ---- any HDF5 file ---- */
/* Calls with each entry's name and bytes, in the order of names; false when the file or an entry cannot be read. */
typedef void entry_visit_fn(void *context, const char *name, const void *bytes, size_t count);
bool entries_each(hid_t file, entry_visit_fn *visit, void *context);

#endif
