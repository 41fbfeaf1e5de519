/* apply.c - a batch: each request in its order, then what nobody reads any more is let go, then one commit, then all
 * changes are shown at once and the callers wake. Runs on the store's thread only. See store.h.
 *
 * Order matters. Puts come before the frees, so that nothing is written into space which the last commit still refers
 * to; frees concern datasets that earlier batches replaced, so no reader can still find them.
 *
 * A batch of nothing but copies is not committed for its own sake; see store.h.
 *
 * A request that fails leaves file and index as they were: the new dataset has no name until its last step, and a link
 * that was taken away is put back. Where that fails too, or the commit does, everything since the last commit is taken back
 * (undo.c), and whoever waits for a change since then is told so.
 */
#include "pools/hdf5/attributes.h"
#include "pools/hdf5/dataset.h"
#include "pools/hdf5/link_name.h"
#include "pools/hdf5/store.h"

#include "pools/base/clock.h"
#include "pools/base/must.h"

#include <stdlib.h>

static struct store_request *request_of(struct request *request) {
    return CONTAINER_OF(request, struct store_request, request);
}

/* Finds what is to be changed. An entry whose object cannot be read (its version stays unresolved) can still be replaced and
 * removed, unless its metadata is asked about. */
static enum err find_to_change(struct store *store, struct op *op, const struct id *id,
                               const struct condition *condition, struct record **ret_record) {
    enum err err = store_find(store, op, id, ret_record);
    bool asks = condition && (condition->kind == CONDITION_MATCH || condition->kind == CONDITION_NONE_MATCH ||
                              condition->kind == CONDITION_CACHED);
    if (err == ERR_CORRUPT && !asks) {
        *ret_record = index_find(&store->index, id);
        return *ret_record ? OK : err; /* without one it is the group that cannot be read */
    }
    return err;
}

/* ---- put ---- */
static enum err judge(const struct store_request *request, const struct version *current) {
    struct op *op = request->request.op;
    if (request->fence && !fence_holds(request->fence)) {
        return op_fail(op, REASON_SUPERSEDED, "a newer local write came first");
    }
    if (request->fence && current && current->hold != HOLD_CACHED) {
        return op_fail(op, REASON_SUPERSEDED, "the pool has an entry of its own");
    }
    if (!request->condition) {
        return OK;
    }
    struct meta meta;
    if (current) {
        version_meta(current, &meta);
    }
    enum err err = condition_check(op, request->condition, current ? &meta : NULL);
    if (current) {
        meta_fini(&meta);
    }
    return err;
}

/* A dataset for the request's body: the reservation's, or a new one. A small body follows when it has its name (join_run). */
static enum err place_body(struct store *store, struct store_request *request, hid_t *ret_dataset,
                           struct placement *ret_placement) {
    struct op *op = request->request.op;
    if (request->reservation) {
        if (request->reservation->lost.reason) {
            return op_adopt(op, &request->reservation->lost);
        }
        if (request->reservation->file != store->file) {
            return op_fail(op, REASON_BUSY, "the file was copied meanwhile: send the entry again");
        }
        h5_file_note_body(store->file, request->reservation->placement.offset, request->length);
        *ret_dataset = request->reservation->dataset;
        *ret_placement = request->reservation->placement;
        return OK;
    }
    AUTO(h5_close) hid_t dataset = H5I_INVALID_HID;
    enum err err = store_create_dataset(store, op, request->kind, request->length, &dataset, ret_placement);
    if (!err && request->length > BODY_RUN_BODY_BYTES) {
        err = h5_file_write_body(store->file, op, ret_placement->offset, request->bytes,
                                 (size_t)request->length);
    }
    if (!err) {
        *ret_dataset = h5_steal(&dataset);
    }
    return err;
}

static enum err link_put(struct store *store, struct store_request *request, struct record *record,
                         hid_t dataset, const struct placement *placement) {
    struct op *op = request->request.op;
    struct meta meta = *request->meta; /* a view: nothing of it is freed here */
    meta.size_bytes = request->length;
    meta.stored_ms = clock_wall_ms();
    meta.created_ms = meta.created_ms ? meta.created_ms : meta.stored_ms;
    enum err err =
        attributes_write(&store->file->forms, dataset, op, &meta, version_default_type(placement->kind));
    if (err) {
        return err;
    }
    AUTO(version_drop) struct version *version = version_new(store->file, placement, &meta);
    struct version *old = record ? record_latest(record) : NULL;
    struct record *target = version && !record ? index_add(&store->index, request->id, NULL) : record;
    if (!version || !target) {
        return op_no_memory(op);
    }
    atomic_store(&version->verified, true);
    char name[LINK_NAME_BYTES];
    record_link_name(target, name);
    err = store_note_undo(store, op, request->id, target);
    if (!err) {
        err = store_link(store, op, dataset, name, old);
    }
    if (err && !record) {
        index_stage(&store->index, target, NULL); /* never seen; published as nothing */
    }
    if (err) {
        return err;
    }
    request->existed = old != NULL;
    request->version = version_ref(version);
    store_note_change(store, target);
    index_stage(&store->index, target, STEAL(version));
    return OK;
}

/* The entry is linked: its place is nobody else's, whatever becomes of the rest of the batch. */
static void join_run(struct store *store, const struct store_request *request,
                     const struct placement *placement) {
    struct op op;
    op_init(&op, 0, 0);
    bool small = !request->reservation && request->length && request->length <= BODY_RUN_BODY_BYTES;
    if (small && body_run_add(&store->run, store->file, &op, placement->offset, request->bytes,
                              (size_t)request->length)) {
        store_break(store, &op.fault);
    }
}

static enum err put(struct store *store, struct store_request *request) {
    struct op *op = request->request.op;
    struct record *record = NULL;
    enum err err = find_to_change(store, op, request->id, request->condition, &record);
    if (!err) {
        err = judge(request, record ? record_latest(record) : NULL);
    }
    if (!err) {
        err = store_begin_change(store, op, true);
    }
    if (!err) {
        err = store_make_room(store, op, request->id, request->length);
    }
    if (err) {
        return err;
    }
    hid_t dataset = H5I_INVALID_HID;
    struct placement placement = {0};
    err = place_body(store, request, &dataset, &placement);
    if (err) {
        return err;
    }
    /* Making room may have settled the batch and freed a record that was staged as removed. */
    record = index_find(&store->index, request->id);
    err = store_know(store, op, &record); /* a conversion forgets versions */
    if (!err || err == ERR_CORRUPT) {
        err = link_put(store, request, record, dataset, &placement);
    }
    if (err && request->reservation) {
        return err; /* its owner releases it */
    }
    h5_close(dataset);
    if (!err) {
        join_run(store, request, &placement);
    }
    if (!err && request->reservation) {
        LIST_REMOVE(request->reservation, in_reservations);
        h5_file_unref(request->reservation->file);
        free(request->reservation);
        request->reservation = NULL;
    }
    request->changed = !err;
    return err;
}

/* ---- the others ---- */
static enum err remove_one(struct store *store, struct op *op, const struct id *id,
                           const struct version *only, const struct condition *condition, bool *ret_existed) {
    struct record *record = NULL;
    enum err err = find_to_change(store, op, id, condition, &record);
    if (err) {
        return err;
    }
    struct version *current = record ? record_latest(record) : NULL;
    struct store_request judged = {.request = {.op = op}, .condition = condition};
    err = judge(&judged, current);
    if (err || !current || (only && only != current)) {
        *ret_existed = false;
        return err;
    }
    err = store_begin_change(store, op, false);
    if (!err) {
        err = store_unlink(store, op, record);
    }
    if (!err) {
        *ret_existed = true;
    }
    return err;
}

struct doomed {
    uint64_t address;
    const char *id;
};

static int by_address(const void *a, const void *b) {
    const struct doomed *left = a;
    const struct doomed *right = b;
    return left->address < right->address ? -1 : left->address > right->address;
}

/* Damaged entries that stay do not stop it; the first of them is told. In the order of the file: neighbours share the blocks in which the group keeps its links. */
static enum err remove_many(struct store *store, struct store_request *request) {
    const struct listing *ids = request->ids;
    struct doomed *doomed = calloc(ids->count + 1, sizeof *doomed);
    if (!doomed) {
        return op_no_memory(request->request.op);
    }
    for (size_t i = 0; i < ids->count; i++) {
        struct id id = id_trusted(ids->ids[i], strlen(ids->ids[i]));
        const struct record *record = index_find(&store->index, &id);
        doomed[i] = (struct doomed){.address = record ? record->address : 0, .id = ids->ids[i]};
    }
    qsort(doomed, ids->count, sizeof *doomed, by_address);
    struct op *op = request->request.op;
    struct fault first = {0};
    enum err err = OK;
    for (size_t i = 0; (!err || err == ERR_CORRUPT) && i < ids->count; i++) {
        struct id id = id_trusted(doomed[i].id, strlen(doomed[i].id));
        bool existed = false;
        err = remove_one(store, op, &id, NULL, NULL, &existed);
        request->removed += existed && !err;
        if (err && !first.reason) {
            first = op->fault;
        }
    }
    free(doomed);
    return first.reason ? op_adopt(op, &first) : OK;
}

static enum err reserve(struct store *store, struct store_request *request) {
    struct op *op = request->request.op;
    enum err err = store_begin_change(store, op, true);
    if (!err) {
        err = store_make_room(store, op, request->id, request->length);
    }
    if (err) {
        return err;
    }
    struct reservation *reservation = calloc(1, sizeof *reservation);
    if (!reservation) {
        return op_no_memory(op);
    }
    err = store_create_dataset(store, op, request->kind, request->length, &reservation->dataset,
                               &reservation->placement);
    if (err) {
        free(reservation);
        return err;
    }
    h5_file_lend(store->file, reservation->placement.offset, reservation->placement.length);
    reservation->file = h5_file_ref(store->file);
    LIST_INSERT_HEAD(&store->reservations, reservation, in_reservations);
    request->reservation = reservation;
    return OK;
}

static enum err perform(struct store *store, struct store_request *request) {
    struct op *op = request->request.op;
    switch (request->action) {
    case STORE_PUT:
        return put(store, request);
    case STORE_REMOVE: {
        enum err err =
            remove_one(store, op, request->id, request->version, request->condition, &request->existed);
        request->changed = !err && request->existed;
        return err;
    }
    case STORE_REMOVE_MANY: {
        enum err err = remove_many(store, request);
        request->changed = request->removed > 0;
        return err;
    }
    case STORE_RESERVE:
        return reserve(store, request);
    case STORE_LOOKUP:
        return store_look_up(store, request);
    case STORE_LEARN:
        return store_learn(store, request);
    case STORE_QUARANTINE:
        return store_quarantine(store, request);
    case STORE_EXPORT:
        store_push_bodies(store);
        return store_export(store, op, request->path);
    }
    must_fail("a request has an action", __FILE__, __LINE__);
}

/* What a change answers holds only once it is committed, also when it says that there was nothing to change. So does a refusal that may
 * have been judged by changes which are not committed either: by a put before it, say, or by what the limits have left over. A reservation
 * that was given is lost with them, and its put is told so. */
static bool is_undecided(const struct store_request *request, enum err err, bool judged_by_uncommitted) {
    switch (request->action) {
    case STORE_PUT:
    case STORE_REMOVE:
    case STORE_REMOVE_MANY:
        return !err || judged_by_uncommitted;
    case STORE_RESERVE:
        return err && judged_by_uncommitted;
    default:
        return false; /* they look at what is shown */
    }
}

static enum err carry_out(struct store *store, struct store_request *request) {
    bool uncommitted = store->dirty;
    enum err err = perform(store, request);
    bool met_it = err && atomic_load(&store->poisoned); /* its own failure says more */
    request->undecided = is_undecided(request, err, uncommitted && !met_it);
    return err;
}

/* ---- the end of a batch ---- */
/* A copy may be lost in a crash, and the tier it came from still has it: it need not wait for a flush of its own. */
static bool is_copies_only(const struct request_batch *batch) {
    const struct request *request = NULL;
    bool any = false;
    STAILQ_FOREACH(request, batch, in_batch) {
        const struct store_request *one = CONTAINER_OF_CONST(request, struct store_request, request);
        if (one->action != STORE_PUT || !one->fence || one->meta->hold != HOLD_CACHED) {
            return false;
        }
        any = any || one->changed;
    }
    return any;
}

/* In the middle of other work: nothing is committed, shown or let go, for a batch may be half done. */
void store_run_urgent(void *context, struct request_batch *batch) {
    struct request *request = NULL;
    STAILQ_FOREACH(request, batch, in_batch) {
        request->result = carry_out(context, request_of(request));
    }
}

void store_run_batch(void *context, struct request_batch *batch) {
    struct store *store = context;
    struct op op;
    op_init(&op, 0, 0);
    index_trim(&store->index);
    struct request *request = NULL;
    store->rest_due_ns = 0;
    store_checkpoint_if_due(store);
    store->batch = batch;
    STAILQ_FOREACH(request, batch, in_batch) {
        request->result = carry_out(store, request_of(request));
        if (!STAILQ_NEXT(request, in_batch)) {
            commit_take_more(&store->commit, batch);
        }
    }
    store_push_bodies(store);
    bool may_wait = !store->copies_due_ns || clock_now_ns() < store->copies_due_ns;
    bool whole = !store->must_roll_back && !atomic_load(&store->poisoned);
    if (may_wait && whole && is_copies_only(batch)) {
        index_publish(&store->index); /* what they replaced stays held until a commit */
        if (!store->copies_due_ns) {
            store->copies_due_ns = clock_now_ns() + STORE_COPIES_NS;
        }
    } else {
        (void)store_settle(store, &op); /* tells whom it concerns */
    }
    store->batch = NULL;
}
