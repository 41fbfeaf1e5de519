/* batch_scene.c - see batch_scene.h. */
#include "batch_scene.h"

#include "pools/hdf5/attributes.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

enum err __real_h5_file_commit(struct h5_file *file, struct op *op);
enum err __wrap_h5_file_commit(struct h5_file *file, struct op *op);

enum err __real_h5_file_write_body(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                                   size_t count);
enum err __wrap_h5_file_write_body(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                                   size_t count);

bool __real_h5_file_is_poisoned(const struct h5_file *file);
bool __wrap_h5_file_is_poisoned(const struct h5_file *file);

enum err __real_attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                        const uint8_t sha256[SHA256_BYTES]);
enum err __wrap_attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                        const uint8_t sha256[SHA256_BYTES]);

struct fixture fixture;
bool note_fails;
bool sync_failed;
struct store *store;
bool commit_fails;
unsigned commits_to_pass; /* before they fail */
const char *watched;      /* an id that is looked up at each commit, as a reader does */
int seen_at_commit;       /* how often it was there */
atomic_uint commits;
bool bodies_fail;
unsigned body_writes;

void scene_set_up(void) {
    fixture_open(&fixture);
    pool_unref(fixture.pool);
    fixture.pool = NULL;
    commit_fails = false;
    bodies_fail = false;
    body_writes = 0;
    commits_to_pass = 0;
    sync_failed = false;
    watched = NULL;
    seen_at_commit = 0;
}

void open_store(struct store_limits limits) {
    struct op op;
    op_init(&op, 0, 0);
    char *path = fixture_path(&fixture, "p.h5");
    struct store_options options = {.limits = limits};
    ck_assert_int_eq(store_open(&op, path, &options, &store), OK);
    free(path);
    ck_assert_int_eq(store_await_loaded(store, &op, UINT64_C(10000000000)), OK);
    commit_stop(&store->commit);
    h5_enter();
    store->link_list = H5Pcreate(H5P_LINK_CREATE);
}

void close_store(void) {
    commit_fails = false;
    store_let_all_go(store);
    store_close(store);
    store = NULL;
}

void scene_tear_down(void) {
    fixture_close(&fixture);
}

enum err __wrap_h5_file_commit(struct h5_file *file, struct op *op) {
    atomic_fetch_add(&commits, 1);
    if (watched) {
        struct id id = id_of(watched);
        struct sight sight;
        index_look(&store->index, &id, &sight);
        seen_at_commit += sight.is_there;
        version_drop(sight.version);
    }
    if (commits_to_pass) {
        commits_to_pass--;
        return __real_h5_file_commit(file, op);
    }
    return commit_fails ? op_fail(op, REASON_IO, "this commit fails") : __real_h5_file_commit(file, op);
}

enum err __wrap_h5_file_write_body(struct h5_file *file, struct op *op, uint64_t offset, const void *bytes,
                                   size_t count) {
    body_writes++;
    return bodies_fail ? op_fail(op, REASON_NO_SPACE, "this body fails")
                       : __real_h5_file_write_body(file, op, offset, bytes, count);
}

bool __wrap_h5_file_is_poisoned(const struct h5_file *file) {
    return sync_failed || __real_h5_file_is_poisoned(file);
}

enum err __wrap_attributes_write_sha256(const struct h5_forms *forms, hid_t dataset, struct op *op,
                                        const uint8_t sha256[SHA256_BYTES]) {
    return note_fails ? op_fail(op, REASON_NO_SPACE, "this note fails")
                      : __real_attributes_write_sha256(forms, dataset, op, sha256);
}

/* ---- requests of one batch ---- */
void ask(struct asked *asked, struct request_batch *batch, enum store_action action, const char *id) {
    memset(asked, 0, sizeof *asked);
    op_init(&asked->op, 0, 0);
    asked->id = id_of(id);
    meta_init(&asked->meta);
    asked->request = (struct store_request){
        .request = {.op = &asked->op}, .action = action, .id = &asked->id, .meta = &asked->meta};
    STAILQ_INSERT_TAIL(batch, &asked->request.request, in_batch);
}

void ask_put(struct asked *asked, struct request_batch *batch, const char *id, const char *text,
             uint64_t length, enum hold hold) {
    ask(asked, batch, STORE_PUT, id);
    asked->meta.hold = hold;
    asked->request.kind = VERSION_BYTES;
    asked->request.length = length;
    asked->request.bytes = text;
}

void put_alone(const char *id, const char *text, uint64_t length, enum hold hold) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    ask_put(&put, &batch, id, text, length, hold);
    store_run_batch(store, &batch);
    ck_assert_msg(put.request.request.result == OK, "%s", put.op.fault.detail);
    version_drop(put.request.version);
}

bool has(const char *id) {
    struct id key = id_of(id);
    struct sight sight;
    index_look(&store->index, &key, &sight);
    version_drop(sight.version);
    return sight.is_there;
}

/* The caller drops it; NULL = there is none. */
struct version *shown(const char *id) {
    struct op op;
    op_init(&op, 0, 0);
    struct id key = id_of(id);
    struct record *record = NULL;
    ck_assert_int_eq(store_find(store, &op, &key, &record), OK);
    struct version *version = record ? record_shown(record) : NULL;
    return version ? version_ref(version) : NULL;
}

uint64_t length_of(const char *id) {
    struct version *version = shown(id);
    ck_assert_ptr_nonnull(version);
    uint64_t length = version->length;
    version_drop(version);
    return length;
}

void remove_alone(const char *id) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked removal;
    ask(&removal, &batch, STORE_REMOVE, id);
    store_run_batch(store, &batch);
    ck_assert_int_eq(removal.request.request.result, OK);
    ck_assert(removal.request.existed);
}

void copy_alone(struct fence_table *fences, const char *name, const char *text) {
    struct request_batch batch = STAILQ_HEAD_INITIALIZER(batch);
    struct asked put;
    struct fence fence;
    ask_put(&put, &batch, name, text, strlen(text), HOLD_CACHED);
    ck_assert_int_eq(fence_raise(fences, &put.op, &fence, &put.id), OK);
    put.request.fence = &fence;
    store_run_batch(store, &batch);
    ck_assert_msg(put.request.request.result == OK, "%s", put.op.fault.detail);
    fence_lower(fences, &fence);
    version_drop(put.request.version);
}
