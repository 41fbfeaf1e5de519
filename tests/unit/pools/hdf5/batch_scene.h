/* batch_scene.h - one batch at a time, with what other threads would see at its commit, and with a commit that fails.
 *
 * The store's own thread is ended, and the test takes its place: so it knows which requests share a batch. The store's calls of
 * h5_file_commit, h5_file_write_body, h5_file_is_poisoned and attributes_write_sha256 come here first (the linker's --wrap).
 */
#ifndef TESTS_UNIT_POOLS_HDF5_BATCH_SCENE_H
#define TESTS_UNIT_POOLS_HDF5_BATCH_SCENE_H

#include "hdf5_fixture.h"

#include "pools/hdf5/store.h"

extern struct fixture fixture;
extern struct store *store;
extern bool note_fails, sync_failed, commit_fails;
extern unsigned commits_to_pass; /* before they fail */
extern const char *watched;      /* an id that is looked up at each commit, as a reader does */
extern int seen_at_commit;       /* how often it was there */
extern atomic_uint commits;
extern bool bodies_fail;
extern unsigned body_writes;

void scene_set_up(void);
void scene_tear_down(void);
void open_store(struct store_limits limits);
void close_store(void);

/* A request of one batch, and what it points at. */
struct asked {
    struct store_request request;
    struct op op;
    struct id id;
    struct meta meta;
};
void ask(struct asked *asked, struct request_batch *batch, enum store_action action, const char *id);
void ask_put(struct asked *asked, struct request_batch *batch, const char *id, const char *text,
             uint64_t length, enum hold hold);
/* Batches of one; they must succeed. */
void put_alone(const char *id, const char *text, uint64_t length, enum hold hold);
void remove_alone(const char *id);
void copy_alone(struct fence_table *fences, const char *name, const char *text);

bool has(const char *id);
/* The caller drops it; NULL = there is none. */
struct version *shown(const char *id);
uint64_t length_of(const char *id);

#endif
