/* workload.c - see workload.h. */
#include "tests/crash/workload.h"

#include "pools/base/must.h"
#include "tests/crash/journaled.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UPLOADS_MOST 6
#define UPLOAD_PIECES 4

/* A body that comes over several batches. */
struct upload {
    bool active;
    bool doomed; /* the file went back: somebody writes on who does not know yet */
    hid_t dataset;
    uint64_t offset;
    size_t bytes, piece;
    uint64_t seed;
    size_t name;
};

struct run {
    struct workload *workload;
    struct chance *chance;
    struct lossy_disk *disk;
    const struct workload_mistakes *mistakes;
    struct journaled file;
    struct model now;
    uint64_t committed; /* the number of its state */
    struct upload uploads[UPLOADS_MOST];
    bool copies_only; /* this batch's bodies are few and ours: they go into the journal */
    uint8_t *bytes;
};

/* ---- states ---- */

static void remember_state(struct run *run) {
    struct workload *workload = run->workload;
    workload->states = realloc(workload->states, (workload->state_count + 1) * sizeof *workload->states);
    MUST(workload->states);
    workload->states[workload->state_count++] = run->now;
}

/* ---- commits ---- */

static void note_committed(struct run *run, uint64_t number) {
    run->committed = number;
    disk_mark(run->disk, MARK_COMMITTED, number);
}

static enum err commit(struct run *run) {
    remember_state(run);
    uint64_t number = run->workload->state_count - 1;
    disk_mark(run->disk, MARK_COMMITTING, number);
    run->disk->ignores_sync[MEDIUM_MAIN] = run->mistakes->commits_without_file_sync;
    enum err err = shadow_commit(run->file.shadow, &run->file.op);
    run->disk->ignores_sync[MEDIUM_MAIN] = false;
    if (!err) {
        note_committed(run, number);
    }
    return err;
}

static void checkpoint(struct run *run) {
    run->disk->ignores_sync[MEDIUM_MAIN] = run->mistakes->checkpoints_without_sync;
    enum err err = shadow_checkpoint(run->file.shadow, &run->file.op);
    ck_assert_msg(err == OK, "checkpoint: %s", run->file.op.fault.detail);
    run->disk->ignores_sync[MEDIUM_MAIN] = false;
}

/* ---- uploads ---- */

/* Commits in the middle of a batch when the space needs it, as the store does. */
static void need_free(struct run *run, uint64_t offset, size_t bytes) {
    if (!shadow_is_free(run->file.shadow, offset, bytes)) {
        journaled_flush(&run->file);
        ck_assert_int_eq(commit(run), OK);
        ck_assert(shadow_is_free(run->file.shadow, offset, bytes));
    }
}

static void begin_upload(struct run *run) {
    for (size_t i = 0; i < UPLOADS_MOST; i++) {
        struct upload *upload = &run->uploads[i];
        if (upload->active) {
            continue;
        }
        *upload = (struct upload){.active = true};
        upload->bytes = 1 + chance_below(run->chance, chance_percent(run->chance, 60) ? 3000 : 200 << 10);
        upload->name = chance_below(run->chance, MODEL_NAMES);
        upload->seed = chance_next(run->chance);
        upload->dataset = journaled_reserve(&run->file, upload->bytes, &upload->offset);
        need_free(run, upload->offset, upload->bytes);
        shadow_lend(run->file.shadow, upload->offset, upload->bytes);
        return;
    }
}

static void write_piece(struct run *run, struct upload *upload) {
    size_t from = upload->bytes * upload->piece / UPLOAD_PIECES;
    size_t to = upload->bytes * (upload->piece + 1) / UPLOAD_PIECES;
    model_fill(upload->seed, run->bytes, upload->bytes);
    struct medium *medium = &run->disk->medium;
    if (to > from) {
        ck_assert_int_eq(
            medium->ops->write(medium, MEDIUM_MAIN, upload->offset + from, run->bytes + from, to - from), 0);
    }
    upload->piece++;
}

static void end_upload(struct run *run, struct upload *upload, bool keep) {
    shadow_note_body(run->file.shadow, upload->offset, upload->bytes);
    if (keep) {
        char name[160];
        model_name(upload->name, name);
        journaled_link(&run->file, upload->dataset, name);
        run->now.entries[upload->name] = (struct model_entry){true, upload->seed, upload->bytes};
    } else {
        ck_assert(H5Dclose(upload->dataset) >= 0);
    }
    upload->active = false;
}

static void move_uploads(struct run *run) {
    for (size_t i = 0; i < UPLOADS_MOST; i++) {
        struct upload *upload = &run->uploads[i];
        if (!upload->active || chance_percent(run->chance, 30)) {
            continue;
        }
        if (upload->piece < UPLOAD_PIECES) {
            write_piece(run, upload);
        } else if (upload->doomed) {
            upload->active = false;
        } else {
            end_upload(run, upload, chance_percent(run->chance, 70));
        }
        if (upload->active && !upload->doomed && chance_percent(run->chance, 10)) {
            end_upload(run, upload, false);
        }
    }
}

static void handle_uploads(struct run *run) {
    move_uploads(run);
    for (uint64_t begun = chance_below(run->chance, 4); begun > 0; begun--) {
        begin_upload(run);
    }
}

/* ---- batches ---- */

static size_t some_length(const struct run *run) {
    static const size_t most[] = {16, 300, 1024, 1024, 4096, 5000, 30000, 90000, 300000, MODEL_BODY_MOST};
    size_t kind = chance_below(run->chance, 100);
    kind = run->copies_only || kind < 88 ? kind % 7 : kind < 94 ? 7 : kind < 98 ? 8 : 9;
    return chance_below(run->chance, most[kind] + 1);
}

static void put(struct run *run, size_t index) {
    char name[160];
    model_name(index, name);
    size_t bytes = some_length(run);
    uint64_t seed = chance_next(run->chance);
    model_fill(seed, run->bytes, bytes);
    enum journaled_body how =
        run->copies_only ? BODY_WRITTEN : (enum journaled_body)chance_below(run->chance, 3);
    if (bytes) {
        uint64_t offset = 0;
        hid_t dataset = journaled_reserve(&run->file, bytes, &offset);
        if (how != BODY_BY_LIBRARY) {
            need_free(run, offset, bytes);
        }
        journaled_write_body(&run->file, dataset, run->bytes, bytes, how);
        journaled_link(&run->file, dataset, name);
    } else {
        journaled_put(&run->file, name, run->bytes, 0, how);
    }
    run->now.entries[index] = (struct model_entry){true, seed, bytes};
}

static void change_something(struct run *run) {
    size_t index = chance_below(run->chance, MODEL_NAMES);
    if (run->file.held_count == JOURNALED_HELD_MOST) {
        return;
    }
    if (run->now.entries[index].present && chance_percent(run->chance, 45)) {
        char name[160];
        model_name(index, name);
        journaled_remove(&run->file, name);
        run->now.entries[index].present = false;
    } else {
        put(run, index);
    }
}

/* Everything goes: the file shrinks, and what comes next gets space that was something else. */
static void remove_all(struct run *run) {
    for (size_t i = 0; i < MODEL_NAMES; i++) {
        char name[160];
        model_name(i, name);
        if (run->now.entries[i].present) {
            journaled_remove(&run->file, name);
            run->now.entries[i].present = false;
        }
    }
}

/* Back to the last commit. Uploads go on for a while: their space must stay theirs. */
static void go_back(struct run *run) {
    uint64_t end = 0;
    for (size_t i = 0; i < UPLOADS_MOST; i++) {
        struct upload *upload = &run->uploads[i];
        if (upload->active && !upload->doomed) {
            H5Dclose(upload->dataset);
            upload->doomed = true;
        }
        if (upload->active && upload->offset + upload->bytes > end) {
            end = upload->offset + upload->bytes;
        }
    }
    shadow_discard(run->file.shadow);
    journaled_close_library(&run->file);
    enum err err = shadow_roll_back(run->file.shadow, &run->file.op);
    ck_assert_msg(err == OK, "roll back: %s", run->file.op.fault.detail);
    journaled_open_library(&run->file);
    shadow_raise_end(run->file.shadow, end);
    run->now = run->workload->states[run->committed];
    disk_mark(run->disk, MARK_WENT_BACK, run->committed);
}

static void run_batch(struct run *run) {
    bool frees_now = chance_percent(run->chance, 70);
    run->copies_only = chance_percent(run->chance, 50);
    if (run->mistakes->frees_first) {
        journaled_let_go(&run->file);
    }
    size_t before = run->file.held_count;
    size_t changes = 1 + chance_below(run->chance, 8);
    size_t uploads_at = chance_below(run->chance, changes + 1);
    size_t emptied_at = chance_percent(run->chance, 8) ? chance_below(run->chance, changes + 1) : SIZE_MAX;
    for (size_t i = 0; i <= changes; i++) {
        if (i == emptied_at) {
            remove_all(run);
        }
        if (i == uploads_at && !run->copies_only) {
            handle_uploads(run);
        }
        if (i < changes) {
            change_something(run);
        }
        if (run->mistakes->frees_first) {
            journaled_let_go(&run->file);
        }
    }
    if (chance_percent(run->chance, 8)) {
        go_back(run);
        return;
    }
    journaled_let_go_first(&run->file, frees_now ? run->file.held_count : before);
    journaled_flush(&run->file);
    run->disk->fail_errno = ENOSPC;
    run->disk->fail_write_in =
        chance_percent(run->chance, 8) ? 1 + (unsigned)chance_below(run->chance, 2) : 0;
    enum err err = commit(run);
    run->disk->fail_write_in = 0;
    if (err) {
        go_back(run);
    } else if (chance_percent(run->chance, 25)) {
        checkpoint(run);
    }
}

/* ---- the whole ---- */

static void close_file(struct run *run) {
    for (size_t i = 0; i < UPLOADS_MOST; i++) {
        if (run->uploads[i].active && !run->uploads[i].doomed) {
            end_upload(run, &run->uploads[i], false);
        }
        run->uploads[i].active = false;
    }
    journaled_close_library(&run->file);
    remember_state(run);
    disk_mark(run->disk, MARK_COMMITTING, run->workload->state_count - 1);
    run->disk->ignores_sync[MEDIUM_MAIN] = run->mistakes->checkpoints_without_sync;
    enum err err = shadow_close(&run->file.op, run->file.shadow);
    ck_assert_msg(err == OK, "close: %s", run->file.op.fault.detail);
    run->disk->ignores_sync[MEDIUM_MAIN] = false;
    note_committed(run, run->workload->state_count - 1);
}

void workload_run(struct workload *workload, struct lossy_disk *disk, const struct model *model,
                  uint64_t seed, const struct workload_mistakes *mistakes) {
    *workload = (struct workload){.chance = {seed}, .began_empty = disk->now.main.size == 0};
    struct run *run = calloc(1, sizeof *run);
    MUST(run);
    *run = (struct run){
        .workload = workload, .chance = &workload->chance, .disk = disk, .mistakes = mistakes, .now = *model};
    run->bytes = malloc(MODEL_BODY_MOST);
    MUST(run->bytes);
    remember_state(run);
    size_t sessions = 1 + chance_below(run->chance, 2);
    for (size_t session = 0; session < sessions; session++) {
        journaled_open(&run->file, &disk->medium);
        if (session == 0) {
            note_committed(run, 0);
        }
        size_t batches = 3 + chance_below(run->chance, 12);
        for (size_t i = 0; i < batches; i++) {
            run_batch(run);
        }
        close_file(run);
    }
    free(run->bytes);
    free(run);
}

void workload_free(struct workload *workload) {
    free(workload->states);
    workload->states = NULL;
}
